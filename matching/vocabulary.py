"""What a collection calls a person's skills: the very tags, and those that say nearly the same, in words or meaning."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from encoders.queue import EncoderAway
from matching.aliases import Aliases
from matching.collection_state import Place, size
from matching.idf import weights
from matching.mentions import named_skills
from matching.skills import BELOW_SHARE, Skill, is_below, parsed, says_how_well, skill
from matching.tag_names import alike
from models import Tag, TagCount, tag_number
from search.semantic import Semantic
from utils.sql import among, by_dialect

__all__ = ["Known", "Match", "Vocabulary", "named_skills", "size", "vocabulary"]

CLOSE_SHARE = 0.5  # MRR of profiles .975; .970 by 0.7 and .966 by 1
MOST_SPELLINGS = 4_000
MOST_UNKNOWN = 60  # skills that are no tag anywhere, which the model encodes: 0.2 s of e5, 3 ms each

# Tags that begin with a skill's key, up to the first character that cannot follow it as a word of its own: a range of
# the index each. `python` and `python (senior)` are between `python` and `python-`, and `pythonic` is not.
# CROSS, and LATERAL: from the keys to the tags and on to their counts. Left to itself, SQLite reads every tag of the
# collection for each key, and PostgreSQL all tags.
SPELLINGS_SQLITE = """
SELECT tag.id, tag.name, tag_count.documents FROM json_each(:keys) given
CROSS JOIN tag ON tag.key >= given.value AND tag.key < given.value || '-'
CROSS JOIN tag_count ON tag_count.tag_id = tag.id AND tag_count.collection_id = :collection
ORDER BY length(tag.key), tag.id LIMIT :most
"""
SPELLINGS_POSTGRESQL = """
SELECT spelled.id, spelled.name, tag_count.documents
FROM jsonb_array_elements_text(CAST(:keys AS jsonb)) AS given(value) CROSS JOIN LATERAL
  (SELECT id, name, key FROM tag WHERE key >= given.value AND key < given.value || '-' LIMIT :most) spelled
JOIN tag_count ON tag_count.tag_id = spelled.id AND tag_count.collection_id = :collection
ORDER BY length(spelled.key), spelled.id LIMIT :most
"""


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
_Near = dict[str, dict[int, float]]  # by a skill's key: tags that are close to it, and how close


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What of a collection's tags skills answer, by the skills' keys: the same for all people who name them."""

    exact: Mapping[str, Sequence[int]]
    near: _Near
    tags: _Tags
    weights: Mapping[int, float]
    is_whole: bool

    def known(self, skills: Sequence[Skill]) -> Known:
        """Return what one person's skills answer: a tag has its exact match, or the closest."""
        best: dict[int, Match] = {}
        for one in skills:
            for tag, strength in self.near.get(one.key, {}).items():
                if tag in self.tags and (tag not in best or strength > best[tag].strength):
                    best[tag] = self._match(one, "close", strength, tag)
        for one in skills:
            best |= {
                tag: self._match(one, "exact", 1.0, tag) for tag in self.exact.get(one.key, ()) if tag in self.tags
            }
        weights, counts = {tag: self.weights[tag] for tag in best}, {tag: self.tags[tag][1] for tag in best}
        return Known(best, weights, counts, self.is_whole)

    def _match(self, one: Skill, kind: str, strength: float, tag: int) -> Match:
        # What the tag asks is of interest where the person says how well the skill is known.
        return Match(one, kind, strength, parsed(self.tags[tag][0]) if says_how_well(one) else None)


def vocabulary(
    session: Session,
    semantic: Semantic,
    here: Place,
    skills: Sequence[Skill],
    aliases: Aliases,
    among_tags: Sequence[int] | None = None,
) -> Vocabulary:
    """Return what of a collection's tags, or of those given, the skills answer, in a fixed number of statements."""
    by_key = {one.key: one for one in skills}
    exact, tags = spellings(session, here, by_key, aliases)
    # A skill is compared as the collection spells it: that is stored, and needs no model.
    names = {key: tags[exact[key][0]][0] if key in exact else one.name for key, one in by_key.items()}
    near, is_whole = _close(session, semantic, names, among_tags)
    unknown = {key: one.name for key, one in by_key.items() if key not in exact}
    for key, found in zip(unknown, alike(session, here, list(unknown.values())), strict=True):
        near[key] = near.get(key, {}) | {
            tag: max(likeness, near.get(key, {}).get(tag, 0.0)) for tag, likeness in found.items()
        }
    tags |= _named(session, here, {tag for found in near.values() for tag in found} - tags.keys())
    if among_tags is not None:
        tags = {tag: tags[tag] for tag in among_tags if tag in tags}
    found = weights(session, here, np.array(list(tags), np.int64)).tolist()
    return Vocabulary(exact, near, tags, dict(zip(tags, found, strict=True)), is_whole)


def _close(
    session: Session, semantic: Semantic, names: Mapping[str, str], among_tags: Sequence[int] | None
) -> tuple[_Near, bool]:
    """Return tags close in meaning to named skills, by their keys; and whether all could be compared."""
    keys = {tag_number(name): key for key, name in names.items()}
    try:
        semantic.follow(session)
        found, is_whole = semantic.close_tags(session, list(names.values()), among_tags, MOST_UNKNOWN)
    except EncoderAway as away:
        semantic.note(away)
        return {}, False
    return {keys[tag]: near for tag, near in found.items() if near}, is_whole or semantic.is_off


def spellings(
    session: Session, here: Place, by_key: Collection[str], aliases: Aliases
) -> tuple[dict[str, list[int]], _Tags]:
    """Return the collection's tags that are one of the skills however written, shortest first, and all about them."""
    keys = [key for one in by_key for key in aliases.keys(one)]
    if not keys:
        return {}, {}
    statement = by_dialect(session, sqlite=SPELLINGS_SQLITE, postgresql=SPELLINGS_POSTGRESQL)
    values = {"keys": json.dumps(keys), "collection": here.number, "most": MOST_SPELLINGS}
    exact: dict[str, list[int]] = {}
    tags: _Tags = {}
    for tag, name, count in session.execute(text(statement), values):
        if (key := skill(name, aliases).key) in by_key:
            exact.setdefault(key, []).append(tag)
            tags[tag] = name, count
    return exact, tags


def _named(session: Session, here: Place, tags: Collection[int]) -> _Tags:
    if not tags:
        return {}
    rows = select(Tag.id, Tag.name, TagCount.documents).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == here.number, among(TagCount.tag_id, tags))
    return {tag: (name, count) for tag, name, count in session.connection().execute(rows)}
