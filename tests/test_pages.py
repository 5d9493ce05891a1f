"""The pages as a browser gets them: in both languages, safe, light, and honest about what works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask import Flask, render_template, render_template_string
from flask.testing import FlaskClient

from app import create_app
from config import ROOT
from indexing.documents import NewDocument, write_documents
from indexing.importing import import_file
from indexing.layout import Options
from models import db
from search.query import Query
from search.results import Correction, ResultsPage, results_json
from tests.conftest import Started, closed, settings_for, site_on_sqlite
from tests.markup import Page
from tests.visits import BEARER, page

EVIL = '<script>alert("1")</script> & <b onclick=x>'
TAGS = tuple(f"תגית מספר {number}" for number in range(20))
LONG = NewDocument(
    own_id="a/b c?d%", title="כותרת ארוכה מאוד " * 12, body=f"שורה.\n\n  {EVIL}\nPuddle (בסוגריים) 3.5%", tags=TAGS,
    extra={"שנה": 1999, "list": ["a", "<i>"], "deep": {"x": EVIL}}, source=EVIL, url="javascript:alert(1)",
    language="he", licence="MIT",
)  # fmt: skip
MANY = [NewDocument(own_id=f"{n}", title=f"ארנק מספר {n}", body="נמצא ברחוב", tags=("אבדות",)) for n in range(25)]
ADDRESSES = {
    "home": "/",
    "results": "/?q=" + quote("מים"),
    "text": "/text?q=water&sort=title",
    "meaning": "/semantic?q=water",
    "tag": "/tags?tag=energy",
    "excluded": "/text?q=water&not_tag=energy&collection=sample&language=en",
    "nothing": "/text?q=zzzqqq+yyyqq&tag=energy",
    "beyond": "/text?q=water&page=99",
    "evil": "/?q=" + quote(EVIL) + "&tag=" + quote(EVIL) + "&collection=" + quote(EVIL),
    "tags": "/tags",
    "tags by prefix": "/tags?prefix=e&sort=name",
    "no such tags": "/tags?prefix=zzzqq",
    "document": "/documents/" + quote("a/b c?d%", safe="/"),
    "status": "/status",
    "import": "/import",
    "no such page": "/nothing/here",
}


@pytest.fixture(scope="module")
def site(started: Started, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A site with the sample collection and a few difficult documents, meaning turned off; only read."""
    folder = tmp_path_factory.mktemp("pages")
    with site_on_sqlite(started, folder) as app:
        with app.app_context():
            for name in ("sample-he.jsonl", "sample-en.jsonl"):
                # A copy: an import writes the rows it refuses beside its file.
                copy = folder / name
                copy.write_bytes((ROOT / "data" / name).read_bytes())
                import_file(db.session(), copy, Options("sample"))
            write_documents(db.session(), "odd", [LONG])
            write_documents(db.session(), "lost", MANY)
        yield app


@pytest.fixture
def reader(site: Flask) -> FlaskClient:
    return site.test_client()


def in_language(address: str, lang: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}lang={lang}"


@pytest.mark.parametrize("lang", ["he", "en"])
@pytest.mark.parametrize("name", ADDRESSES)
def test_every_page_says_its_language_and_direction(reader: FlaskClient, name: str, lang: str) -> None:
    html = page(reader, in_language(ADDRESSES[name], lang)).one("html")
    assert (html["lang"], html["dir"]) == (lang, "rtl" if lang == "he" else "ltr")


@pytest.mark.parametrize("name", ADDRESSES)
def test_no_page_has_a_script_a_style_or_a_handler_written_into_it(reader: FlaskClient, name: str) -> None:
    found = page(reader, ADDRESSES[name])
    assert all(script["src"].startswith("/static/") for script in found.all("script"))
    assert not found.all("style")
    names = {attribute for _, attrs in found.elements for attribute in attrs}
    assert not [one for one in names if one == "style" or one.startswith("on")]
    links = [attrs.get("href", "") for _, attrs in found.elements]
    assert not [link for link in links if link.startswith("javascript:")]


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_page_weighs_less_than_100_kb_with_all_that_belongs_to_it(reader: FlaskClient, name: str) -> None:
    own = reader.get(ADDRESSES[name]).get_data()
    parts = [path for path in (ROOT / "static").iterdir() if path.suffix in (".css", ".js", ".svg")]
    assert len(own) + sum(path.stat().st_size for path in parts) < 100_000


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_page_has_its_landmarks_one_heading_and_a_way_past_them(reader: FlaskClient, name: str) -> None:
    found = page(reader, ADDRESSES[name])
    assert found.one("main")["id"] == "main"
    assert found.all("a", class_="skip")[0]["href"] == "#main"
    assert len(found.all("h1")) == 1
    assert found.all("header")
    assert found.all("footer")
    ids = [attrs["id"] for _, attrs in found.elements if "id" in attrs]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["home", "results", "nothing", "document", "status", "import", "no such page"])
