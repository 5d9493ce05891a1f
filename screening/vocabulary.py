"""The skills that a screened job requires, and which of the profiles' tags match them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from encoders.queue import EncoderUnavailable
from matching.aliases import Aliases
from matching.collection_state import collection_size, collection_state
from matching.documents import job_by_id
from matching.idf import idf_weights, tag_idf
from matching.jobs import RequiredSkill, job_tags, required_skills, tags_in_order
from matching.limits import MOST_SKILLS, check_limits
from matching.mentions import named_skills
from matching.scores import Answers, answers
from matching.skills import has_level, parsed_skill, skill
from matching.tag_names import MIN_NAME_SIMILARITY, indexed_names
from matching.vocabulary import MOST_UNKNOWN, SkillMatch, spellings
from models import Tag, TagCount, number, tag_number
from search.semantic import Semantic
from utils.sql import among

MOST_TAGS = 100_000  # of the profiles, the most used ones, that are compared by embedding
TAGS_AT_ONCE = 2_000  # 3 MB of embeddings
MOST_CLOSE = 20_000  # pairs of a required skill and a similar tag; the most similar are kept
LONGEST_TITLE = 80
Matches = Mapping[int, SkillMatch]


class Unscreenable(ValueError):
    """A screening that cannot start: `code` names the reason, and the message says what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class ScreenedJob:
    """A job copied for a screening, independent of the document; `job_id` is empty for a pasted text."""

    jobs: str
    job_id: str
    title: str
    required: tuple[RequiredSkill, ...]


@dataclass(frozen=True, slots=True)
class ScreeningVocabulary:
    """The profiles' tags that match a required skill: for each (index of the required skill, match)."""

    answers: Mapping[int, tuple[tuple[int, SkillMatch], ...]] = field(default_factory=dict)
    is_whole: bool = True  # False if some skills await the model and so count by exact matches only

    def matches(self, tags: Iterable[int]) -> dict[int, SkillMatch]:
        """Return the best match of each required skill, by index, among a profile's tags."""
        best: dict[int, SkillMatch] = {}
        for tag in tags:
            for at, match in self.answers.get(tag, ()):
                if at not in best or match.worth > best[at].worth:
                    best[at] = match
        return best

    def as_json(self) -> dict[str, Any]:
        """Return what the database stores: {tag: [name, [[index, strength], …]]}."""
        return {
            str(tag): [pairs[0][1].skill.text, [[at, _strength(match)] for at, match in pairs]]
            for tag, pairs in self.answers.items()
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any], required: Sequence[RequiredSkill]) -> ScreeningVocabulary:
        return cls({int(tag): _pairs(name, pairs, required) for tag, (name, pairs) in stored.items()})


EXACT = 2  # stored strength of an exact match; a close one may reach a similarity of 1


def _strength(match: SkillMatch) -> float:
    return EXACT if match.kind == "exact" else round(match.strength, 4)


def _pairs(
    name: str, pairs: Iterable[tuple[int, float]], required: Sequence[RequiredSkill]
) -> tuple[tuple[int, SkillMatch], ...]:
    return tuple((at, match_of(name, required[at], strength)) for at, strength in pairs)


def match_of(name: str, required: RequiredSkill, strength: float) -> SkillMatch:
    """Return the match of a profile's tag with a required skill: exact for EXACT, else of this similarity."""
    had = parsed_skill(name)
    required_level = parsed_skill(required.name) if has_level(had) else None
    return (
        SkillMatch(had, "exact", 1.0, required_level)
        if strength == EXACT
        else SkillMatch(had, "close", strength, required_level)
    )


def score_of(required: Sequence[RequiredSkill], matches: Matches) -> float:
    """Return the coverage of a job by a profile, 0 to 1, computed as in the skill gap."""
    total = sum(item.weight for item in required)
    matched = sum(required[at].weight * match.worth for at, match in matches.items())
    return matched / total if total else 0.0


