"""The run of a screening: cut off, it goes on; cancelled, deleted or taken over, it stops."""

from __future__ import annotations

import errno
import logging
import threading
import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from encoders.lazy import LazyEncoder
from encoders.manifest import ModelUnusable
from indexing.documents import NewDocument, delete_documents, write_documents
from jobs import runner as job_runner
from jobs.claims import SILENT_S, Claim, Queue, is_cut_off
from jobs.runner import Runner
from matching.aliases import Aliases
from models import Screening, ScreeningResult, document_number
from screening import runner as screening_runner
from screening.runner import MOST_PASSES, Run, ScreeningJobs
from screening.store import cancel, delete_screening, run_again
from search.semantic import Semantic
from tests.documents import document
from tests.fakes import HashedWords
from tests.screened import begun, filled, found, fresh, ids, opened, run, run_waiting


class Killed(BaseException):
    """The process is gone: nothing is told any more."""


@pytest.fixture
def side(session: Session, monkeypatch: pytest.MonkeyPatch) -> Semantic:
    monkeypatch.setattr(screening_runner, "BATCH", 2)
    monkeypatch.setattr(screening_runner, "PAUSES_S", (0.0, 0.0))
    return filled(session)


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], Any]], list[list[int]]]:
    """Do something before a batch of a run, and return the batches as they come."""

    def arranged(place: int, act: Callable[[], Any]) -> list[list[int]]:
        batches: list[list[int]] = []
        usual = Run._batch

        def batch(self: Run, session: Session, words: Any, asked: Sequence[Any], numbers: array[int]) -> None:
            batches.append(list(numbers))
            if len(batches) == place:
                act()
            usual(self, session, words, asked, numbers)

        monkeypatch.setattr(Run, "_batch", batch)
        return batches

    return arranged


def claimed(session: Session) -> Claim | None:
    return Queue(lambda: opened(session), Screening, "waiting").claim_next(threading.Event())


Between = Callable[[int, Callable[[], Any]], list[list[int]]]


def killed() -> None:
    raise Killed


def silence(session: Session, number: int) -> None:
    """Let so much time pass that a run is taken for cut off."""
    silent = Screening.updated_at - SILENT_S - 5
    session.execute(update(Screening).where(Screening.id == number).values(updated_at=silent))
    session.commit()


def counted(session: Session, number: int) -> int:
    session.rollback()
    rows = select(func.count()).select_from(ScreeningResult).where(ScreeningResult.screening_id == number)
    return int(session.execute(rows).scalar_one())


def test_a_run_that_was_cut_off_goes_on_where_it_was(session: Session, side: Semantic, between: Between) -> None:
    number = begun(session)
    batches = between(2, killed)
    with pytest.raises(Killed):
        run(session, side)
    one = fresh(session, number)
    assert (one.state, one.done, counted(session, number)) == ("running", 2, 2)
    assert not is_cut_off(one)
    assert run(session, side) == 0  # it may be alive still
    silence(session, number)
    assert is_cut_off(fresh(session, number))
    assert run(session, side) == 1
    assert (fresh(session, number).state, counted(session, number)) == ("done", 5)
    assert batches[0] not in batches[1:]
    assert sum(map(len, batches[2:])) == 3


def test_of_two_processes_one_runs_a_screening(session: Session, side: Semantic) -> None:
    number = begun(session)
    first = claimed(session)
    assert first is not None
    assert first.id == number
    assert claimed(session) is None


def test_a_run_whose_claim_was_taken_writes_nothing_more(session: Session, side: Semantic, between: Between) -> None:
    number = begun(session)

    def taken_over() -> None:
        silence(session, number)
        assert claimed(session) is not None

    between(2, taken_over)
    run(session, side)
    one = fresh(session, number)
    assert (one.state, one.done, counted(session, number)) == ("running", 2, 2)