def test_a_hebrew_page_has_no_english_sentence(reader: FlaskClient, name: str) -> None:
    text = page(reader, in_language(ADDRESSES[name], "he")).text
    for english in (r"\bthe\b", r"\bSearch\b", r"\bdocuments?\b(?! or)", r"\bmeaning\b"):
        own = re.sub(r"mould on a bedroom wall|dog scared of fireworks|data/\S+", "", text)
        assert not re.search(english, own), english


def test_what_was_typed_and_what_is_stored_is_shown_as_text(reader: FlaskClient) -> None:
    for address in (ADDRESSES["evil"], ADDRESSES["document"], "/text?q=puddle&collection=odd"):
        raw = reader.get(address).get_data(as_text=True)
        assert "<script>alert" not in raw
        assert "<b onclick" not in raw
    typed = page(reader, ADDRESSES["evil"]).one("input", id="q")
    assert typed["value"] == EVIL
    assert EVIL in page(reader, ADDRESSES["document"]).text


def test_a_document_keeps_its_white_space_its_extra_fields_and_its_own_direction(reader: FlaskClient) -> None:
    raw = reader.get(ADDRESSES["document"]).get_data(as_text=True)
    assert "שורה.\n\n  &lt;script&gt;" in raw
    found = Page(raw)
    assert found.one("div", class_="body")["dir"] == "rtl"
    assert "שנה 1999" in found.text
    assert len(found.all("a", class_="tag")) == len(TAGS)
    english = page(reader, "/documents/en-awake-at-night?lang=he")
    assert english.one("div", class_="body")["dir"] == "ltr"
    assert english.one("article")["lang"] == "en"


def test_a_facet_narrows_and_its_neighbour_excludes(reader: FlaskClient) -> None:
    found = page(reader, "/text?q=water&page=2&lang=en")
    narrow, exclude = found.all("a", class_="facet")[0]["href"], found.all("a", class_="exclude")[0]["href"]
    tag = parse_qs(urlsplit(narrow).query)["tag"]
    assert parse_qs(urlsplit(exclude).query)["not_tag"] == tag
    assert "page" not in parse_qs(urlsplit(narrow).query)
    assert tags_of_hits(reader, narrow)
    assert all(tag[0] in tags for tags in tags_of_hits(reader, narrow))
    assert tags_of_hits(reader, exclude)
    assert not any(tag[0] in tags for tags in tags_of_hits(reader, exclude))
    chip = page(reader, narrow).one("a", class_="chip")
    assert chip["href"] == "/text?q=water"


def tags_of_hits(client: FlaskClient, address: str) -> list[set[str]]:
    """Return the tags of each hit by what its labels lead to."""
    hits = client.get(address).get_data(as_text=True).split('<li class="card hit"')[1:]
    return [{parse_qs(urlsplit(link).query)["tag"][0] for link in re.findall(r'/tags\?tag=[^"]+', hit)} for hit in hits]


def test_the_modes_keep_the_query_and_say_which_is_current(reader: FlaskClient) -> None:
    modes = page(reader, "/text?q=water&tag=energy&page=3").all("a", class_="mode")
    assert [urlsplit(one["href"]).path for one in modes] == ["/", "/text", "/tags", "/semantic"]
    assert {urlsplit(one["href"]).query for one in modes} == {"q=water&tag=energy"}
    assert [one.get("aria-current") for one in modes] == [None, "page", None, None]


