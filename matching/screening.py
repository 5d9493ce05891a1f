"""One job against many profiles: what it asks for, and which of the profiles' skills answer it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from encoders.turns import EncoderAway
from matching.aliases import Aliases
from matching.bounds import MOST_SKILLS, check
from matching.gap import job_by_id
from matching.jobs import asked_tags, tags_by_job
from matching.scores import Answers, Asked, answers, coverage
from matching.skills import Skill, skill
from matching.vocabulary import MOST_UNKNOWN, Match, named_skills, rarity, size, spellings
from models import Tag, TagCount, number, tag_number
from search.semantic import Semantic
from utils.sql import among

MOST_TAGS = 100_000  # of the profiles, compared in meaning with the job's; those that most profiles have first
TAGS_AT_ONCE = 2_000  # 3 MB of embeddings
MOST_CLOSE = 20_000  # pairs of a skill asked for and a tag close to it; the closest are kept
LONGEST_TITLE = 80

Matches = Mapping[int, Match]


class Unscreenable(ValueError):
    """A screening that cannot begin: `code` says why, and the message what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job as a screening keeps it, whatever becomes of the document: `job_id` is empty for a pasted text."""

    jobs: str
    job_id: str
    title: str
    asked: tuple[Asked, ...]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The profiles' tags that answer something: for each the places among what is asked for, with its match."""

    answers: Mapping[int, tuple[tuple[int, Match], ...]] = field(default_factory=dict)
    is_whole: bool = True  # False where some skills waited for the model, and only their exact matches count

    def matches(self, tags: Iterable[int]) -> dict[int, Match]:
        """Return the best match of each place that a profile's tags answer: an exact one, or else the closest."""
        best: dict[int, Match] = {}
        for tag in tags:
            for place, match in self.answers.get(tag, ()):
                if place not in best or match.worth > best[place].worth:
                    best[place] = match
        return best

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it in the database: {tag: [its name, [[place, strength], …]]}; 1 is exact."""
        return {
            str(tag): [found[0][1].skill.text, [[place, _strength(match)] for place, match in found]]
            for tag, found in self.answers.items()
        }

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> Vocabulary:
        return cls({int(tag): _pairs(name, pairs) for tag, (name, pairs) in kept.items()})


EXACT = 2  # how a stored strength says that a match is exact: a close one may have a closeness of 1


def _strength(match: Match) -> float:
    return EXACT if match.kind == "exact" else round(match.strength, 4)


def _pairs(name: str, pairs: Iterable[tuple[int, float]]) -> tuple[tuple[int, Match], ...]:
    own = Skill(name, name, "")
    return tuple(
        (place, Match(own, "exact", 1.0) if strength == EXACT else Match(own, "close", strength))
        for place, strength in pairs
    )


def score_of(asked: Sequence[Asked], matches: Matches) -> float:
    """Return the share of what the job asks that a profile has, 0 to 1, as the skill gap of one person counts it."""
    return coverage(enumerate(asked), matches)


def answers_of(asked: Sequence[Asked], matches: Matches) -> Answers:
    return answers(enumerate(asked), matches)


def wanted_of_job(session: Session, collection: str, own_id: str, aliases: Aliases) -> Wanted:
    """Return what a stored job asks for; raises NoSuchJob, and Unscreenable for one that names no skill."""
    job = job_by_id(session, collection, own_id)
    found = asked_tags(session, [job.number], collection, size(session, collection), aliases)
    order = next((tags for _, tags in tags_by_job(session, [job.number])), [])
    asked = tuple(found[tag] for tag in order if tag in found)
    if not asked:
        raise Unscreenable("no_skills", "This job names no skill, so nobody can be ranked by it: add its skills first.")
    return Wanted(collection, job.id, job.title, asked)


def wanted_of_text(session: Session, jobs: str, profiles: str, said: str, aliases: Aliases) -> Wanted:
    """Return the skills that a pasted job names, as jobs and profiles know them; raises TooMuch and Unscreenable."""
    check((), said)
    known = [named_skills(session, name, said, MOST_SKILLS, aliases) for name in dict.fromkeys((jobs, profiles))]
    different = {skill(name, aliases).key: name for names in reversed(known) for name in reversed(names)}
    named = list(reversed(different.values()))[:MOST_SKILLS]
    if not named:
        raise Unscreenable("no_skills", "The text names no skill that the collections know: name the skills in it.")
    base = jobs if size(session, jobs) else profiles
    documents, counts = size(session, base), _counts(session, base, named)
    asked = tuple(Asked(name, rarity(counts.get(tag_number(name), 0), documents)) for name in named)
    title = next((line.strip() for line in said.splitlines() if line.strip()), "")
    return Wanted(jobs, "", title[:LONGEST_TITLE], asked)


def _counts(session: Session, collection: str, names: Sequence[str]) -> dict[int, int]:
    rows = select(TagCount.tag_id, TagCount.documents).where(
        TagCount.collection_id == number("collection", collection), among(TagCount.tag_id, map(tag_number, names))
    )
    return {row.tag_id: row.documents for row in session.execute(rows)}


def vocabulary(
    session: Session, semantic: Semantic, profiles: str, asked: Sequence[Asked], aliases: Aliases
) -> Vocabulary:
    """Return which tags of the profiles answer what is asked for, exactly or close in meaning.

    Tags that are stored are compared without the model; it is asked for those of a job that nobody embedded.
    """
    own = {place: skill(one.name, aliases) for place, one in enumerate(asked)}
    found: dict[int, dict[int, Match]] = {}
    spelled = spellings(session, profiles, list({one.key: one for one in own.values()}.values()), aliases)
    for tag, (asked_skill, name, _) in spelled.items():
        match = Match(Skill(name, name, asked_skill.key), "exact", 1.0)
        found[tag] = {place: match for place, one in own.items() if one.key == asked_skill.key}
    near, is_whole = _close(session, semantic, profiles, asked)
    names = _names(session, near)
    for tag, places in near.items():
        for place, closeness in places.items():
            match = Match(Skill(names[tag], names[tag], ""), "close", closeness)
            found.setdefault(tag, {}).setdefault(place, match)
    return Vocabulary({tag: tuple(sorted(places.items())) for tag, places in found.items()}, is_whole)


def _close(
    session: Session, semantic: Semantic, profiles: str, asked: Sequence[Asked]
) -> tuple[dict[int, dict[int, float]], bool]:
    """Return {tag: {place: closeness}} for tags close to what is asked for, and whether all could be compared."""
    places: dict[int, list[int]] = {}
    for place, one in enumerate(asked):
        places.setdefault(tag_number(one.name), []).append(place)
    pairs: list[tuple[float, int, int]] = []
    is_whole = True
    try:
        semantic.follow(session)
        for tags in _blocks(session, profiles):
            near, whole = semantic.close_tags(session, [one.name for one in asked], tags, MOST_UNKNOWN)
            pairs += [(close, tag, key) for key, theirs in near.items() for tag, close in theirs.items()]
            is_whole = is_whole and whole
    except EncoderAway as away:
        semantic.note(away)
        return {}, False
    found: dict[int, dict[int, float]] = {}
    for close, tag, key in sorted(pairs, reverse=True)[:MOST_CLOSE]:
        found.setdefault(tag, {}).update(dict.fromkeys(places[key], close))
    return found, is_whole or semantic.is_off


def _blocks(session: Session, profiles: str) -> Iterator[list[int]]:
    """Yield the profiles' tags, those that most of them have first."""
    rows = select(TagCount.tag_id).where(TagCount.collection_id == number("collection", profiles))
    tags = session.execute(rows.order_by(TagCount.documents.desc()).limit(MOST_TAGS)).scalars().all()
    for start in range(0, len(tags), TAGS_AT_ONCE):
        yield list(tags[start : start + TAGS_AT_ONCE])


def _names(session: Session, tags: Iterable[int]) -> dict[int, str]:
    rows = select(Tag.id, Tag.name).where(among(Tag.id, tags))
    return {row.id: row.name for row in session.execute(rows)}
