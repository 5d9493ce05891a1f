"""Jobs that fit and skills that lack: exact and close, rare and common, bounded, in a fixed number of statements."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from indexing.documents import NewDocument, write_documents
from matching.aliases import aliases
from matching.compare import Gap, gap
from matching.documents import NoSuchJob, SeveralJobs, job_by_id, job_by_title
from matching.limits import TooMuch
from matching.mentions import mentions
from matching.recommend import Recommendations, recommend
from models import db
from search.semantic import Semantic
from tests.collections import fill, off_side

JOBS = (
    NewDocument(
        "dev", "Python developer", "Writes services.", ("Python (senior, 5 years)", "SQL", "Git", "English"), "en"
    ),
    NewDocument("data", "Data analyst", "Finds out.", ("SQL", "Excel", "statistics", "Tableau (nice to have)"), "en"),
    NewDocument("lead", "ראש צוות", "מוביל אנשים.", ("ניהול צוות - 3 שנים", "English", "Git"), "he"),
    NewDocument("cook", "Cook", "Cooks for guests.", ("cooking", "food safety rules", "English"), "en"),
    NewDocument("cook-2", "COOK", "Cooks for schools.", ("cooking", "English"), "en"),
    NewDocument("blank", "A job without skills", "Anything at all.", (), "en"),
)
KNOWN = aliases()


@contextmanager
def counted() -> Iterator[list[str]]:
    said: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    yield said
    event.remove(db.engine, "before_cursor_execute", note)


def asked(session: Session, side: Semantic, *names: str, said: str = "", limit: int = 10) -> Recommendations:
    return recommend(session, side, "jobs", names, said, limit, KNOWN)


def compared(session: Session, side: Semantic, own_id: str, *names: str) -> Gap:
    return gap(session, side, "jobs", job_by_id(session, "jobs", own_id), names, KNOWN)


def test_the_job_whose_skills_one_has_comes_first_and_says_why(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    best = asked(session, side, "python 3", "sql", "GIT").fits[0]
    assert best.id == "dev"
    assert {(one.required, one.skill, one.kind, one.score) for one in best.answers.matched} == {
        ("Python (senior, 5 years)", "python 3", "exact", 1.0),
        ("SQL", "sql", "exact", 1.0),
        ("Git", "GIT", "exact", 1.0),
    }
    assert best.answers.missing == ("English",)
    assert 0 < best.score < 1


def test_everything_asked_for_is_a_hundred_percent_and_nothing_is_none(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    whole = asked(session, side, "Python", "SQL", "Git", "English").fits[0]
    assert (whole.id, whole.match_percent, round(whole.score, 9)) == ("dev", 100, 1.0)
    assert asked(session, side, "juggling").fits == ()


def test_an_empty_profile_matches_nothing(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    for names, said in (((), ""), (("", "  "), " \n"), (("-",), "")):
        found = asked(session, side, *names, said=said)
        assert found.is_empty
        assert found.fits == ()
    assert compared(session, side, "dev").match_percent == 0


def test_a_rare_skill_weighs_more_than_a_common_one(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    rare, common = compared(session, side, "dev", "python"), compared(session, side, "dev", "english")
    assert rare.coverage > common.coverage > 0


def test_what_is_nice_to_have_weighs_less_and_is_told_apart(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    without = compared(session, side, "data", "SQL", "Excel", "statistics")
    assert without.answers.missing == ()
    assert without.answers.missing_optional == ("Tableau (nice to have)",)
    assert without.coverage > compared(session, side, "data", "SQL", "Excel", "Tableau").coverage
    assert next(one for one in compared(session, side, "data", "tableau").answers.matched).is_optional


def test_aliases_match_and_so_do_hebrew_skills_with_years(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    assert compared(session, side, "dev", "py").answers.matched[0].kind == "exact"
    assert [one.id for one in asked(session, side, "ניהול צוות (בכיר)").fits] == ["lead"]
    assert [one.id for one in asked(session, off_side(), "אקסל").fits] == ["data"]


def test_a_close_skill_counts_for_less_and_names_its_evidence(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    best = asked(session, side, "food safety").fits[0]
    (answer,) = best.answers.matched
    assert (best.id, answer.kind, answer.required, answer.skill) == (
        "cook",
        "close",
        "food safety rules",
        "food safety",
    )
    assert 0 < answer.score < 1
    same = compared(session, side, "cook", "food safety")
    assert same.answers.matched == best.answers.matched
    assert same.coverage < compared(session, side, "cook", "food safety rules").coverage


def test_without_a_model_exact_skills_match(session: Session) -> None:
    write_documents(session, "jobs", JOBS)
    assert asked(session, off_side(), "python").fits[0].id == "dev"
    assert asked(session, off_side(), "safe food").fits == ()
    assert compared(session, off_side(), "dev", "python").is_whole


def test_extra_skills_are_told(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    assert compared(session, side, "dev", "Python", "juggling").extra == ("juggling",)


def test_a_job_without_skills_is_compared_with_nothing(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    found = compared(session, side, "blank", "Python")
    assert (found.match_percent, found.asks, found.extra) == (0, 0, ("Python",))


def test_a_job_is_found_by_title_and_an_ambiguous_title_names_the_choices(session: Session) -> None:
    fill(session, JOBS, "jobs")
    assert job_by_title(session, "jobs", "python DEVELOPER").id == "dev"
    with pytest.raises(SeveralJobs) as several:
        job_by_title(session, "jobs", "cook")
    assert {one for one, _ in several.value.choices} == {"cook", "cook-2"}
    with pytest.raises(NoSuchJob):
        job_by_title(session, "jobs", "astronaut")
    with pytest.raises(NoSuchJob):
        job_by_id(session, "elsewhere", "dev")


def test_skills_are_found_in_a_text_longest_first_with_hebrew_prefixes_and_aliases(session: Session) -> None:
    fill(
        session,
        [*JOBS, NewDocument("rules", "Rules", "", ("food safety", "ניהול", "ניהול צוות", "Node.js", "C++"))],
        "jobs",
    )
    said = "Seven years of SQL and food safety rules. Node.js, C++! יש לי ניסיון בניהול צוות וגם Excel"
    found = [mention.skill for mention in mentions(session, "jobs", said, 200, KNOWN)]
    assert found == ["SQL (7 years)", "food safety rules", "Node.js", "C++", "ניהול צוות", "Excel"]


def test_a_pasted_text_is_matched_by_the_skills_it_names(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    found = asked(session, side, said="I have written SQL, and used Git every day.")
    assert found.found == ("SQL", "Git")
    assert found.fits[0].id == "dev"
    assert found.fits[0].semantic is None


def test_the_meaning_of_a_text_finds_jobs_though_it_names_no_skill(session: Session) -> None:
    side = fill(session, JOBS, "jobs")
    found = asked(session, side, said="cooks for guests")
    assert (found.skills, found.fits[0].id) == ((), "cook")
    assert found.fits[0].score > 0.7
    assert found.fits[0].semantic == pytest.approx(1.0)


def test_without_a_model_the_words_of_a_text_find_jobs(session: Session) -> None:
    fill(session, JOBS, "jobs")
    found = asked(session, off_side(), said="cooks for guests")
    assert (found.fits[0].id, found.fits[0].semantic) == ("cook", None)
    assert found.fits[0].score == found.fits[0].text
    assert asked(session, off_side(), said="juggling").is_empty


def test_no_name_goes_across_lines_or_commas(session: Session) -> None:
    fill(session, JOBS, "jobs")
    assert mentions(session, "jobs", "food, safety rules. Food\nsafety rules", 200, KNOWN) == []


@pytest.mark.parametrize("said", ["", "x", "\ud800", "a " * 20_000, "🙂" * 1_000, "'\"%_;--", "\0"])
def test_any_text_is_read(session: Session, said: str) -> None:
    side = fill(session, JOBS, "jobs")
    assert asked(session, side, said[:200], said=said).documents == len(JOBS)


def test_more_than_a_request_may_hold_is_refused(session: Session) -> None:
    for names, said in ((["a"] * 201, ""), (["a" * 201], ""), ([], "a" * 100_001)):
        with pytest.raises(TooMuch):
            recommend(session, off_side(), "jobs", names, said, 10, KNOWN)


def test_the_statements_are_as_many_for_many_jobs_and_many_skills_as_for_few(session: Session) -> None:
    names = [f"skill {n} of many" for n in range(60)]
    rng = random.Random(0)
    jobs = [NewDocument(f"j{n}", f"Job {n}", "text", tuple(rng.sample(names, 8))) for n in range(600)]
    side = fill(session, jobs[:150], "jobs")  # more than meaning alone ranks
    asked(session, side, *jobs[0].tags, said="skill 1 of many")
    with counted() as few:
        assert asked(session, side, *jobs[0].tags, said="skill 1 of many", limit=1).fits
    fill(session, jobs, "jobs")
    asked(session, side, *names, said="skill 1 of many")
    with counted() as many:
        assert len(asked(session, side, *names, said="skill 1 of many", limit=100).fits) == 100
    assert len(many) <= len(few) <= 20


def test_every_job_with_a_shared_skill_is_scored_the_same_as_alone(session: Session) -> None:
    """The list's percentage is the one that the page of the job says."""
    side = fill(session, JOBS, "jobs")
    names = ("python", "SQL", "English", "food safety", "juggling")
    for one in asked(session, side, *names).fits:
        found = compared(session, side, one.id, *names)
        assert (found.match_percent, found.answers) == (one.match_percent, one.answers)
