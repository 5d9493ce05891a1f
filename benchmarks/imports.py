"""Importing documents of 100 words into SQLite: how many a second, and the peak of memory, of 1 GB as well."""

from __future__ import annotations

import json
import random
import resource
import shutil
import time
from pathlib import Path

from benchmarks.figures import DATA, WORK, Figure, flask, tell

DOCUMENTS, WORDS = 40_000, 100
GIGABYTE = 2**30


def made(path: Path, bytes_each: int = 0) -> None:
    """Write documents of runs of words out of real Hebrew texts, filled up with a field that nobody wants."""
    chance = random.Random(2)
    words = [
        word for line in (DATA / "he_docs.jsonl").open(encoding="utf-8") for word in json.loads(line)["body"].split()
    ]
    with path.open("w", encoding="utf-8") as file:
        for number in range(DOCUMENTS):
            start = chance.randrange(len(words) - WORDS)
            body = " ".join(words[start : start + WORDS])
            row = {"id": str(number), "title": f"מסמך {number}", "body": body, "tags": [f"תגית {number % 50}"]}
            if bytes_each:
                row["raw"] = "{}[], " * (bytes_each // 6)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def main() -> None:
    wall, spent, peak, size = imported()
    large = imported(GIGABYTE // DOCUMENTS, "--drop", "raw")
    tell(
        [
            Figure("import of 100-word documents, SQLite, by the clock", round(DOCUMENTS / wall), "/s", ">= 2000"),
            Figure("import of 100-word documents, SQLite, by processor time", round(DOCUMENTS / spent), "/s"),
            Figure("peak of the importing process", round(peak), "MB", "<= 150"),
            Figure("peak of the importing process, a file of 1 GB", round(large[2]), "MB", "<= 150"),
            Figure("a file of 1 GB, by the clock", round(large[0]), "s"),
            Figure("database, each document", round(size / DOCUMENTS), "B"),
        ]
    )


def imported(bytes_each: int = 0, *options: str) -> tuple[float, float, float, int]:
    """Return seconds by the clock and of processors, the largest process's peak in MB, and the database's bytes."""
    instance = WORK / "imports"
    shutil.rmtree(instance, ignore_errors=True)
    instance.mkdir(parents=True)
    made(instance / "made.jsonl", bytes_each)
    flask(instance, "db", "upgrade")
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    flask(instance, "import", str(instance / "made.jsonl"), *options)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    size = (instance / "matmon.db").stat().st_size
    shutil.rmtree(instance)
    return wall, spent, after.ru_maxrss / 1024, size


if __name__ == "__main__":
    main()
