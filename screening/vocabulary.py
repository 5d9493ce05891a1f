"""One job against many profiles: what it asks for, and which of the profiles' skills answer it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from encoders.queue import EncoderAway
from matching.aliases import Aliases
from matching.collection_state import place, size
from matching.documents import job_by_id
from matching.idf import rarity, weights
from matching.jobs import Asked, asked, jobs_with_tags, tags_in_order
from matching.limits import MOST_SKILLS, check
from matching.mentions import named_skills
from matching.scores import Answers, answers
from matching.skills import parsed, says_how_well, skill
from matching.tag_names import LEAST_ALIKE, names
from matching.vocabulary import MOST_UNKNOWN, Match, spellings
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
            for at, match in self.answers.get(tag, ()):
                if at not in best or match.worth > best[at].worth:
                    best[at] = match
        return best

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it in the database: {tag: [its name, [[place, strength], …]]}."""
        return {
            str(tag): [found[0][1].skill.text, [[at, _strength(match)] for at, match in found]]
            for tag, found in self.answers.items()
        }

    @classmethod
    def of_json(cls, kept: Mapping[str, Any], asks: Sequence[Asked]) -> Vocabulary:
        return cls({int(tag): _pairs(name, pairs, asks) for tag, (name, pairs) in kept.items()})


EXACT = 2  # how a stored strength says that a match is exact: a close one may have a closeness of 1


def _strength(match: Match) -> float:
    return EXACT if match.kind == "exact" else round(match.strength, 4)


def _pairs(name: str, pairs: Iterable[tuple[int, float]], asks: Sequence[Asked]) -> tuple[tuple[int, Match], ...]:
    return tuple((at, match_of(name, asks[at], strength)) for at, strength in pairs)


def match_of(name: str, wanted: Asked, strength: float) -> Match:
    """Return how a profile's tag answers what is asked for; EXACT is the very skill, less its closeness."""
    own = parsed(name)
    said = parsed(wanted.name) if says_how_well(own) else None
    return Match(own, "exact", 1.0, said) if strength == EXACT else Match(own, "close", strength, said)


def score_of(asks: Sequence[Asked], matches: Matches) -> float:
    """Return the share of what the job asks that a profile has, 0 to 1, as the skill gap of one person counts it."""
    whole = sum(one.weight for one in asks)
    held = sum(asks[at].weight * match.worth for at, match in matches.items())
    return held / whole if whole else 0.0


def tags_by_profile(session: Session, profiles: Sequence[int]) -> dict[int, list[int]]:
    """Return the tags of each profile that has any; one statement."""
    found = jobs_with_tags(session, profiles)
    tags: dict[int, list[int]] = {}
    for owner, tag in zip(found.owners.tolist(), found.tags.tolist(), strict=True):
        tags.setdefault(int(found.numbers[owner]), []).append(tag)
    return tags


def answers_of(asks: Sequence[Asked], matches: Matches) -> Answers:
    return answers(enumerate(asks), matches)


def wanted_of_job(session: Session, collection: str, own_id: str) -> Wanted:
    """Return what a stored job asks for; raises NoSuchJob, and Unscreenable for one that names no skill."""
    job = job_by_id(session, collection, own_id)
    tags = tags_in_order(session, [job.number]).get(job.number, [])
    if not tags:
        raise Unscreenable("no_skills", "This job names no skill, so nobody can be ranked by it: add its skills first.")
    numbers = np.array([tag for tag, _ in tags], np.int64)
    weighed = dict(zip(numbers.tolist(), weights(session, place(session, collection), numbers).tolist(), strict=True))
    return Wanted(collection, job.id, job.title, tuple(one for _, one in asked(tags, weighed)))


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
    asks = tuple(Asked(name, rarity(counts.get(tag_number(name), 0), documents)) for name in named)
    title = next((line.strip() for line in said.splitlines() if line.strip()), "")
    return Wanted(jobs, "", title[:LONGEST_TITLE], asks)


