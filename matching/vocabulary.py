"""Matches a person's skills to a collection's tags: exactly, by name similarity, or by embedding."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from encoders.queue import EncoderUnavailable
from matching.aliases import Aliases
from matching.collection_state import CollectionState, collection_size
from matching.idf import idf_weights
from matching.mentions import named_skills
from matching.skills import BELOW_SHARE, Skill, has_level, is_below, parsed_skill, skill
from matching.tag_names import tags_in_other_words
from models import Tag, TagCount, tag_number
from search.semantic import Semantic
from utils.sql import among, by_dialect

__all__ = ["KnownSkills", "SkillMatch", "SkillVocabulary", "collection_size", "named_skills", "skill_vocabulary"]

CLOSE_SHARE = 0.5  # MRR of profiles .975; .970 with 0.7 and .966 with 1
MOST_SPELLINGS = 4_000
MOST_UNKNOWN = 60  # skills that are not a tag and must be encoded: 0.2 s with e5, 3 ms each

# Tags that begin with a skill's key as whole words, as an index range: `python` and `python (senior)` lie between
# `python` and `python-`; `pythonic` does not.
# CROSS and LATERAL fix the join order, from keys to tags to counts; left alone, SQLite reads every tag of the
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
class SkillMatch:
    """A person's skill that matches a tag: exactly (strength 1) or closely; `required` is the parsed tag."""

    skill: Skill
    kind: str
    strength: float
    required: Skill | None = None

    @property
    def is_below(self) -> bool:
        """Whether the job requires a higher level or more years than the person has."""
        return self.required is not None and is_below(self.required, self.skill)

    @property
    def worth(self) -> float:
        """Return the share of the tag's weight that the match earns; a level below the required one halves it."""
        whole = self.strength if self.kind == "exact" else CLOSE_SHARE * self.strength
        return BELOW_SHARE * whole if self.is_below else whole


@dataclass(frozen=True, slots=True)
class KnownSkills:
    """The tags of a collection that match a person's skills: best match, weight and document count of each."""

    matches: Mapping[int, SkillMatch] = field(default_factory=dict)
    weights: Mapping[int, float] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)
    is_whole: bool = True  # False if skills that only the model can compare were left out


_Tags = dict[int, tuple[str, int]]  # {tag: (name, number of documents of the collection)}
_SimilarTags = dict[str, dict[int, float]]  # {skill key: {tag: similarity}}


@dataclass(frozen=True, slots=True)
class SkillVocabulary:
    """A collection's tags by the keys of the skills that match them; the same for everyone who has the skills."""

    exact: Mapping[str, Sequence[int]]
    similar: _SimilarTags
    tags: _Tags
    weights: Mapping[int, float]
    is_whole: bool

    def known(self, skills: Sequence[Skill]) -> KnownSkills:
        """Return the matches of one person's skills; an exact match of a tag wins, then the most similar."""
        best: dict[int, SkillMatch] = {}
        for item in skills:
            for tag, strength in self.similar.get(item.key, {}).items():
                if tag in self.tags and (tag not in best or strength > best[tag].strength):
                    best[tag] = self._match(item, "close", strength, tag)
        for item in skills:
            best |= {
                tag: self._match(item, "exact", 1.0, tag) for tag in self.exact.get(item.key, ()) if tag in self.tags
            }
        weights, counts = {tag: self.weights[tag] for tag in best}, {tag: self.tags[tag][1] for tag in best}
        return KnownSkills(best, weights, counts, self.is_whole)

    def _match(self, item: Skill, kind: str, strength: float, tag: int) -> SkillMatch:
        # The level that the tag requires matters only if the person states one.
        return SkillMatch(item, kind, strength, parsed_skill(self.tags[tag][0]) if has_level(item) else None)


def skill_vocabulary(
    session: Session,
    semantic: Semantic,
    state: CollectionState,
    skills: Sequence[Skill],
    aliases: Aliases,
    among_tags: Sequence[int] | None = None,
) -> SkillVocabulary:
    """Return which of a collection's tags, or of `among_tags`, the skills match; a fixed number of statements."""
    by_key = {item.key: item for item in skills}
    exact, tags = spellings(session, state, by_key, aliases)
    # A skill is compared in the collection's spelling, whose embedding is stored: no model needed.
    names = {key: tags[exact[key][0]][0] if key in exact else item.name for key, item in by_key.items()}
    similar, is_whole = _similar_tags(session, semantic, names, among_tags)
    unknown = {key: item.name for key, item in by_key.items() if key not in exact}
    for key, named in zip(unknown, tags_in_other_words(session, state, list(unknown.values())), strict=True):
        similar[key] = similar.get(key, {}) | {
            tag: max(strength, similar.get(key, {}).get(tag, 0.0)) for tag, strength in named.items()
        }
    tags |= _tags_with_names(session, state, {tag for near in similar.values() for tag in near} - tags.keys())
    if among_tags is not None:
        tags = {tag: tags[tag] for tag in among_tags if tag in tags}
    weights = idf_weights(session, state, np.array(list(tags), np.int64)).tolist()
    return SkillVocabulary(exact, similar, tags, dict(zip(tags, weights, strict=True)), is_whole)


def _similar_tags(
    session: Session, semantic: Semantic, names: Mapping[str, str], among_tags: Sequence[int] | None
) -> tuple[_SimilarTags, bool]:
    """Return the tags similar to named skills, by skill key, and whether all could be compared."""
    keys = {tag_number(name): key for key, name in names.items()}
    try:
        semantic.model.follow(session)
        similar, is_whole = semantic.similar_tags(session, list(names.values()), among_tags, MOST_UNKNOWN)
    except EncoderUnavailable as error:
        semantic.note(error)
        return {}, False
    return {keys[tag]: tags for tag, tags in similar.items() if tags}, is_whole or semantic.is_off


def spellings(
    session: Session, state: CollectionState, by_key: Collection[str], aliases: Aliases
) -> tuple[dict[str, list[int]], _Tags]:
    """Return the tags that spell one of the skills, by skill key, the shortest first; and {tag: (name, documents)}."""
    keys = [key for skill_key in by_key for key in aliases.keys(skill_key)]
    if not keys:
        return {}, {}
    statement = by_dialect(session, sqlite=SPELLINGS_SQLITE, postgresql=SPELLINGS_POSTGRESQL)
    values = {"keys": json.dumps(keys), "collection": state.number, "most": MOST_SPELLINGS}
    exact: dict[str, list[int]] = {}
    tags: _Tags = {}
    for tag, name, count in session.execute(text(statement), values):
        if (key := skill(name, aliases).key) in by_key:
            exact.setdefault(key, []).append(tag)
            tags[tag] = name, count
    return exact, tags


def _tags_with_names(session: Session, state: CollectionState, tags: Collection[int]) -> _Tags:
    if not tags:
        return {}
    rows = select(Tag.id, Tag.name, TagCount.documents).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == state.number, among(TagCount.tag_id, tags))
    return {tag: (name, count) for tag, name, count in session.connection().execute(rows)}