def test_a_cancelled_run_stops_and_keeps_what_it_ranked(session: Session, side: Semantic, between: Between) -> None:
    number = begun(session)
    between(2, lambda: cancel(session, number))
    run(session, side)
    one = fresh(session, number)
    assert (one.state, one.done, counted(session, number)) == ("cancelled", 2, 2)
    assert len(found(session, one)) == 2
    assert not cancel(session, number)
    assert run_again(session, number)
    run(session, side)
    assert (fresh(session, number).state, counted(session, number)) == ("done", 5)


def test_a_deleted_screening_leaves_nothing(session: Session, side: Semantic, between: Between) -> None:
    number = begun(session)
    between(2, lambda: delete_screening(session, number))
    run(session, side)
    assert counted(session, number) == 0
    assert session.get(Screening, number) is None


STEPS = ("_rank", "_pass", "_vocabulary", "_left", "_batches", "_sure", "_batch", "_report")
HELD = (("_batch", False), ("_report", True))


@pytest.mark.parametrize(
    ("step", "is_before"),
    # Between a batch and its report the run holds the database.
    [(step, is_before) for step in STEPS for is_before in (True, False) if (step, is_before) not in HELD],
)
def test_one_deleted_at_any_step_ends_without_an_error(
    session: Session,
    side: Semantic,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    step: str,
    is_before: bool,
) -> None:
    number, usual = begun(session), getattr(Run, step)

    def deleting(*arguments: Any, **values: Any) -> Any:
        if is_before:
            delete_screening(session, number)
        result = usual(*arguments, **values)
        if not is_before:
            delete_screening(session, number)
        return result

    monkeypatch.setattr(Run, step, deleting)
    with caplog.at_level(logging.INFO):
        run(session, side)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert counted(session, number) == 0


def test_a_run_that_meets_a_full_disk_waits_and_goes_on(
    session: Session, side: Semantic, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, usual = begun(session), Run._batch

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Run, "_batch", full)
    with pytest.raises(OSError, match="No space"):
        run(session, side)
    assert (fresh(session, number).state, counted(session, number)) == ("waiting", 0)
    monkeypatch.setattr(Run, "_batch", usual)
    run(session, side)
    assert (fresh(session, number).state, counted(session, number)) == ("done", 5)


def test_what_is_imported_while_it_runs_is_ranked_as_it_is_now(
    session: Session, side: Semantic, between: Between
) -> None:
    number = begun(session)

    def imported() -> None:
        write_documents(session, "people", [NewDocument(name, "Changed", "", ("python",)) for name in ("lia", "avi")])
        write_documents(session, "people", [document(f"new{n}", "New", "", "SQL") for n in range(3)])

    between(2, imported)
    run(session, side)
    one = fresh(session, number)
    results = {result.id: result for result in found(session, one)}
    assert set(results) == {"noa", "dan", "lia", "avi", "nobody", "new0", "new1", "new2"}
    assert not any(result.is_changed for result in results.values())
    assert results["lia"].score == results["avi"].score > 0
    assert (one.done, one.total) == (8, 8)