def tags_by_profile(session: Session, profiles: Sequence[int]) -> dict[int, list[int]]:
    """Return {profile: tags}, without profiles that have none; one statement."""
    jobs = job_tags(session, profiles)
    tags: dict[int, list[int]] = {}
    for owner, tag in zip(jobs.owners.tolist(), jobs.tags.tolist(), strict=True):
        tags.setdefault(int(jobs.numbers[owner]), []).append(tag)
    return tags


def answers_of(required: Sequence[RequiredSkill], matches: Matches) -> Answers:
    return answers(enumerate(required), matches)


def screened_job(session: Session, collection: str, own_id: str) -> ScreenedJob:
    """Return the requirements of a stored job; raises NoSuchJob, and Unscreenable if it names no skill."""
    job = job_by_id(session, collection, own_id)
    tags = tags_in_order(session, [job.number]).get(job.number, [])
    if not tags:
        raise Unscreenable("no_skills", "This job names no skill, so nobody can be ranked by it: add its skills first.")
    numbers = np.array([tag for tag, _ in tags], np.int64)
    weights = dict(
        zip(
            numbers.tolist(), idf_weights(session, collection_state(session, collection), numbers).tolist(), strict=True
        )
    )
    return ScreenedJob(collection, job.id, job.title, tuple(item for _, item in required_skills(tags, weights)))


def screened_text(session: Session, jobs: str, profiles: str, text: str, aliases: Aliases) -> ScreenedJob:
    """Return the skills of a pasted job that either collection knows; raises TooMuch and Unscreenable."""
    check_limits((), text)
    known = [named_skills(session, name, text, MOST_SKILLS, aliases) for name in dict.fromkeys((jobs, profiles))]
    different = {skill(name, aliases).key: name for names in reversed(known) for name in reversed(names)}
    mentioned = list(reversed(different.values()))[:MOST_SKILLS]
    if not mentioned:
        raise Unscreenable("no_skills", "The text names no skill that the collections know: name the skills in it.")
    base = jobs if collection_size(session, jobs) else profiles
    documents, counts = collection_size(session, base), _document_counts(session, base, mentioned)
    required = tuple(RequiredSkill(name, tag_idf(counts.get(tag_number(name), 0), documents)) for name in mentioned)
    title = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return ScreenedJob(jobs, "", title[:LONGEST_TITLE], required)


def _document_counts(session: Session, collection: str, names: Sequence[str]) -> dict[int, int]:
    rows = select(TagCount.tag_id, TagCount.documents).where(
        TagCount.collection_id == number("collection", collection), among(TagCount.tag_id, map(tag_number, names))
    )
    return {row.tag_id: row.documents for row in session.execute(rows)}


def screening_vocabulary(
    session: Session, semantic: Semantic, jobs: str, profiles: str, required: Sequence[RequiredSkill], aliases: Aliases
) -> ScreeningVocabulary:
    """Return which of the profiles' tags match the required skills: exactly, by name similarity, or by embedding.

    Stored tags are compared without the model; it is needed only for required skills without an embedding.
    """
    keys = [skill(item.name, aliases).key for item in required]
    exact, tags = spellings(session, collection_state(session, profiles), dict.fromkeys(keys), aliases)
    matches: dict[int, dict[int, SkillMatch]] = {}
    for key, spelled in exact.items():
        places = [at for at, other in enumerate(keys) if other == key]
        matches |= {tag: {at: match_of(tags[tag][0], required[at], EXACT) for at in places} for tag in spelled}
    places_of = _places_by_tag(required)
    similar, is_whole = _similar_to_required(session, semantic, profiles, required, places_of)
    for tag, by_place in reworded(session, jobs, profiles, places_of, aliases).items():
        closer = similar.setdefault(tag, {})
        closer.update({at: max(strength, closer.get(at, 0.0)) for at, strength in by_place.items()})
    names = _names(session, similar)
    for tag, by_place in similar.items():
        for at, strength in by_place.items():
            matches.setdefault(tag, {}).setdefault(at, match_of(names[tag], required[at], strength))
    return ScreeningVocabulary(
        {tag: tuple(sorted(by_place.items(), key=itemgetter(0))) for tag, by_place in matches.items()}, is_whole
    )