def test_the_form_keeps_the_filters_that_it_does_not_show(reader: FlaskClient) -> None:
    found = page(reader, "/text?q=water&tag=home&not_tag=energy&sort=title&collection=sample&language=en")
    assert found.one("form", role="search")["action"] == "/text"
    hidden = {one["name"]: one["value"] for one in found.all("input", type="hidden")}
    assert hidden == {"tag": "home", "not_tag": "energy", "sort": "title"}
    assert {one["value"] for one in found.all("option") if "selected" in one} == {"sample", "en"}


def test_pages_have_numbers_and_one_beyond_the_end_leads_back(reader: FlaskClient) -> None:
    found = page(reader, "/text?q=" + quote("ארנק") + "&collection=lost&lang=en")
    assert "25 documents" in found.text
    assert found.one("a", rel="next")["href"].endswith("page=2")
    assert not found.all("a", rel="prev")
    beyond = page(reader, "/text?q=" + quote("ארנק") + "&collection=lost&page=9&lang=en")
    assert "There are no results on this page" in beyond.text
    assert any(
        one["href"].startswith("/text?") and "page" not in one["href"] for one in beyond.all("a", class_="button")
    )


def test_nothing_found_offers_what_else_to_try(reader: FlaskClient) -> None:
    found = page(reader, in_language(ADDRESSES["nothing"], "en"))
    assert "0 documents" in found.text
    assert "without the filter energy" in found.text
    assert "fewer words" in found.text


def test_a_hit_says_why_in_plain_words(reader: FlaskClient) -> None:
    text = page(reader, "/text?q=" + quote('צה"ל') + "&lang=en").text
    assert re.search(r'found: \S*צה["״]ל', text)


def test_a_hit_has_its_own_direction_in_a_page_of_the_other(reader: FlaskClient) -> None:
    found = page(reader, "/text?q=water&language=en&lang=he")
    assert {one["dir"] for one in found.all("article")} == {"ltr"}


def test_results_lead_to_csv_and_json_of_the_same(reader: FlaskClient) -> None:
    found = page(reader, "/text?q=water&tag=energy")
    table = next(one["href"] for one in found.all("a") if "format=csv" in one.get("href", ""))
    data = next(one["href"] for one in found.all("a") if one.get("href", "").startswith("/api/search"))
    assert reader.get(table).mimetype == "text/csv"
    answer = reader.get(data).get_json()
    assert answer["total"] == len(found.all("li", class_="hit"))


def test_the_part_is_the_results_alone(reader: FlaskClient) -> None:
    raw = reader.get("/text?q=water&part=results").get_data(as_text=True)
    assert raw.lstrip().startswith('<div id="results"')
    assert "<html" not in raw


def test_the_index_of_tags_counts_sorts_narrows_and_leads_to_the_documents(reader: FlaskClient) -> None:
    found = page(reader, "/tags?prefix=" + quote("תגית") + "&sort=name&lang=en")
    labels = found.all("a", class_="tag")
    assert len(labels) == len(TAGS)
    assert "LONG" not in page(reader, labels[0]["href"]).text
    assert len(page(reader, labels[0]["href"]).all("li", class_="hit")) == 1
    assert found.one("input", name="prefix")["value"] == "תגית"
    assert "No tag starts with that" in page(reader, in_language(ADDRESSES["no such tags"], "en")).text


def test_the_first_page_suggests_queries_tags_and_says_how_much_there_is(reader: FlaskClient) -> None:
    found = page(reader, "/?lang=en")
    assert "194 documents in the drawers" in found.text
    assert len(found.all("a", class_="drawer")) == 24
    assert "Finds the acronym" in found.text
    samples = [one["href"] for one in found.all("a") if one.get("href", "").startswith("/go?")]
    assert len(samples) == 10
    assert {reader.get(one).status_code for one in samples} == {302}


def test_an_empty_site_says_how_to_fill_it(started: Started, tmp_path: Path) -> None:
    with started.maker("sqlite").fresh(tmp_path) as url:
        app = create_app(settings_for(url, tmp_path))
        text = page(app.test_client(), "/?lang=en").text
        closed(app)
    assert "The drawers are still empty" in text
    assert "flask --app app import" in text


def test_the_language_switch_stays_on_the_page(reader: FlaskClient) -> None:
    found = page(reader, "/text?q=water&tag=energy&lang=he")
    switch = found.one("a", hreflang="en")["href"]
    assert urlsplit(switch).path == "/text"
    assert parse_qs(urlsplit(switch).query) == {"q": ["water"], "tag": ["energy"], "lang": ["en"]}
    reader.get(switch)
    assert page(reader, "/text?q=water").one("html")["lang"] == "en"
    odd = page(reader, ADDRESSES["document"]).one("a", hreflang="he")["href"]
    assert reader.get(odd).status_code == 200


