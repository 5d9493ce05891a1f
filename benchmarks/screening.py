"""A screening: 10,000 profiles against one job, their list narrowed and exported; by the process that serves (ESCO)."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import many_jobs
from benchmarks.figures import DATA, WORK, Figure, flask, tell
from runtime import runtime_of

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from models import Screening

INSTANCE = WORK / "screening"
PROFILES = 10_000
HEAVY = ("cover_letter", "interview_notes", "previous_roles_notes")


def filled() -> None:
    """Make a site of 2,157 roles and 10,000 profiles: the 200 synthetic ones, each with skills drawn anew 50 times."""
    shutil.rmtree(INSTANCE, ignore_errors=True)
    INSTANCE.mkdir(parents=True)
    shutil.copy(many_jobs.filled("roles", len(many_jobs.roles())) / "matmon.db", INSTANCE)
    write_profiles(INSTANCE / "profiles.jsonl")
    flask(INSTANCE, "import", str(INSTANCE / "profiles.jsonl"), "--collection", "profiles")


def write_profiles(path: Path) -> None:
    chance = random.Random(0)
    with (DATA / "candidates_synthetic.csv").open(encoding="utf-8-sig", newline="") as file:
        people = list(csv.DictReader(file))
    known = sorted({skill.strip() for one in people for skill in one["skills"].split(";")})
    with path.open("w", encoding="utf-8") as out:
        for number in range(PROFILES):
            person = people[number % len(people)]
            own = [one.strip() for one in person["skills"].split(";")]
            skills = chance.sample(own, min(len(own), 5)) + chance.sample(known, 10)
            extra = {name: value for name, value in person.items() if name not in ("skills", *HEAVY)}
            row = {"id": f"P{number}", "title": person["full_name"], "body": person["summary"], "skills": skills}
            out.write(json.dumps(row | extra, ensure_ascii=False) + "\n")


def watched_peak(stop: threading.Event) -> Iterator[float]:
    """Yield the anonymous memory of this process in MB, sampled every 5 ms."""
    from utils.memory import MB, process_memory

    while not stop.wait(0.005):
        if now := process_memory(os.getpid()):
            yield now.anonymous / MB


def ranked() -> list[Figure]:
    """Run a screening in this process, its memory watched, and time what its page does."""
    from sqlalchemy import select
    from sqlalchemy.orm import Session

    from app import create_app
    from config import read_settings
    from matching.aliases import aliases
    from models import Document, Screening, db, number
    from screening.store import create_screening
    from screening.vocabulary import screened_job
    from tests.screened import run_waiting

    app = create_app(read_settings({"INSTANCE_DIR": str(INSTANCE)}))
    with app.app_context():
        engine, session = db.engine, db.session()
        roles = select(Document.own_id).where(Document.collection_id == number("collection", "jobs"))
        role = session.execute(roles.order_by(Document.id).limit(1)).scalar_one()
        screening = create_screening(session, 0, screened_job(session, "jobs", role), "profiles").id
        session.rollback()
        side = runtime_of(app).semantic
        figures = watched(lambda: run_waiting(lambda: Session(engine), side, aliases))
        found = session.get_one(Screening, screening, populate_existing=True)
        assert (found.state, found.done) == ("done", PROFILES), (found.state, found.done, found.message)
        figures.append(Figure("Tags that answer what the job asks for", len(found.vocabulary)))
        figures += paged(session, found)
        db.session.remove()
    return figures


def watched(run: Callable[[], object]) -> list[Figure]:
    from utils.memory import MB, process_memory

    stop, peak = threading.Event(), [0.0]
    watch = threading.Thread(target=lambda: peak.extend(watched_peak(stop)))
    at_rest = process_memory(os.getpid())
    watch.start()
    began, clock = time.process_time(), time.perf_counter()
    run()
    spent, took = time.process_time() - began, time.perf_counter() - clock
    stop.set()
    watch.join()
    above = max(peak) - (at_rest.anonymous / MB if at_rest else 0.0)
    return [
        Figure("Ranking: processor time, that of watching the memory included", round(spent, 2), "s", "<= 10"),
        Figure("Ranking: memory above rest, at its peak", round(above, 1), "MB", "<= 60"),
        Figure("Ranking: by the clock", round(took, 2), "s"),
    ]


def paged(session: Session, screening: Screening) -> list[Figure]:
    from werkzeug.datastructures import MultiDict

    from matching.aliases import aliases
    from screening.columns import Column
    from screening.listing import Listing
    from screening.results import ScreeningMatches

    columns, figures = [Column.of_json(one) for one in screening.columns], []
    asked = {
        "the first": {},
        "the 400th": {"page": "400"},
        "narrowed by city and years, most years first": {
            "city": "חיפה", "min_years_experience": "5", "sort": "-years_experience",
        },
        "narrowed by a skill": {"skill": screening.asked[0][0]},
    }  # fmt: skip
    for name, args in asked.items():
        began = time.process_time()
        total = (
            ScreeningMatches(session, screening, Listing.from_args(MultiDict(args), columns), aliases()).page().total
        )
        spent = round(1000 * (time.process_time() - began))
        figures.append(Figure(f"A page of 20, {name}, of {total:,}: processor time", spent, "ms"))
    began = time.process_time()
    count = sum(1 for _ in ScreeningMatches(session, screening, Listing(), aliases()).all())
    spent_s = round(time.process_time() - began, 2)
    return [*figures, Figure(f"Reading all {count:,} for an export: processor time", spent_s, "s")]


def main() -> None:
    filled()
    tell(ranked())


if __name__ == "__main__":
    main()
