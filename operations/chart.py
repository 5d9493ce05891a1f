"""The last hour of memory as a picture: shapes for an SVG, one unit a second and a thousandth of the height."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from operations.guard import Done
from operations.history import EVERY_S, HOUR_S, Sample
from operations.memory import HIGH

HEIGHT = 1000
HEADROOM = 1.08  # so that the limit's line has its name above it
ROW_S = 300.0


@dataclass(frozen=True, slots=True)
class Line:
    """A level across the picture: its name, its height in per cent from the top, its megabytes."""

    name: str
    y: float
    mb: float


@dataclass(frozen=True, slots=True)
class Mark:
    """What the guard did, in per cent from the left."""

    x: float
    event: Done


@dataclass(frozen=True, slots=True)
class Chart:
    """Areas by part, one on the other, each a path; levels, the guard's marks; and the same as rows, newest first."""

    areas: dict[str, str]
    top: str
    levels: tuple[Line, ...]
    marks: tuple[Mark, ...]
    rows: tuple[Sample, ...]
    peak_mb: float
    ticks_s: tuple[float, ...] = (HOUR_S, HOUR_S / 2)  # how long ago the left end was, and the middle


def chart(samples: Sequence[Sample], events: Sequence[Done] = ()) -> Chart:
    """Return the picture of the hour that ends with the newest of the samples; there must be one at least."""
    end, limit = samples[-1].at, samples[-1].limit_mb
    peak = max(one.used_mb for one in samples)
    highest = max(limit, peak) * HEADROOM
    runs = list(unbroken(samples))

    def shape(bottom: Callable[[Sample], float], top: Callable[[Sample], float]) -> str:
        return "".join(area(run, end, highest, bottom, top) for run in runs)

    return Chart(
        areas={
            "application": shape(lambda _: 0.0, lambda one: one.parts_mb[2]),
            "model": shape(lambda one: one.parts_mb[2], lambda one: one.parts_mb[2] + one.parts_mb[0]),
            "kept": shape(lambda one: one.parts_mb[2] + one.parts_mb[0], lambda one: one.used_mb),
        },
        top="".join(path(run, end, highest, lambda one: one.used_mb) for run in runs),
        levels=tuple(
            Line(name, round(100 * (1 - mb / highest), 2), mb)
            for name, mb in (("limit", limit), ("high", limit * HIGH), ("half", limit / 2))
        ),
        marks=tuple(Mark(round(100 * x(one.at, end) / HOUR_S, 2), one) for one in events if end - one.at < HOUR_S),
        rows=tuple(spaced(samples)),
        peak_mb=round(peak, 1),
    )


def unbroken(samples: Sequence[Sample]) -> Iterator[list[Sample]]:
    """Yield runs without a gap: where the process slept, nothing is drawn."""
    run: list[Sample] = []
    for one in samples:
        if run and one.at - run[-1].at > 4 * EVERY_S:
            yield run
            run = []
        run.append(one)
    if run:
        yield run


def x(at: float, end: float) -> int:
    return round(min(max(HOUR_S - (end - at), 0.0), HOUR_S))


def y(mb: float, highest: float) -> int:
    return round(HEIGHT * (1 - mb / highest))


def path(run: Sequence[Sample], end: float, highest: float, value: Callable[[Sample], float], begin: str = "M") -> str:
    """Return a line from left to right; a run of one sample is drawn as long as a sample stands for."""
    points = [(x(one.at, end), y(value(one), highest)) for one in run]
    if len(points) == 1:
        points.insert(0, (max(points[0][0] - round(EVERY_S), 0), points[0][1]))
    return begin + "L".join(f"{across} {down}" for across, down in points)


def area(
    run: Sequence[Sample],
    end: float,
    highest: float,
    bottom: Callable[[Sample], float],
    top: Callable[[Sample], float],
) -> str:
    """Return what is between two lines; nothing where they are the same all along."""
    if all(top(one) <= bottom(one) for one in run):
        return ""
    there = path(run, end, highest, top)
    back = path(run, end, highest, bottom, "L").removeprefix("L").split("L")
    return f"{there}L{'L'.join(reversed(back))}Z"


def spaced(samples: Sequence[Sample]) -> Iterator[Sample]:
    """Yield a sample of each five minutes, the newest first."""
    last = float("inf")
    for one in reversed(samples):
        if last - one.at >= ROW_S:
            yield one
            last = one.at
