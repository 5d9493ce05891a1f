"""What is older than the operator wants to keep it goes; what is younger, or in use, stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from config import BadSetting, read_settings
from indexing.documents import NewDocument, write_documents
from indexing.layout import Options
from jobs.imports import accept
from jobs.uploads import upload_path
from models import AuditEntry, Job, SavedSearch, Screening, db
from operations.audit import audit_entries, record
from operations.retention import DAY_S, DailyRetention, KeptDays, apply_retention
from runtime import runtime_of
from screening.store import create_screening
from screening.vocabulary import screened_job
from search.saved_searches import save_search
from tests.waiting import until

KEPT = KeptDays(screenings=10, searches=20, uploads=30, audit=40)
FOREVER = KeptDays(0, 0, 0, 0)


def aged(session: Session, folder: Path, days: int) -> None:
    """Store one of each, of an age."""
    at = int(time.time()) - days * DAY_S
    screening = create_screening(session, 1, screened_job(session, "jobs", "dev"), "people")
    session.execute(update(Screening).where(Screening.id == screening.id).values(used_at=at, state="done"))
    search = save_search(session, 1, "a search", f"/text?q={days}")
    session.execute(update(SavedSearch).where(SavedSearch.id == search.id).values(used_at=at))
    job = accept(session, folder, "a.csv", lambda path: path.write_bytes(b"id,title\n1,a\n"), Options("things"))
    os.utime(upload_path(folder, job), (at, at))
    report = {"new": 1, "rejects": [{"row": "a"}]}
    session.execute(update(Job).where(Job.id == job.id).values(updated_at=at, report=report))
    record(session, "sign-in", f"{days}", "key a")
    session.execute(update(AuditEntry).where(AuditEntry.what == f"{days}").values(at=at))
    session.commit()


@pytest.fixture
def folder(app: Flask) -> Path:
    with app.app_context():
        write_documents(db.session(), "jobs", [NewDocument("dev", "Developer", "", ("SQL",))])
        write_documents(db.session(), "people", [NewDocument("ann", "Ann", "", ("SQL",))])
    return runtime_of(app).upload_folder


def count(session: Session, table: type) -> int:
    return session.execute(select(func.count()).select_from(table)).scalar_one()


def test_what_is_too_old_goes_and_the_rest_stays(session: Session, folder: Path) -> None:
    for days in (5, 15, 25, 35, 45):
        aged(session, folder, days)
    assert apply_retention(session, FOREVER, folder) == dict.fromkeys(
        ("screenings", "saved searches", "uploads", "audit entries"), 0
    )
    counts = apply_retention(session, KEPT, folder)
    assert counts == {"screenings": 4, "saved searches": 3, "uploads": 2, "audit entries": 1}
    assert (count(session, Screening), count(session, SavedSearch), len(list(folder.iterdir()))) == (1, 2, 3)
    rejects = [job.report["rejects"] for job in session.execute(select(Job)).scalars()]
    assert (rejects.count([]), len(rejects)) == (2, 5)
    last = audit_entries(session, limit=1)[0]
    assert (last.who, last.action) == ("the site", "retention")
    assert last.what == "4 screenings, 3 saved searches, 2 uploads, 1 audit entries"
    assert apply_retention(session, KEPT, folder)["audit entries"] == 0


def test_what_is_at_work_stays_however_old(session: Session, folder: Path) -> None:
    aged(session, folder, 100)
    session.execute(update(Screening).values(state="waiting"))
    session.execute(update(Job).values(state="queued"))
    session.commit()
    counts = apply_retention(session, KEPT, folder)
    assert (counts["screenings"], counts["uploads"]) == (0, 0)
    assert session.execute(select(Job)).scalar_one().report["rejects"] == [{"row": "a"}]


def test_it_is_applied_by_itself(app: Flask, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        aged(db.session(), folder, 100)
        db.session.remove()
    monkeypatch.setattr("operations.retention.FIRST_S", 0)
    daily = DailyRetention(runtime_of(app).sessions, KEPT, folder)
    daily.start()
    daily.start()

    def is_gone() -> bool:
        with runtime_of(app).sessions() as session:
            return not count(session, Screening) and not count(session, SavedSearch)

    until(is_gone, "the day's deletions")


def test_the_settings_say_for_how_long(tmp_path: Path) -> None:
    given = {"INSTANCE_DIR": str(tmp_path)}
    settings = read_settings(given | {"SCREENING_DAYS": "0", "AUDIT_DAYS": "7"})
    kept = settings.screening_days, settings.saved_search_days, settings.upload_days, settings.audit_days
    assert kept == (0, 365, 30, 7)
    with pytest.raises(BadSetting, match="UPLOAD_DAYS='soon'"):
        read_settings(given | {"UPLOAD_DAYS": "soon"})