def _places_by_tag(required: Sequence[RequiredSkill]) -> dict[int, list[int]]:
    """Return the indexes of the required skills by their tag."""
    places: dict[int, list[int]] = {}
    for at, item in enumerate(required):
        places.setdefault(tag_number(item.name), []).append(at)
    return places


def _similar_to_required(
    session: Session,
    semantic: Semantic,
    profiles: str,
    required: Sequence[RequiredSkill],
    places: Mapping[int, Sequence[int]],
) -> tuple[dict[int, dict[int, float]], bool]:
    """Return {tag: {index: similarity}} of tags similar to required skills, and whether all could be compared."""
    pairs: list[tuple[float, int, int]] = []
    is_whole = True
    try:
        semantic.model.follow(session)
        for tags in _blocks(session, profiles):
            similar, whole = semantic.similar_tags(session, [item.name for item in required], tags, MOST_UNKNOWN)
            pairs += [(close, tag, key) for key, theirs in similar.items() for tag, close in theirs.items()]
            is_whole = is_whole and whole
    except EncoderUnavailable as error:
        semantic.note(error)
        return {}, False
    closest: dict[int, dict[int, float]] = {}
    for close, tag, key in sorted(pairs, reverse=True)[:MOST_CLOSE]:
        closest.setdefault(tag, {}).update(dict.fromkeys(places[key], close))
    return closest, is_whole or semantic.is_off


def _blocks(session: Session, profiles: str) -> Iterator[list[int]]:
    """Yield the profiles' tags in blocks, the most used first."""
    rows = select(TagCount.tag_id).where(TagCount.collection_id == number("collection", profiles))
    tags = session.execute(rows.order_by(TagCount.documents.desc()).limit(MOST_TAGS)).scalars().all()
    for start in range(0, len(tags), TAGS_AT_ONCE):
        yield list(tags[start : start + TAGS_AT_ONCE])


def _names(session: Session, tags: Iterable[int]) -> dict[int, str]:
    rows = select(Tag.id, Tag.name).where(among(Tag.id, tags))
    return {row.id: row.name for row in session.execute(rows)}


MOST_WORDED = 20_000  # of the profiles' tags, the most used ones, compared by name; 0.1 ms each
NAMES_AT_ONCE = 2_000


def reworded(
    session: Session, jobs: str, profiles: str, places_by_tag: Mapping[int, Sequence[int]], aliases: Aliases
) -> dict[int, dict[int, float]]:
    """Return {tag: {index: name similarity}} of the profiles' tags that no job has; by required tag.

    A skill that jobs have as a tag is matched by that tag alone, not by words it shares with others.
    """
    state = collection_state(session, jobs)
    index = indexed_names(session, state).name_index
    similar: dict[int, dict[int, float]] = {}
    for block in _tag_names(session, profiles):
        keys = {tag: skill(name, aliases) for tag, name in block.items()}
        known, _ = spellings(session, state, dict.fromkeys(item.key for item in keys.values()), aliases)
        for tag, item in keys.items():
            if item.key not in known:
                similarities = index.similar(item.name, MIN_NAME_SIMILARITY)
                places = {
                    at: similarities[other]
                    for other in similarities.keys() & places_by_tag.keys()
                    for at in places_by_tag[other]
                }
                similar |= {tag: places} if places else {}
    return similar


def _tag_names(session: Session, profiles: str) -> Iterator[dict[int, str]]:
    """Yield the names of the profiles' tags in blocks, the most used first."""
    rows = select(Tag.id, Tag.name).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == number("collection", profiles))
    names = session.execute(rows.order_by(TagCount.documents.desc(), Tag.id).limit(MOST_WORDED)).all()
    for start in range(0, len(names), NAMES_AT_ONCE):
        yield {row.id: row.name for row in names[start : start + NAMES_AT_ONCE]}
