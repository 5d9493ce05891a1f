"""Matching: synthetic profiles find the role they aim at, and half of a role's skills find the role (ESCO)."""

from __future__ import annotations

import csv
import json
import random
import shutil
import statistics
import time
from collections.abc import Sequence

from benchmarks.figures import DATA, WORK, Figure, flask, tell

INSTANCE = WORK / "roles"
Case = tuple[Sequence[str], str]


def filled() -> None:
    shutil.rmtree(INSTANCE, ignore_errors=True)
    INSTANCE.mkdir(parents=True)
    shutil.copy(DATA / "job_roles.jsonl", INSTANCE)  # a copy: refused rows are written beside a file
    flask(INSTANCE, "db", "upgrade")
    flask(INSTANCE, "import", str(INSTANCE / "job_roles.jsonl"), "--collection", "jobs")
    flask(INSTANCE, "embed")


def profiles() -> list[Case]:
    with (DATA / "candidates_synthetic.csv").open(encoding="utf-8-sig", newline="") as file:
        return [(row["skills"].split(";"), row["target_role_id"]) for row in csv.DictReader(file)]


def halves(seed: int) -> list[Case]:
    """Return half of each role's skills, rounded down, chosen at random."""
    chance = random.Random(seed)
    with (DATA / "job_roles.jsonl").open(encoding="utf-8") as lines:
        roles = [json.loads(line) for line in lines]
    return [(chance.sample(sorted(r["skills"]), max(1, len(r["skills"]) // 2)), r["id"]) for r in roles]


def measured(cases: Sequence[Case], with_model: bool) -> tuple[float, float, float]:
    """Return MRR@10, recall@10 and the milliseconds of processor time for a case."""
    from app import create_app
    from config import read_settings
    from matching.aliases import aliases
    from matching.recommend import recommend
    from models import db
    from search.search import WITHOUT_MEANING

    app = create_app(read_settings({"INSTANCE_DIR": str(INSTANCE)}))
    side = app.extensions["matmon.semantic"] if with_model else WITHOUT_MEANING
    ranks = []
    with app.app_context():
        recommend(db.session(), side, "jobs", cases[0][0], "", 10, aliases())
        began = time.process_time()
        for names, target in cases:
            found = recommend(db.session(), side, "jobs", names, "", 10, aliases())
            ids = [one.id for one in found.fits]
            ranks.append(ids.index(target) + 1 if target in ids else 0)
        spent = (time.process_time() - began) * 1000 / len(cases)
        db.session.remove()
    return statistics.fmean(1 / r if r else 0 for r in ranks), statistics.fmean(r > 0 for r in ranks), spent


def main() -> None:
    filled()
    figures = []
    for name, with_model in (("exact skills", False), ("exact and close skills", True)):
        mrr, recall, ms = measured(profiles(), with_model)
        figures.append(Figure(f"Profiles, {name}: MRR@10", round(mrr, 4), bar=">= 0.967"))
        figures.append(Figure(f"Profiles, {name}: recall@10", round(recall, 4), bar=">= 1.0"))
        mrr, recall, _ = measured(halves(0), with_model)
        figures.append(Figure(f"Half of a role, {name}: MRR@10", round(mrr, 4), bar=">= 0.963"))
        figures.append(Figure(f"Half of a role, {name}: recall@10", round(recall, 4), bar=">= 0.988"))
        figures.append(Figure(f"Recommending, {name}: processor time", round(ms, 1), "ms"))
    tell(figures)


if __name__ == "__main__":
    main()