def _counts(session: Session, collection: str, names: Sequence[str]) -> dict[int, int]:
    rows = select(TagCount.tag_id, TagCount.documents).where(
        TagCount.collection_id == number("collection", collection), among(TagCount.tag_id, map(tag_number, names))
    )
    return {row.tag_id: row.documents for row in session.execute(rows)}


def vocabulary(
    session: Session, semantic: Semantic, jobs: str, profiles: str, asks: Sequence[Asked], aliases: Aliases
) -> Vocabulary:
    """Return which tags of the profiles answer what is asked for, exactly, close in meaning, or in other words.

    Tags that are stored are compared without the model; it is asked for those of a job that nobody embedded.
    """
    keys = [skill(one.name, aliases).key for one in asks]
    exact, tags = spellings(session, place(session, profiles), dict.fromkeys(keys), aliases)
    found: dict[int, dict[int, Match]] = {}
    for key, spelled in exact.items():
        places = [at for at, one in enumerate(keys) if one == key]
        found |= {tag: {at: match_of(tags[tag][0], asks[at], EXACT) for at in places} for tag in spelled}
    places_of = _places(asks)
    near, is_whole = _close(session, semantic, profiles, asks, places_of)
    for tag, likeness in reworded(session, jobs, profiles, places_of, aliases).items():
        closer = near.setdefault(tag, {})
        closer.update({at: max(strength, closer.get(at, 0.0)) for at, strength in likeness.items()})
    names = _names(session, near)
    for tag, closeness in near.items():
        for at, strength in closeness.items():
            found.setdefault(tag, {}).setdefault(at, match_of(names[tag], asks[at], strength))
    return Vocabulary(
        {tag: tuple(sorted(places.items(), key=itemgetter(0))) for tag, places in found.items()}, is_whole
    )


def _places(asks: Sequence[Asked]) -> dict[int, list[int]]:
    """Return the places of what is asked for by their tags."""
    places: dict[int, list[int]] = {}
    for at, one in enumerate(asks):
        places.setdefault(tag_number(one.name), []).append(at)
    return places


def _close(
    session: Session, semantic: Semantic, profiles: str, asks: Sequence[Asked], places: Mapping[int, Sequence[int]]
) -> tuple[dict[int, dict[int, float]], bool]:
    """Return {tag: {place: closeness}} for tags close to what is asked for, and whether all could be compared."""
    pairs: list[tuple[float, int, int]] = []
    is_whole = True
    try:
        semantic.follow(session)
        for tags in _blocks(session, profiles):
            near, whole = semantic.close_tags(session, [one.name for one in asks], tags, MOST_UNKNOWN)
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


MOST_WORDED = 20_000  # of the profiles' tags, those that most of them have first; 0.1 ms each
NAMES_AT_ONCE = 2_000


def reworded(
    session: Session, jobs: str, profiles: str, asked: Mapping[int, Sequence[int]], aliases: Aliases
) -> dict[int, dict[int, float]]:
    """Return {tag: {place: likeness}} for the profiles' tags that no job has; `asked` are the places by their tags.

    A skill that a job has as a tag is known by that tag alone, and not by words that it shares with others.
    """
    here = place(session, jobs)
    wordings = names(session, here).wordings
    found: dict[int, dict[int, float]] = {}
    for block in _tag_names(session, profiles):
        keys = {tag: skill(name, aliases) for tag, name in block.items()}
        known, _ = spellings(session, here, dict.fromkeys(one.key for one in keys.values()), aliases)
        for tag, one in keys.items():
            if one.key not in known:
                alike = wordings.alike(one.name, LEAST_ALIKE)
                places = {at: alike[other] for other in alike.keys() & asked.keys() for at in asked[other]}
                found |= {tag: places} if places else {}
    return found


def _tag_names(session: Session, profiles: str) -> Iterator[dict[int, str]]:
    """Yield the names of the profiles' tags, those that most of them have first."""
    rows = select(Tag.id, Tag.name).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == number("collection", profiles))
    read = session.execute(rows.order_by(TagCount.documents.desc(), Tag.id).limit(MOST_WORDED)).all()
    for start in range(0, len(read), NAMES_AT_ONCE):
        yield {row.id: row.name for row in read[start : start + NAMES_AT_ONCE]}
