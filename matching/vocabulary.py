"""What a collection calls a person's skills: the very tags, and those that say nearly the same, in words or meaning."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from encoders.turns import EncoderAway
from matching.aliases import Aliases
from matching.levels import BELOW_SHARE, is_below, says_how_well
from matching.named import named_skills
from matching.places import Place, size
from matching.skills import Skill, skill
from matching.weights import weights
from matching.wording import alike
from models import Tag, TagCount, tag_number
from search.semantic import Semantic
from utils.sql import among, by_dialect

__all__ = ["Known", "Match", "known", "named_skills", "size"]

CLOSE_SHARE = 0.5  # MRR of profiles .975; .970 by 0.7 and .966 by 1
MOST_SPELLINGS = 4_000
MOST_UNKNOWN = 60  # skills that are no tag anywhere, which the model encodes: 0.2 s of e5, 3 ms each

# Tags that begin with a skill's key, up to the first character that cannot follow it as a word of its own: a range of
# the index each. `python` and `python (senior)` are between `python` and `python-`, and `pythonic` is not.
SPELLINGS = """
SELECT tag.id, tag.name, tag_count.documents FROM {given} JOIN tag
  ON tag.key >= given.value AND tag.key < given.value || '-'
{count} JOIN tag_count ON tag_count.tag_id = tag.id AND tag_count.collection_id = :collection
ORDER BY length(tag.key), tag.id LIMIT :most
"""
# CROSS: from the keys to the tags to their counts. SQLite would read every tag of the collection for each key.
SPELLINGS_SQLITE = SPELLINGS.format(given="json_each(:keys) given CROSS", count="CROSS")
SPELLINGS_POSTGRESQL = SPELLINGS.format(
    given="jsonb_array_elements_text(CAST(:keys AS jsonb)) AS given(value) INNER", count="INNER"
)


@dataclass(frozen=True, slots=True)
class Match:
    """A skill of a person that answers a tag: exactly (strength 1), or nearly (its closeness); `asked` is the tag's."""

    skill: Skill
    kind: str
    strength: float
    asked: Skill | None = None

    @property
    def is_below(self) -> bool:
        """Tell whether the job asks for more of it than the person says to have."""
        return self.asked is not None and is_below(self.asked, self.skill)

    @property
    def worth(self) -> float:
        """Return what the match adds: a close one half its closeness, and half of either below the level asked."""
        whole = self.strength if self.kind == "exact" else CLOSE_SHARE * self.strength
        return BELOW_SHARE * whole if self.is_below else whole


@dataclass(frozen=True, slots=True)
class Known:
    """The tags of a collection that a person's skills answer: each with its best match, weight and documents."""

    matches: Mapping[int, Match] = field(default_factory=dict)
    weights: Mapping[int, float] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)
    is_whole: bool = True  # False where the model was not ready for skills that only it can compare


_Tags = dict[int, tuple[str, int]]  # their names, and how many documents of the collection have them


def known(
    session: Session,
    semantic: Semantic,
    here: Place,
    skills: Sequence[Skill],
    aliases: Aliases,
    among_tags: Sequence[int] | None = None,
) -> Known:
    """Return what of a collection's tags, or of those given, the skills answer, in a fixed number of statements."""
    spelled, tags = _spellings(session, here, skills, aliases)
    # A skill is compared as the collection spells it: that is stored, and needs no model.
    names = {one.key: tags[tag][0] for tag, one in reversed(spelled.items())}
    near, is_whole = _close(session, semantic, [(names.get(one.key, one.name), one) for one in skills], among_tags)
    for tag, match in _alike(session, here, [one for one in skills if one.key not in names], among_tags):
        if tag not in near or match.strength > near[tag].strength:
            near[tag] = match
    tags |= _named(session, here, [tag for tag in near if tag not in tags])
    matches = near | {tag: Match(one, "exact", 1.0) for tag, one in spelled.items()}
    wanted = tags.keys() if among_tags is None else tags.keys() & set(among_tags)
    told = {tag: _told(match, tags[tag][0], aliases) for tag, match in matches.items() if tag in wanted}
    found = weights(session, here, np.array(list(told), np.int64)).tolist()
    return Known(told, dict(zip(told, found, strict=True)), {tag: tags[tag][1] for tag in told}, is_whole)


def _told(match: Match, name: str, aliases: Aliases) -> Match:
    """Return a match with what the tag asks, where the person says how well the skill is known."""
    if not says_how_well(match.skill):
        return match
    return Match(match.skill, match.kind, match.strength, skill(name, aliases))


def _close(
    session: Session, semantic: Semantic, named: Sequence[tuple[str, Skill]], among_tags: Sequence[int] | None
) -> tuple[dict[int, Match], bool]:
    """Return tags close in meaning to named skills, each with the closest skill; and whether all could be compared."""
    by_tag = {tag_number(name): (name, one) for name, one in named}
    try:
        semantic.follow(session)
        names = [name for name, _ in by_tag.values()]
        found, is_whole = semantic.close_tags(session, names, among_tags, MOST_UNKNOWN)
    except EncoderAway as away:
        semantic.note(away)
        return {}, False
    best: dict[int, Match] = {}
    for key, tags in found.items():
        for tag, closeness in tags.items():
            if tag not in best or closeness > best[tag].strength:
                best[tag] = Match(by_tag[key][1], "close", closeness)
    return best, is_whole or semantic.is_off


def _alike(
    session: Session, here: Place, unknown: Sequence[Skill], among_tags: Sequence[int] | None
) -> Iterable[tuple[int, Match]]:
    """Yield the tags that skills name in other words; skills that are tags themselves are not looked for so."""
    allowed = None if among_tags is None else set(among_tags)
    for one, found in zip(unknown, alike(session, here, [one.name for one in unknown]), strict=True):
        for tag, likeness in found.items():
            if allowed is None or tag in allowed:
                yield tag, Match(one, "close", likeness)


def _spellings(
    session: Session, here: Place, skills: Sequence[Skill], aliases: Aliases
) -> tuple[dict[int, Skill], _Tags]:
    """Return the collection's tags that are one of the skills however written, shortest first, and all about them."""
    by_key = {one.key: one for one in skills}
    keys = [key for one in skills for key in aliases.keys(one.key)]
    if not keys:
        return {}, {}
    statement = by_dialect(session, sqlite=SPELLINGS_SQLITE, postgresql=SPELLINGS_POSTGRESQL)
    values = {"keys": json.dumps(keys), "collection": here.number, "most": MOST_SPELLINGS}
    rows = session.execute(text(statement), values)
    understood = ((tag, name, skill(name, aliases).key, count) for tag, name, count in rows)
    found = [(tag, by_key[key], name, count) for tag, name, key, count in understood if key in by_key]
    return {tag: one for tag, one, _, _ in found}, {tag: (name, count) for tag, _, name, count in found}


def _named(session: Session, here: Place, tags: Sequence[int]) -> _Tags:
    if not tags:
        return {}
    rows = select(Tag.id, Tag.name, TagCount.documents).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == here.number, among(TagCount.tag_id, tags))
    return {tag: (name, count) for tag, name, count in session.connection().execute(rows)}