def test_an_import_without_end_does_not_keep_a_run_from_ending(
    session: Session, side: Semantic, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, usual, passes = begun(session), Run._left, list[str]()

    def left(self: Run, own: Session, profiles: str) -> array[int]:
        passes.append(profiles)
        write_documents(session, "people", [document(f"new{len(passes)}", "New", "", "SQL")])
        return usual(self, own, profiles)

    monkeypatch.setattr(Run, "_left", left)
    run(session, side)
    assert len(passes) == MOST_PASSES
    assert fresh(session, number).state == "done"


def test_a_profile_deleted_between_reading_and_writing_is_left_out(
    session: Session, side: Semantic, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, usual, done = begun(session), screening_runner.profile_scores, list[int]()

    def scores(own: Session, documents: Any, *job: Any) -> Any:
        if not done:
            done.append(delete_documents(session, [document_number("people", "dan")]))
        return usual(own, documents, *job)

    order = sorted(document_number("people", name) for name in ("noa", "dan", "lia", "avi", "nobody"))
    place = order.index(document_number("people", "dan"))
    monkeypatch.setattr(screening_runner, "BATCH", place + 1)
    monkeypatch.setattr(screening_runner, "profile_scores", scores)
    run(session, side)
    one = fresh(session, number)
    assert one.state == "done"
    assert set(ids(session, one)) == {"noa", "lia", "avi", "nobody"}


def test_a_run_that_fails_says_so_and_can_go_on(session: Session, side: Semantic, between: Between) -> None:
    number = begun(session)

    def broken() -> None:
        raise ValueError("a fault of the tests")

    between(2, broken)
    run(session, side)
    one = fresh(session, number)
    assert (one.state, one.message, counted(session, number)) == ("failed", "ValueError: a fault of the tests", 2)
    assert run_again(session, number)
    run(session, side)
    assert fresh(session, number).state == "done"


def test_profiles_embedded_after_a_ranking_are_compared_in_the_next(session: Session, side: Semantic) -> None:
    number = begun(session)
    write_documents(session, "people", [document("late", "Late", "", "food safety of kitchens")])
    run(session, side)
    (late,) = [one for one in found(session, fresh(session, number)) if one.id == "late"]
    assert not late.answers.matched
    from indexing.embedding import embed

    assert side.lazy.encoder is not None
    embed(session, side.lazy.encoder)
    assert run_again(session, number)
    run(session, side)
    (late,) = [one for one in found(session, fresh(session, number)) if one.id == "late"]
    assert [one.required for one in late.answers.matched] == ["food safety rules"]


def test_skills_that_nobody_embedded_wait_for_the_model_and_are_told_where_it_stays_away(
    session: Session, side: Semantic, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_documents(session, "jobs", [document("raw", "Raw", "", "food safety of kitchens")])
    number = begun(session, "raw")

    def broken() -> HashedWords:
        raise ModelUnusable("a damaged folder")

    monkeypatch.setattr(screening_runner, "WAIT_STEP_S", 0.01)
    run(session, Semantic(LazyEncoder(broken, HashedWords.name), side.model.key, manifest=HashedWords.manifest))
    one = fresh(session, number)
    assert (one.state, one.message, found(session, one)[0].score) == ("done", "model", 0.0)
    idle = Semantic(LazyEncoder(HashedWords, HashedWords.name), side.model.key, manifest=HashedWords.manifest)
    assert run_again(session, number)
    run(session, idle)
    one = fresh(session, number)
    assert (one.message, ids(session, one)[0]) == ("", "dan")
    assert idle.state == "ready"


@pytest.mark.parametrize("said_s", [-SILENT_S - 5, 3_600])
def test_a_started_worker_takes_up_what_its_predecessor_left(
    app: Flask, session: Session, side: Semantic, monkeypatch: pytest.MonkeyPatch, said_s: int
) -> None:
    """Also what was said in the future: by a clock that was set back since."""
    number = begun(session)
    values = {"state": "running", "claim": 1, "updated_at": int(time.time()) + said_s}
    session.execute(update(Screening).where(Screening.id == number).values(**values))
    session.commit()
    monkeypatch.setattr(job_runner, "LOOK_EVERY_S", 0.01)
    engine = session.get_bind()
    screener = Runner("screenings", ScreeningJobs(lambda: Session(engine), side, Aliases))
    screener.wake().join(60)
    assert fresh(session, number).state == "done"
    another = begun(session)
    screener.wake().join(60)
    assert fresh(session, another).state == "done"


def test_screenings_run_one_after_another(session: Session, side: Semantic) -> None:
    numbers = [begun(session), begun(session, "cook")]
    session.rollback()
    assert run_waiting(lambda: opened(session), side, Aliases) == 2
    assert [fresh(session, number).state for number in numbers] == ["done", "done"]