def test_status_shows_memory_and_settings_but_no_secret(reader: FlaskClient) -> None:
    raw = reader.get("/status?lang=en", headers=BEARER).get_data(as_text=True)
    assert "a token of the tests" not in raw
    assert "a secret of the tests" not in raw
    found = Page(raw)
    assert re.search(r"[\d.]+ MB of [\d.,]+ MB ?, [\d.]+ %", found.text)
    assert "RATE_LIMIT 10000/minute" in found.text
    assert "turned off" in found.text


def test_a_hit_leads_to_its_document_with_the_search_and_the_document_leads_back(reader: FlaskClient) -> None:
    address = "/text?q=home&tag=energy&language=en&sort=title&limit=1&page=2&collection=sample"
    found = page(reader, address + "&lang=en")
    (link,) = [link["href"] for link in found.all("a") if link.get("href", "").startswith("/documents/")]
    assert parse_qs(urlsplit(link).query)["q"] == ["home"]
    document = page(reader, link)
    back = [parse_qs(urlsplit(a["href"]).query) for a in document.all("a") if a.get("href", "").startswith("/text?")]
    assert parse_qs(urlsplit(address).query) in back
    assert "Back to the results" in document.text


def test_a_document_marks_all_matches_and_leads_to_the_first_and_the_best(site: Flask, reader: FlaskClient) -> None:
    body = "An otter. " + "Nothing here. " * 1_000 + "An otter by the river. " + "Nothing here. " * 10
    with site.app_context():
        write_documents(db.session(), "rivers", [NewDocument("otters", "The otter", body)])
    found = page(reader, "/documents/otters?q=otter+river&lang=en")
    assert [mark.get("id") for mark in found.all("mark")] == [None, "match-1", "match-2", "match-3"]
    assert "4 matches" in found.text
    links = [(a["href"], a.get("aria-label")) for a in found.all("a") if a.get("href", "").startswith("#match")]
    assert links[:2] == [("#match-1", None), ("#match-2", None)]
    steps = [("#match-3", "#match-2"), ("#match-1", "#match-3"), ("#match-2", "#match-1")]  # round from last to first
    assert links[2:] == [
        link for before, after in steps for link in ((before, "Previous match"), (after, "Next match"))
    ]
    plain = page(reader, "/documents/otters")
    assert plain.all("mark") == []
    assert "matches" not in plain.text
    raw = reader.get("/documents/otters?q=otter+river").get_data(as_text=True)
    assert f'dir="ltr">{body.replace("otter", "@").replace("river", "@")}</div>' in re.sub("<mark.*?/mark>", "@", raw)


def test_a_word_that_was_searched_as_another_is_named(site: Flask) -> None:
    results = ResultsPage(Query("gardning", "text"), corrections=(Correction("gardning", ("gardening", "gardens")),))
    with site.test_request_context("/text?q=gardning&lang=en"):
        shown = render_template("_results.html", query=results.query, results=results, collections=())
    assert "No document has “gardning”; shown for “gardening”, “gardens”." in shown
    assert results_json(results)["corrections"] == [{"typed": "gardning", "shown": ["gardening", "gardens"]}]


def test_a_listing_says_that_it_is_newest_first(reader: FlaskClient) -> None:
    found = page(reader, "/?collection=lost&lang=en")
    assert "newest first" in found.text
    assert "best first" not in found.text
    assert reader.get("/api/search?collection=lost").get_json()["sort"] == "newest"
    assert reader.get("/api/search?collection=lost&q=" + quote("ארנק")).get_json()["sort"] == "score"


@pytest.mark.parametrize(("score", "words"), [(0.9, "very close"), (0.6, "close"), (0.4, "related"), (0.255, "weak")])
def test_a_similarity_is_called_what_it_is(site: Flask, score: float, words: str) -> None:
    with site.test_request_context("/?lang=en"):
        label = render_template_string("{% import '_macros.html' as m with context %}{{ m.closeness(s) }}", s=score)
    assert label.split(">")[-1].strip() == words
