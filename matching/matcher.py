"""Finds which tags match which skills, and how well: exactly, by embedding, or by name similarity.

Recommendations, skill gaps, comparisons and screenings share it. A skill is what a person has, and a tag is what a job
requires; a screening asks the other way round, for the tags of profiles that match a job's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from encoders.queue import EncoderUnavailable
from matching.aliases import Aliases
from matching.collection_state import CollectionState
from matching.idf import idf_weights
from matching.skills import BELOW_SHARE, Skill, has_level, is_below, parsed_skill, skill
from matching.tag_names import MIN_NAME_SIMILARITY, indexed_names
from models import Tag, TagCount, tag_number
from search.semantic import Semantic
from utils.sql import among, by_dialect

CLOSE_SHARE = 0.5  # MRR of profiles .975; .970 with 0.7 and .966 with 1
EXACT = 2.0  # strength of an exact match; that of a close one is a similarity, 1 at most
MOST_SPELLINGS = 4_000
MOST_UNKNOWN = 60  # skills that are not a tag and must be encoded: 0.2 s with e5, 3 ms each
MOST_PROFILE_TAGS = 100_000  # of the profiles, the most used ones, that are compared by embedding
MOST_REWORDED = 20_000  # of those, that are compared by name; 0.1 ms each
TAGS_AT_ONCE = 2_000  # 3 MB of embeddings
MOST_CLOSE = 20_000  # pairs of a required skill and a similar tag of a profile; the most similar are kept

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


def skill_match(had: Skill, tag_name: str, strength: float) -> SkillMatch:
    """Return the match of a person's skill with a job's tag; `strength` is EXACT or a similarity."""
    # The level that the tag requires matters only if the person states one.
    required = parsed_skill(tag_name) if has_level(had) else None
    kind, similarity = ("exact", 1.0) if strength == EXACT else ("close", strength)
    return SkillMatch(had, kind, similarity, required)


def best_matches(candidates: Iterable[tuple[int, SkillMatch]]) -> dict[int, SkillMatch]:
    """Return, of (key of a required skill, match), each key's match that is worth most; an exact one wins a tie."""
    best: dict[int, SkillMatch] = {}
    for key, match in candidates:
        other = best.get(key)
        if other is None or (match.worth, match.kind == "exact") > (other.worth, other.kind == "exact"):
            best[key] = match
    return best


@dataclass(frozen=True, slots=True)
class MatchingTags:
    """A collection's tags that match skills, with strengths by skill key; the same for everyone who has the skills.

    `tags` are {tag: (name, documents of the collection)}. `is_whole` is False if some skills await the model.
    """

    strengths: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    tags: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    is_whole: bool = True

    def matches(self, skills: Iterable[Skill]) -> dict[int, SkillMatch]:
        """Return the best match of each tag among one person's skills."""
        return best_matches(
            (tag, skill_match(item, self.tags[tag][0], strength))
            for item in skills
            for tag, strength in self.strengths.get(item.key, {}).items()
            if tag in self.tags
        )


@dataclass(frozen=True, slots=True)
class KnownSkills:
    """The tags of a collection that match a person's skills: best match, weight and document count of each."""

    matches: Mapping[int, SkillMatch]
    weights: Mapping[int, float]
    counts: Mapping[int, int]


def known_skills(
    session: Session, state: CollectionState, matching: MatchingTags, skills: Iterable[Skill]
) -> KnownSkills:
    """Return the matches of one person's skills with the weights of their tags; at most one statement."""
    matches = matching.matches(skills)
    weights = idf_weights(session, state, np.array(list(matches), np.int64)).tolist()
    return KnownSkills(
        matches, dict(zip(matches, weights, strict=True)), {tag: matching.tags[tag][1] for tag in matches}
    )


_Tags = dict[int, tuple[str, int]]


