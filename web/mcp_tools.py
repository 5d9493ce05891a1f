"""The tools that an assistant may use: what they are called with, and what they return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from indexes.access import hidden_collections
from matching.compare import gap
from matching.documents import job_by_id
from matching.limits import JOBS, MOST_SKILLS
from matching.recommend import recommend
from models import Collection
from search.documents import DocumentPage, document_page, similar
from search.query import LONGEST_TEXT, MODES, MOST_TAGS, SORTS, Query, clean_names, clean_text
from search.results import Hit, ResultsPage, hit_json, rounded_scores
from search.search import search
from utils.messages import Refusal
from web.mcp_toolbox import Arguments, BadArguments, Parameter, Tool, Toolbox

MOST_HITS, USUAL_HITS = 20, 8
MOST_CHARACTERS, USUAL_CHARACTERS = 20_000, 8_000  # of a document, in one answer
MOST_COLLECTIONS = 500
USUAL_JOBS, LONGEST_CV = 5, 50_000


def named_tool(name: object) -> Tool | None:
    return next((tool for tool in TOOLS if tool.name == name), None)


def _search(box: Toolbox, given: Arguments) -> dict[str, Any]:
    query = Query(
        text=clean_text(given["query"]),
        mode=given["mode"],
        tags=clean_names(given["tags"]),
        not_tags=clean_names(given["without_tags"]),
        collection=clean_text(given["collection"]),
        language=clean_text(given["language"]).lower(),
        sort=given["sort"],
        page=given["page"],
        limit=given["limit"],
    )
    if query.is_empty() and not (query.collection or query.language):
        raise BadArguments("search needs a query, tags, a collection or a language.")
    shared = box.runtime.shared_results
    results = search(box.session, query, box.runtime.semantic, wait_s=box.wait_s, shared=shared)
    watch = box.runtime.watch
    watch.searches.note(query.mode, query.text, results.total, results.took_ms)
    found: dict[str, Any] = {
        "total": results.total,
        "total_is_exact": results.total_is_exact,
        "page": query.page,
        "hits": [_hit(box, hit) for hit in results.hits],
        "tags_of_results": {facet.tag: facet.count for facet in results.facets[:12]},
    }
    notes = _notes(results)
    return found | ({"notes": notes} if notes else {})


def _notes(results: ResultsPage) -> list[str]:
    """Return what an assistant must know to read the hits as they are meant."""
    notes = [
        f"No document has {correction.typed!r}; searched in its place: {', '.join(correction.shown)}."
        for correction in results.corrections
    ]
    if results.is_weak:
        notes.append("No document answers this closely: these are the nearest ones.")
    if results.query.mode in ("hybrid", "semantic") and results.semantic_state not in ("ready", "off"):
        notes.append(
            f"The model is {results.semantic_state}, so meaning was not compared: search again in some seconds."
        )
    if results.is_indexing:
        notes.append(f"The word index is being built ({results.indexed_percent} %): documents may be missing.")
    return notes


def _hit(box: Toolbox, hit: Hit) -> dict[str, Any]:
    values = hit_json(hit)
    why = {name: value for name, value in values.pop("why").items() if value and name != "passage"}
    values = {name: value for name, value in values.items() if value not in ("", [])}
    return {**_addressed(box, hit.id, hit.collection), **values, "why": why}


def _addressed(box: Toolbox, own_id: str, collection: str) -> dict[str, str]:
    address = box.address(own_id, collection)
    return {"address": address} if address else {}


def _read_document(box: Toolbox, given: Arguments) -> dict[str, Any]:
    page = _document(box, given)
    start, end = given["start"], given["start"] + given["characters"]
    values = {name: getattr(page, name) for name in ("id", "collection", "title", "language", "source", "url")}
    whole = {
        **{name: value for name, value in values.items() if value},
        **_addressed(box, page.id, page.collection),
        "tags": list(page.tags),
        "body": page.body[start:end],
        "body_characters": len(page.body),
        "other_columns": {name: str(value)[:1_000] for name, value in list(page.extra.items())[:50]},
    }
    return whole | ({"continues_at": end} if end < len(page.body) else {})


def _document(box: Toolbox, given: Arguments) -> DocumentPage:
    """Return the document that the arguments name; raises BadArguments and Refusal."""
    own_id = str(given["id"]).replace("\0", "").strip()
    if not own_id:
        raise BadArguments("id must not be empty: search returns the IDs of documents.")
    page = document_page(box.session, own_id, given["collection"])
    if page is None:
        raise Refusal("not_found.id", id=own_id[:100], collection=given["collection"] or "*")
    return page


def _similar(box: Toolbox, given: Arguments) -> dict[str, Any]:
    page = _document(box, given)
    hits = similar(box.session, page.number, box.runtime.semantic, given["limit"])
    found: dict[str, Any] = {"hits": [_hit(box, hit) for hit in hits]}
    is_off = box.runtime.semantic.is_off
    return found | ({"notes": ["Semantic search is turned off on this site."]} if is_off else {})


def _list_collections(box: Toolbox, given: Arguments) -> dict[str, Any]:  # noqa: ARG001 - every tool takes arguments
    mine = Collection.id.not_in(hidden_collections(box.session))
    rows = select(Collection.name, Collection.documents).where(Collection.documents > 0, mine)
    rows = rows.order_by(Collection.documents.desc(), Collection.name).limit(MOST_COLLECTIONS)
    listed = [{"name": row.name, "documents": row.documents} for row in box.session.execute(rows)]
    return {"collections": listed}


def _match_skills(box: Toolbox, given: Arguments) -> dict[str, Any]:
    """Return the jobs that fit skills best, or what one job asks beyond them."""
    side, aliases = box.runtime.semantic, box.runtime.skill_aliases()
    collection = clean_text(given["collection"])
    if given["job_id"]:
        job = job_by_id(box.session, collection, given["job_id"])
        if given["text"]:
            raise BadArguments("With job_id give skills, not a text; without job_id both are allowed.")
        skill_gap = gap(box.session, side, collection, job, given["skills"], aliases)
        named = {"id": job.id, "title": job.title, **_addressed(box, job.id, collection)}
        percents = {"match_percent": skill_gap.match_percent}
        return {"job": named} | percents | skill_gap.answers.as_json() | {"other_skills": list(skill_gap.extra)}
    if not given["skills"] and not given["text"].strip():
        raise BadArguments("match_skills needs skills or a text, such as a CV.")
    found = recommend(box.session, side, collection, given["skills"], given["text"], given["limit"], aliases)
    if not found.documents:
        raise Refusal("no_collection", collection=collection)
    jobs = [
        {
            "id": fit.id, "title": fit.title, **_addressed(box, fit.id, collection),
            "match_percent": fit.match_percent, **rounded_scores({"score": fit.score}), **fit.answers.as_json(),
        }
        for fit in found.fits
    ]  # fmt: skip
    return {"skills": [skill.text for skill in found.skills], "found_in_text": list(found.found), "jobs": jobs}


_COLLECTION = Parameter("collection", "Only this collection; all if empty.", most=64)
_ID = Parameter("id", "The document's ID, as search returns it.", most=255, is_required=True)
_WHERE = Parameter("collection", "The document's collection, as search returns it.", most=64)
_LIMIT = Parameter("limit", "How many documents to return.", "integer", USUAL_HITS, least=1, most=MOST_HITS)
_MODES = "hybrid: by words and meaning; text: by words; semantic: by meaning; tags: by tags."
SEARCH = Tool(
    "search",
    "Search documents",
    'Search documents by words, tags and meaning. In the query, "a phrase" must occur as it is, -word must not occur, '
    "tag:name asks for a tag, and column:value for the value of a column. Each hit says why it matched.",
    (
        Parameter("query", "What to look for, in Hebrew or English.", most=LONGEST_TEXT),
        Parameter("mode", _MODES, default="hybrid", choices=MODES),
        Parameter("tags", "Tags that documents must have.", "list", (), most=MOST_TAGS),
        Parameter("without_tags", "Tags that documents must not have.", "list", (), most=MOST_TAGS),
        _COLLECTION,
        Parameter("language", "Only this language, such as he or en.", most=16),
        Parameter("sort", "Best first, newest first, or by title.", default="score", choices=SORTS),
        Parameter("page", "Which page of the results.", "integer", 1, least=1, most=500),
        _LIMIT,
    ),
    _search,
)
_START = "The character to begin at: `continues_at` of the part before."
READ_DOCUMENT = Tool(
    "read_document",
    "Read a document",
    "Return a document: title, tags, text and other columns. A long text comes in parts.",
    (
        _ID,
        _WHERE,
        Parameter("start", _START, "integer", 0, most=10_000_000),
        Parameter("characters", "How many of the text.", "integer", USUAL_CHARACTERS, least=200, most=MOST_CHARACTERS),
    ),
    _read_document,
)
SIMILAR = Tool(
    "similar",
    "Find similar documents",
    "Return the documents most similar in meaning to one.",
    (_ID, _WHERE, _LIMIT),
    _similar,
)
LIST_COLLECTIONS = Tool(
    "list_collections",
    "List collections",
    "Return the collections, and how many documents each has.",
    (),
    _list_collections,
)
MATCH_SKILLS = Tool(
    "match_skills",
    "Match skills to jobs",
    "Return the jobs that fit a person's skills best, with the skills matched and missing; with job_id, that job only.",
    (
        Parameter("skills", "The person's skills.", "list", (), most=MOST_SKILLS),
        Parameter("text", "A CV or a description: the skills named in it count.", most=LONGEST_CV),
        Parameter("collection", "The collection of jobs.", default=JOBS, most=64),
        Parameter("job_id", "Compare with this job only.", most=255),
        Parameter("limit", "How many jobs to return.", "integer", USUAL_JOBS, least=1, most=MOST_HITS),
    ),
    _match_skills,
    matches=True,
)
TOOLS: Sequence[Tool] = (SEARCH, READ_DOCUMENT, SIMILAR, LIST_COLLECTIONS, MATCH_SKILLS)
