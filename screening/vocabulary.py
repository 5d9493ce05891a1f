"""The skills that a screened job requires, and which of the profiles' tags match them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.collection_state import collection_size, collection_state
from matching.documents import job_by_id
from matching.idf import tag_idf
from matching.jobs import RequiredSkill, document_tags, required_skills, tags_in_order
from matching.limits import MOST_SKILLS, check_limits
from matching.matcher import EXACT, Matcher, SkillMatch, best_matches, skill_match
from matching.mentions import mentions
from matching.scores import Answers, answers, best_worths, shares_matched
from matching.skills import parsed_skill, skill
from models import TagCount, tag_number
from search.semantic import Semantic
from utils.messages import Refusal
from utils.sql import among

LONGEST_TITLE = 80


class Unscreenable(Refusal):
    """A screening that cannot start."""


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
        return best_matches(pair for tag in tags for pair in self.answers.get(tag, ()))

    def as_json(self) -> dict[str, Any]:
        """Return what the database stores: {tag: [name, [[index, strength], …]]}."""
        return {
            str(tag): [pairs[0][1].skill.text, [[index, _strength(match)] for index, match in pairs]]
            for tag, pairs in self.answers.items()
        }

    @classmethod
    def of_json(cls, stored: Mapping[str, Any], required: Sequence[RequiredSkill]) -> ScreeningVocabulary:
        return cls({int(tag): _matches(name, strengths, required) for tag, (name, strengths) in stored.items()})


def _strength(match: SkillMatch) -> float:
    return EXACT if match.kind == "exact" else round(match.strength, 4)


def _matches(
    name: str, strengths: Iterable[tuple[int, float]], required: Sequence[RequiredSkill]
) -> tuple[tuple[int, SkillMatch], ...]:
    had = parsed_skill(name)
    return tuple((index, skill_match(had, required[index].name, strength)) for index, strength in strengths)


def profile_scores(
    session: Session, profiles: Sequence[int], required: Sequence[RequiredSkill], vocabulary: ScreeningVocabulary
) -> dict[int, float]:
    """Return {profile: coverage of the job, 0 to 1} of the profiles that have tags; one statement."""
    tags = document_tags(session, profiles)
    worths = {tag: [(index, match.worth) for index, match in matches] for tag, matches in vocabulary.answers.items()}
    best = best_worths(tags, worths, len(required))
    covered = shares_matched(best, np.array([item.weight for item in required]))
    return dict(zip(tags.numbers.tolist(), covered.tolist(), strict=True))


def tags_by_profile(session: Session, profiles: Sequence[int]) -> dict[int, list[int]]:
    """Return {profile: tags}, without profiles that have none; one statement."""
    documents = document_tags(session, profiles)
    tags: dict[int, list[int]] = {}
    for owner, tag in zip(documents.owners.tolist(), documents.tags.tolist(), strict=True):
        tags.setdefault(int(documents.numbers[owner]), []).append(tag)
    return tags


def answers_of(required: Sequence[RequiredSkill], matches: Mapping[int, SkillMatch]) -> Answers:
    return answers(list(enumerate(required)), matches)


def screened_job(session: Session, collection: str, own_id: str) -> ScreenedJob:
    """Return the requirements of a stored job; raises NoSuchJob, and Unscreenable if it names no skill."""
    job = job_by_id(session, collection, own_id)
    tags = tags_in_order(session, [job.number]).get(job.number, [])
    if not tags:
        raise Unscreenable("no_skills")
    required = required_skills(session, collection_state(session, collection), {job.number: tags})[job.number]
    return ScreenedJob(collection, job.id, job.title, tuple(item for _, item in required))


def screened_text(session: Session, jobs: str, profiles: str, text: str, aliases: Aliases) -> ScreenedJob:
    """Return the skills of a pasted job that either collection knows; raises TooMuch and Unscreenable."""
    check_limits((), text)
    known = [mentions(session, name, text, MOST_SKILLS, aliases) for name in dict.fromkeys((jobs, profiles))]
    different = {skill(item.name, aliases).key: item.name for items in reversed(known) for item in reversed(items)}
    mentioned = list(reversed(different.values()))[:MOST_SKILLS]
    if not mentioned:
        raise Unscreenable("no_skills")
    base = jobs if collection_size(session, jobs) else profiles
    documents, counts = collection_size(session, base), _document_counts(session, base, mentioned)
    required = tuple(RequiredSkill(name, tag_idf(counts.get(tag_number(name), 0), documents)) for name in mentioned)
    title = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return ScreenedJob(jobs, "", title[:LONGEST_TITLE], required)


def _document_counts(session: Session, collection: str, names: Sequence[str]) -> dict[int, int]:
    rows = select(TagCount.tag_id, TagCount.documents).where(
        TagCount.collection_id == collection_state(session, collection).number,
        among(TagCount.tag_id, map(tag_number, names)),
    )
    return {row.tag_id: row.documents for row in session.execute(rows)}


def screening_vocabulary(
    session: Session, semantic: Semantic, jobs: str, profiles: str, required: Sequence[RequiredSkill], aliases: Aliases
) -> ScreeningVocabulary:
    """Return which of the profiles' tags match the required skills, and how well."""
    matcher = Matcher(session, semantic, collection_state(session, jobs), aliases)
    tags = matcher.profile_tags(collection_state(session, profiles), [item.name for item in required])
    matches = {tag: _matches(name, strengths.items(), required) for tag, (name, strengths) in tags.items()}
    return ScreeningVocabulary(matches, matcher.is_whole)
