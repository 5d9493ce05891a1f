"""Importing documents of 100 words into SQLite: documents a second of processor time, and the process's peak."""

from __future__ import annotations

import json
import random
import resource
import shutil
import time
from pathlib import Path

from benchmarks.figures import DATA, WORK, Figure, flask, tell

DOCUMENTS, WORDS = 40_000, 100


def made(path: Path) -> None:
    """Write documents of runs of words out of real Hebrew texts."""
    chance = random.Random(2)
    words = [
        word for line in (DATA / "he_docs.jsonl").open(encoding="utf-8") for word in json.loads(line)["body"].split()
    ]
    with path.open("w", encoding="utf-8") as file:
        for number in range(DOCUMENTS):
            start = chance.randrange(len(words) - WORDS)
            body = " ".join(words[start : start + WORDS])
            row = {"id": str(number), "title": f"מסמך {number}", "body": body, "tags": [f"תגית {number % 50}"]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> None:
    instance = WORK / "imports"
    shutil.rmtree(instance, ignore_errors=True)
    instance.mkdir(parents=True)
    made(instance / "made.jsonl")
    flask(instance, "db", "upgrade")
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    flask(instance, "import", str(instance / "made.jsonl"))
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = (instance / "matmon.db").stat().st_size
    tell(
        [
            Figure("import of 100-word documents, SQLite, by the clock", round(DOCUMENTS / wall), "/s", ">= 2000"),
            Figure("import of 100-word documents, SQLite, by processor time", round(DOCUMENTS / spent), "/s"),
            Figure("peak of the importing process", round(after.ru_maxrss / 1024), "MB", "<= 150"),
            Figure("database, each document", round(size / DOCUMENTS), "B"),
        ]
    )
    shutil.rmtree(instance)


if __name__ == "__main__":
    main()