class Matcher:
    """Matches skills with the tags of a collection of jobs; `is_whole` turns False if some await the model."""

    def __init__(self, session: Session, semantic: Semantic, jobs: CollectionState, aliases: Aliases) -> None:
        self._session, self._semantic, self._jobs, self._aliases = session, semantic, jobs, aliases
        self.is_whole = True

    def matching_tags(self, skills: Iterable[Skill], among_tags: Sequence[int] | None = None) -> MatchingTags:
        """Return which tags of the jobs, or of `among_tags`, match the skills; a fixed number of statements."""
        by_key = {item.key: item.name for item in skills}
        exact, tags = self._spelled(self._jobs, by_key)
        # A skill is compared in the collection's spelling, whose embedding is stored: no model needed.
        names = {key: tags[exact[key][0]][0] if key in exact else name for key, name in by_key.items()}
        strengths: dict[str, dict[int, float]] = defaultdict(dict)
        similar = self._similar(list(names.values()), [among_tags])
        reworded = self._reworded({key: name for key, name in by_key.items() if key not in exact})
        for key, name in names.items():
            _merge(strengths[key], similar.get(tag_number(name), {}))
            _merge(strengths[key], reworded.get(key, {}))
            strengths[key] |= dict.fromkeys(exact.get(key, ()), EXACT)
        tags |= self._with_counts({tag for near in strengths.values() for tag in near} - tags.keys())
        if among_tags is not None:
            tags = {tag: tags[tag] for tag in among_tags if tag in tags}
        return MatchingTags(strengths, tags, self.is_whole)

    def profile_tags(
        self, profiles: CollectionState, required: Sequence[str]
    ) -> dict[int, tuple[str, dict[int, float]]]:
        """Return {tag of a profile: (name, {index of a required skill: strength})}.

        Stored tags are compared without the model; it is needed only for required skills without an embedding.
        """
        keys = [skill(name, self._aliases).key for name in required]
        indexes: dict[int, list[int]] = defaultdict(list)
        for index, name in enumerate(required):
            indexes[tag_number(name)].append(index)
        names = self._profile_tag_names(profiles)
        strengths: dict[int, dict[int, float]] = defaultdict(dict)
        for required_tag, tag, strength in (
            *self._similar_pairs(required, list(names)),
            *self._reworded_pairs(dict(list(names.items())[:MOST_REWORDED]), indexes.keys()),
        ):
            _merge(strengths[tag], dict.fromkeys(indexes[required_tag], strength))
        exact, spelled = self._spelled(profiles, keys)
        for index, key in enumerate(keys):
            for tag in exact.get(key, ()):
                strengths[tag][index] = EXACT
        names |= {tag: name for tag, (name, _) in spelled.items()}
        return {tag: (names[tag], dict(sorted(by_index.items()))) for tag, by_index in strengths.items()}

    def _spelled(self, state: CollectionState, keys: Collection[str]) -> tuple[dict[str, list[int]], _Tags]:
        """Return the tags that spell one of the skills, by skill key, the shortest first; and {tag: (name, count)}."""
        with_aliases = [key for skill_key in keys for key in self._aliases.keys(skill_key)]
        if not with_aliases:
            return {}, {}
        statement = by_dialect(self._session, sqlite=SPELLINGS_SQLITE, postgresql=SPELLINGS_POSTGRESQL)
        values = {"keys": json.dumps(with_aliases), "collection": state.number, "most": MOST_SPELLINGS}
        exact: dict[str, list[int]] = {}
        tags: _Tags = {}
        for tag, name, count in self._session.execute(text(statement), values):
            if (key := skill(name, self._aliases).key) in keys:
                exact.setdefault(key, []).append(tag)
                tags[tag] = name, count
        return exact, tags

    def _similar(self, names: Sequence[str], blocks: Iterable[Sequence[int] | None]) -> dict[int, dict[int, float]]:
        """Return {tag key of a name: {tag: similarity}} by embedding, among each block of tags; all tags for None."""
        similar: dict[int, dict[int, float]] = defaultdict(dict)
        try:
            self._semantic.model.follow(self._session)
            for tags in blocks:
                near, is_whole = self._semantic.similar_tags(self._session, names, tags, MOST_UNKNOWN)
                self.is_whole = self.is_whole and (is_whole or self._semantic.is_off)
                for key, strengths in near.items():
                    similar[key] |= strengths
        except EncoderUnavailable as error:
            self._semantic.note(error)
            self.is_whole = False
            return {}
        return similar

    def _reworded(self, names: Mapping[str, str]) -> dict[str, dict[int, float]]:
        """Return {skill key: {tag: similarity}} by name, of skills that no job has as a tag."""
        if not names:
            return {}
        index = indexed_names(self._session, self._jobs).name_index
        return {key: index.similar(name, MIN_NAME_SIMILARITY) for key, name in names.items()}

    def _similar_pairs(self, required: Sequence[str], tags: Sequence[int]) -> list[tuple[int, int, float]]:
        """Return (required tag, tag of a profile, similarity by embedding), the most similar MOST_CLOSE."""
        blocks = [tags[start : start + TAGS_AT_ONCE] for start in range(0, len(tags), TAGS_AT_ONCE)]
        similar = self._similar(required, blocks)
        pairs = [(key, tag, strength) for key, near in similar.items() for tag, strength in near.items()]
        return sorted(pairs, key=lambda pair: (-pair[2], pair[1], pair[0]))[:MOST_CLOSE]

    def _reworded_pairs(self, names: Mapping[int, str], required: Collection[int]) -> Iterator[tuple[int, int, float]]:
        """Yield (required tag, tag of a profile, similarity by name)."""
        for start in range(0, len(names), TAGS_AT_ONCE):
            block = {tag: skill(names[tag], self._aliases) for tag in list(names)[start : start + TAGS_AT_ONCE]}
            known, _ = self._spelled(self._jobs, {item.key for item in block.values()})
            # A skill that jobs have as a tag is matched by that tag alone, not by words it shares with others.
            reworded = self._reworded({item.key: item.name for item in block.values() if item.key not in known})
            for tag, item in block.items():
                near = reworded.get(item.key, {})
                yield from ((required_tag, tag, near[required_tag]) for required_tag in near.keys() & required)

    def _profile_tag_names(self, profiles: CollectionState) -> dict[int, str]:
        """Return {tag: name} of the profiles' tags, the most used first."""
        rows = select(Tag.id, Tag.name).join(TagCount, TagCount.tag_id == Tag.id)
        rows = rows.where(TagCount.collection_id == profiles.number)
        ordered = rows.order_by(TagCount.documents.desc(), Tag.id).limit(MOST_PROFILE_TAGS)
        return {row.id: row.name for row in self._session.execute(ordered)}

    def _with_counts(self, tags: Collection[int]) -> _Tags:
        if not tags:
            return {}
        rows = select(Tag.id, Tag.name, TagCount.documents).join(TagCount, TagCount.tag_id == Tag.id)
        rows = rows.where(TagCount.collection_id == self._jobs.number, among(TagCount.tag_id, tags))
        return {tag: (name, count) for tag, name, count in self._session.connection().execute(rows)}


def _merge(strengths: dict[int, float], others: Mapping[int, float]) -> None:
    """Raise strengths to those of `others` that are greater."""
    for key, strength in others.items():
        strengths[key] = max(strength, strengths.get(key, 0.0))
