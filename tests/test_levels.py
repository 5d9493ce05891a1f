"""A level below the one asked is told as such and counts half; one that is not said is not held against anybody."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from api.matching import gap_json, recommendations_json
from indexing.documents import NewDocument
from matching.aliases import Aliases, aliases
from matching.compare import gap
from matching.documents import job_by_id
from matching.recommend import recommend
from matching.skills import BELOW_SHARE, is_below, rank, skill
from tests.collections import fill, off_side

NONE = Aliases()
JOBS = (
    NewDocument("lead", "Lead", "", ("Python (senior, 5 years)", "SQL")),
    NewDocument("starter", "Starter", "", ("Python", "SQL")),
)


@pytest.mark.parametrize(
    ("asked", "had", "below"),
    [
        ("Python (senior)", "Python (junior)", True), ("Python (senior)", "Python (expert)", False),
        ("Python (senior)", "Python", False), ("Python", "Python (junior)", False),
        ("Python - 5 years", "Python (1 year)", True), ("Python - 5 years", "Python, 7 years", False),
        ("Python (senior)", "Python (1 year)", True), ("Python (senior)", "Python, 6 years", False),
        ("Python, 5 years", "Python (junior)", True), ("Python, 5 years", "Python (expert)", False),
        ("אנגלית (רמה גבוהה)", "אנגלית (בסיסית)", True), ("אנגלית (טובה)", "אנגלית (שפת אם)", False),
        ("Python (senior, 5 years)", "Python (senior, 3 years)", True),
    ],
)  # fmt: skip
def test_levels_are_compared_with_levels_and_years_with_years(asked: str, had: str, below: bool) -> None:
    assert is_below(skill(asked, NONE), skill(had, NONE)) is below


@pytest.mark.parametrize(
    ("written", "known"),
    [("Python", 0), ("Python (basic)", 1), ("Python, 3 years", 2), ("Python (primary)", 0), ("אקסל (מומחה)", 4)],
)
def test_a_level_has_a_rank(written: str, known: int) -> None:
    assert rank(skill(written, NONE)) == known


def test_less_than_is_asked_is_told_with_both_levels_and_counts_half(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    job = job_by_id(session, "jobs", "lead")
    whole = gap(session, side, "jobs", job, ["Python (expert)"], aliases())
    half = gap(session, side, "jobs", job, ["Python (junior, 1 year)"], aliases())
    silent = gap(session, side, "jobs", job, ["Python"], aliases())
    assert half.coverage == pytest.approx(BELOW_SHARE * whole.coverage)
    assert silent.coverage == whole.coverage
    (answer,) = half.answers.matched
    assert (answer.kind, answer.score, answer.is_below) == ("exact", 1.0, True)
    told = gap_json(half, side)["matched"][0]
    assert (told["below"], told["level_asked"], told["level_had"]) == (True, "senior", "junior")
    assert (told["years_asked"], told["years_had"]) == (5, 1)
    assert not silent.answers.matched[0].is_below
    assert silent.answers.matched[0].level_asked == "senior"


def test_a_job_that_asks_for_less_fits_a_beginner_better(session: Session) -> None:
    fill(session, JOBS, "jobs")
    found = recommend(session, off_side(), "jobs", ["Python (junior)", "SQL"], "", 10, aliases())
    assert [one.id for one in found.fits] == ["starter", "lead"]
    assert found.fits[0].match_percent == 100 > found.fits[1].match_percent
    told = recommendations_json(found, off_side())["recommendations"]
    assert [one["matched"][-1]["below"] for one in told] == [False, True]


def test_below_comes_after_what_is_there_whole(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    found = gap(session, side, "jobs", job_by_id(session, "jobs", "lead"), ["Python (junior)", "SQL"], aliases())
    assert [one.required for one in found.answers.matched] == ["SQL", "Python (senior, 5 years)"]
