"""A screening ranks every profile as the skill gap of one person does, and its list is narrowed in the database."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import event, update
from sqlalchemy.orm import Session

from indexing.documents import NewDocument, delete_documents, write_documents
from matching.aliases import Aliases
from matching.compare import gap, jobs_matrix
from matching.documents import NoSuchJob, job_by_id
from matching.recommend import recommend
from models import Screening, ScreeningResult, document_number
from screening import store as screenings
from screening.columns import MOST_COLUMNS, MOST_VALUES, of_values
from screening.results import status_counts, written_since
from screening.store import (
    KEPT_SCREENINGS,
    LONGEST_NOTE,
    NoteTooLong,
    create_screening,
    decide,
    delete_screening,
    delete_unopened_screenings,
    run_again,
    saved_screenings,
)
from screening.vocabulary import Unscreenable, screened_job, screened_text
from tests.collections import off_side
from tests.documents import document
from tests.screened import PEOPLE, begun, filled, found, fresh, ids, ranked, run

NO_ALIASES = Aliases()


def test_screening_skill_gap_recommendation_and_comparison_agree_on_each_profile(session: Session) -> None:
    side = filled(session)
    one = ranked(session, side)
    assert (one.state, one.done, one.total, one.message) == ("done", 5, 5, "")
    job = job_by_id(session, "jobs", "dev")
    people = {person.own_id: person for person in PEOPLE}
    results = found(session, one)
    assert len(results) == 5
    for result in results:
        skills = people[result.id].tags
        alone = gap(session, side, "jobs", job, skills, NO_ALIASES)
        fits = recommend(session, side, "jobs", skills, "", 100, NO_ALIASES).fits
        column = jobs_matrix(session, side, "jobs", [job], skills, NO_ALIASES).columns[0]
        coverages = [fit.coverage for fit in fits if fit.id == "dev"] or [0.0]
        assert [*coverages, column.coverage] == pytest.approx([alone.coverage] * 2), result.id
        assert (result.match_percent, result.score) == (alone.match_percent, pytest.approx(alone.coverage)), result.id
        assert set(result.answers.missing) == set(alone.answers.missing)
        assert {a.required for a in result.answers.matched} == {a.required for a in alone.answers.matched}


def test_the_best_come_first_with_what_they_have_what_is_close_and_what_is_missing(session: Session) -> None:
    one = ranked(session, filled(session))
    first, second, *_ = found(session, one)
    assert [first.id, second.id] == ["noa", "dan"]
    assert {(a.required, a.kind) for a in first.answers.matched} == {
        ("Python (senior)", "exact"), ("SQL", "exact"), ("Git (an advantage)", "exact"),
    }  # fmt: skip
    assert first.answers.missing == ("food safety rules",)
    assert [(a.required, a.skill) for a in second.answers.matched if a.kind == "close"] == [
        ("food safety rules", "food safety")
    ]
    assert second.answers.missing_optional == ("Git (an advantage)",)


def test_without_a_model_what_is_named_exactly_or_in_nearly_the_same_words_counts(session: Session) -> None:
    filled(session)
    one = ranked(session, off_side())
    assert ids(session, one)[0] == "noa"
    close = {(a.required, a.skill) for each in found(session, one) for a in each.answers.matched if a.kind == "close"}
    assert close == {("food safety rules", "food safety")}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("skill=sql", {"noa", "dan"}),
        ("skill=SQL&skill=Git", {"noa"}),
        ("not_skill=python", {"dan", "lia", "avi", "nobody"}),
        ("skill=nothing", set()),
        ("language=he", {"noa", "avi"}),
        ("min_years=5", {"noa", "lia"}),
        ("min_years=3&max_years=7.5", {"dan", "lia"}),
        ("city=חיפה", {"noa", "avi"}),
        ("city=acre", {"dan", "lia"}),
        ("city=Haifa&city=חיפה", {"noa", "avi", "dan"}),
        ("city=Hai", set()),
        ("city=' OR 1=1 --", set()),
        ("shoe=44", {"noa", "dan", "lia", "avi", "nobody"}),
        ("min_years=many", {"noa", "dan", "lia", "avi", "nobody"}),
        ("status=rejected", set()),
    ],
)
def test_a_list_is_narrowed(session: Session, address: str, expected: set[str]) -> None:
    side = filled(session)
    write_documents(session, "people", [NewDocument("avi", "אבי", "", ("בישול",), "he", extra={"city": "חיפה"})])
    assert set(ids(session, ranked(session, side), address)) == expected


def test_a_list_is_sorted_numbers_as_numbers_and_what_has_none_last(session: Session) -> None:
    side = filled(session)
    one = ranked(session, side)
    assert [column["kind"] for column in one.columns if column["name"] == "years"] == ["text"]  # one is no number
    assert set(ids(session, one, "sort=title")) == {person.own_id for person in PEOPLE}
    write_documents(session, "people", [NewDocument("avi", "אבי", "", ("בישול",), "he")])
    one = ranked(session, side)
    assert ids(session, one, "sort=-years")[:3] == ["noa", "lia", "dan"]
    assert ids(session, one, "sort=years")[:3] == ["dan", "lia", "noa"]


def test_a_page_beyond_the_end_is_empty_and_the_total_stays(session: Session) -> None:
    one = ranked(session, filled(session))
    assert ids(session, one, "limit=2&page=3") == [ids(session, one)[4]]
    assert ids(session, one, "limit=2&page=9") == []


def test_a_page_takes_as_many_statements_for_many_as_for_one(session: Session) -> None:
    side = filled(session)
    write_documents(session, "people", [document(f"p{n}", f"P{n}", "", "SQL") for n in range(120)])
    one = ranked(session, side)
    counts = []
    found(session, one)
    for address in ("limit=1", "limit=100", "limit=100&skill=SQL&city=Acre&min_years=1&sort=title"):
        seen: list[str] = []
        engine = session.get_bind()
        listen = lambda *args: seen.append(args[2])  # noqa: E731, B023
        event.listen(engine, "before_cursor_execute", listen)
        found(session, one, address)
        event.remove(engine, "before_cursor_execute", listen)
        counts.append(len(seen))
    assert len(set(counts)) == 1
    assert counts[0] <= 5


def test_what_was_decided_is_kept_and_counted_and_survives_a_new_ranking(session: Session) -> None:
    side = filled(session)
    one = ranked(session, side)
    assert decide(session, one, "dan", "shortlisted", "להתקשר מחר")
    assert not decide(session, one, "stranger", "rejected", "")
    with pytest.raises(NoteTooLong):
        decide(session, one, "dan", "new", "a" * (LONGEST_NOTE + 1))
    assert status_counts(session, one) == {"new": 4, "shortlisted": 1, "rejected": 0}
    write_documents(session, "people", [NewDocument("dan", "Dan", "", ("SQL", "python", "Git"), "en")])
    assert run_again(session, one.id)
    run(session, side)
    (dan,) = found(session, fresh(session, one.id), "status=shortlisted")
    assert (dan.id, dan.note, dan.answers.missing) == ("dan", "להתקשר מחר", ("food safety rules",))


def test_a_changed_profile_is_told_and_ranked_again_and_a_deleted_one_goes(session: Session) -> None:
    side = filled(session)
    one = ranked(session, side)
    before = {result.id: result.score for result in found(session, one)}
    write_documents(session, "people", [NewDocument("lia", "Lia", "", ("Python", "SQL", "Git"), "en")])
    write_documents(session, "people", [document("new", "New", "", "SQL")])
    delete_documents(session, [document_number("people", "nobody")])
    assert written_since(session, one) == 2
    now = {result.id: result for result in found(session, one)}
    assert set(now) == set(before) - {"nobody"}
    assert [name for name, result in now.items() if result.is_changed] == ["lia"]
    assert run_again(session, one.id)
    run(session, side)
    one = fresh(session, one.id)
    after = {result.id: result for result in found(session, one)}
    assert set(after) == {"noa", "dan", "lia", "avi", "new"}
    assert after["lia"].score > before["lia"]
    assert not any(result.is_changed for result in after.values())
    assert written_since(session, one) == 0


def test_a_screening_keeps_what_the_job_asked_for_when_the_job_is_gone(session: Session) -> None:
    side = filled(session)
    number = begun(session)
    delete_documents(session, [document_number("jobs", "dev")])
    run(session, side)
    one = fresh(session, number)
    assert (one.state, one.title, ids(session, one)[0]) == ("done", "Python developer", "noa")
    with pytest.raises(NoSuchJob):
        screened_job(session, "jobs", "dev")


def test_what_cannot_be_screened_is_refused_with_its_reason(session: Session) -> None:
    filled(session)
    write_documents(session, "gone", [document("a", "A")])
    delete_documents(session, [document_number("gone", "a")])
    wanted = screened_job(session, "jobs", "dev")
    for code, call in (
        ("no_skills", lambda: screened_job(session, "jobs", "blank")),
        ("no_skills", lambda: screened_text(session, "jobs", "people", "qqq zzz", NO_ALIASES)),
        ("no_collection", lambda: create_screening(session, 1, wanted, "nowhere")),
        ("no_profiles", lambda: create_screening(session, 1, wanted, "gone")),
    ):
        with pytest.raises(Unscreenable) as refused:
            call()
        assert refused.value.code == code


def test_a_pasted_job_is_ranked_by_the_skills_that_it_names(session: Session) -> None:
    side = filled(session)
    wanted = screened_text(session, "jobs", "people", "דרושה מפתחת\nSQL, Git and food safety.", NO_ALIASES)
    assert wanted.title == "דרושה מפתחת"
    assert [one.name for one in wanted.required] == ["SQL", "Git", "food safety"]
    number = create_screening(session, 1, wanted, "people").id
    run(session, side)
    assert ids(session, fresh(session, number))[0] in ("dan", "noa")


def test_the_oldest_without_a_decision_gives_way_and_one_with_decisions_stays(session: Session) -> None:
    filled(session)
    wanted = screened_job(session, "jobs", "dev")
    first = ranked(session, off_side()).id
    decide(session, fresh(session, first), "noa", "rejected", "")
    numbers = [create_screening(session, 1, wanted, "people").id for _ in range(KEPT_SCREENINGS - 1)]
    session.execute(update(Screening).where(Screening.id != first).values(state="done"))
    session.execute(update(Screening).where(Screening.id == numbers[3]).values(used_at=Screening.used_at - 100))
    session.commit()
    create_screening(session, 2, wanted, "people")
    assert len(saved_screenings(session, None)) == KEPT_SCREENINGS + 1  # another's takes nobody's place
    create_screening(session, 1, wanted, "people")
    left = {one.id for one in saved_screenings(session, [1])}
    assert len(left) == KEPT_SCREENINGS
    assert first in left
    assert numbers[3] not in left
    assert len(saved_screenings(session, [2])) == 1


def test_where_each_has_decisions_there_is_no_room_until_one_is_old_or_forgotten(session: Session) -> None:
    one = ranked(session, filled(session)).id
    wanted = screened_job(session, "jobs", "dev")
    numbers = [create_screening(session, 1, wanted, "people").id for _ in range(KEPT_SCREENINGS - 1)]
    session.execute(update(ScreeningResult).values(note="kept"))
    session.commit()
    with pytest.raises(Unscreenable) as refused:
        create_screening(session, 1, wanted, "people")
    assert refused.value.code == "no_room"
    delete_screening(session, numbers[0])
    create_screening(session, 1, wanted, "people")
    session.execute(
        update(Screening).where(Screening.id == one).values(used_at=Screening.used_at - 1_000, state="done")
    )
    session.commit()
    assert delete_unopened_screenings(session, int(time.time()) - 500) == 1
    create_screening(session, 1, wanted, "people")
    assert one not in {kept.id for kept in saved_screenings(session, None)}


def test_the_screenings_of_one_owner_hold_so_many_results(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    side = filled(session)
    first, second = ranked(session, side).id, ranked(session, side).id
    monkeypatch.setattr(screenings, "MOST_RESULTS_OF_CLIENT", 2 * len(PEOPLE))
    session.execute(update(Screening).where(Screening.id == first).values(used_at=Screening.used_at - 100))
    session.commit()
    begun(session)
    assert first not in {one.id for one in saved_screenings(session, None)}
    assert second in {one.id for one in saved_screenings(session, None)}
    begun(session)
    with pytest.raises(Unscreenable):  # the two that are left wait for their run
        begun(session)


def test_an_owner_who_comes_again_without_a_cookie_gets_no_more_places(session: Session) -> None:
    filled(session)
    wanted = screened_job(session, "jobs", "dev")
    for browser in range(1, KEPT_SCREENINGS + 1):
        create_screening(session, browser, wanted, "people", client=7)
    with pytest.raises(Unscreenable):
        create_screening(session, 1_000, wanted, "people", client=7)
    create_screening(session, 1_000, wanted, "people", client=8)


def test_who_has_no_key_shares_room_and_leaves_that_of_keys_alone(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(session)
    wanted = screened_job(session, "jobs", "dev")
    monkeypatch.setattr(screenings, "MOST_ANONYMOUS", 3)
    of_key = create_screening(session, -9, wanted, "people").id
    numbers = [create_screening(session, browser, wanted, "people").id for browser in (1, 2, 3)]
    session.execute(update(Screening).values(state="done", used_at=Screening.used_at - 2_000))
    session.commit()
    with pytest.raises(Unscreenable) as refused:  # each was opened today
        create_screening(session, 4, wanted, "people")
    assert refused.value.code == "no_room"
    create_screening(session, -9, wanted, "people")
    session.execute(update(Screening).values(used_at=Screening.used_at - 86_400))
    session.commit()
    create_screening(session, 4, wanted, "people")
    left = {one.id for one in saved_screenings(session, None)}
    assert of_key in left
    assert len(left & set(numbers)) == 2


def test_columns_are_short_values_of_the_profiles_and_bounded() -> None:
    rows = [
        {"years": str(n), "city": f"city {n % 3}", "name": f"N {n}", "long": "x" * 200, "list": [n]} for n in range(9)
    ]
    made = {one.name: one for one in of_values(rows)}
    assert (made["years"].kind, made["years"].least, made["years"].most) == ("number", 0, 8)
    assert made["city"].values == ("city 0", "city 1", "city 2")
    assert not made["name"].is_offered  # as many as profiles: nobody chooses among them
    assert set(made) == {"years", "city", "name"}
    assert len(of_values([{f"column {n}": n for n in range(500)}])) == MOST_COLUMNS
    assert of_values([{"word": f"w{n}"} for n in range(MOST_VALUES + 5)] * 4)[0].values == ()
