"""Matching: does the right role come first, and what does it cost with 100,000 jobs on SQLite and PostgreSQL."""

from __future__ import annotations

from benchmarks.figures import Figure, tell
from benchmarks.many_jobs import JOBS, MODEL, filled, jobs, roles
from benchmarks.matching_quality import quality, sharing, tag_similarity
from benchmarks.matching_server import measured, settled_mb
from benchmarks.quality import postgresql


def main() -> None:
    few = filled("roles", len(roles()))
    many = filled("many-jobs", JOBS, few)
    figures = [
        *quality(few),
        *tag_similarity(MODEL),
        *sharing(MODEL, [row["skills"] for row in jobs(JOBS)]),
        *measured("SQLite", many),
        growth("SQLite", settled_mb(few), settled_mb(many)),
    ]
    with postgresql() as environment:
        before = settled_mb(filled("roles-postgresql", len(roles()), few, **environment), **environment)
    with postgresql() as environment:
        served = filled("many-jobs-postgresql", JOBS, few, **environment)
        figures += measured("PostgreSQL", served, **environment)
        figures.append(growth("PostgreSQL", before, settled_mb(served, **environment)))
    tell(figures)


def growth(name: str, before: float, after: float) -> Figure:
    return Figure(f"{name}: memory with {JOBS} jobs over {len(roles())}", round(after - before, 1), "MB more", "<= 30")


if __name__ == "__main__":
    main()
