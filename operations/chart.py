"""The last hour of memory as SVG shapes: one unit per second across, a thousandth of the height down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from operations.guard import Done
from operations.history import EVERY_S, HOUR_S, MemorySample
from operations.memory import HIGH

HEIGHT = 1000
HEADROOM = 1.08  # leaves room for the label above the limit line
ROW_S = 300.0


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal line: its name, height in per cent from the top, and megabytes."""

    name: str
    y: float
    mb: float


@dataclass(frozen=True, slots=True)
class Mark:
    """An action of the guard, in per cent from the left."""

    x: float
    event: Done


@dataclass(frozen=True, slots=True)
class Chart:
    """Stacked areas as SVG paths, lines, the guard's marks, and the same samples as rows, newest first."""

    areas: dict[str, str]
    top: str
    levels: tuple[Line, ...]
    marks: tuple[Mark, ...]
    rows: tuple[MemorySample, ...]
    peak_mb: float
    ticks_s: tuple[float, ...] = (HOUR_S, HOUR_S / 2)  # age of the left edge and of the middle


def chart(samples: Sequence[MemorySample], events: Sequence[Done] = ()) -> Chart:
    """Return the chart of the hour before the newest sample; needs at least one sample."""
    end, limit = samples[-1].at, samples[-1].limit_mb
    peak = max(sample.used_mb for sample in samples)
    highest = max(limit, peak) * HEADROOM
    runs = list(unbroken(samples))

    def shape(bottom: Callable[[MemorySample], float], top: Callable[[MemorySample], float]) -> str:
        return "".join(area(run, end, highest, bottom, top) for run in runs)

    return Chart(
        areas={
            "application": shape(lambda _: 0.0, lambda sample: sample.parts_mb[2]),
            "model": shape(lambda sample: sample.parts_mb[2], lambda sample: sample.parts_mb[2] + sample.parts_mb[0]),
            "kept": shape(lambda sample: sample.parts_mb[2] + sample.parts_mb[0], lambda sample: sample.used_mb),
        },
        top="".join(path(run, end, highest, lambda sample: sample.used_mb) for run in runs),
        levels=tuple(
            Line(name, round(100 * (1 - mb / highest), 2), mb)
            for name, mb in (("limit", limit), ("high", limit * HIGH), ("half", limit / 2))
        ),
        marks=tuple(
            Mark(round(100 * x(event.at, end) / HOUR_S, 2), event) for event in events if end - event.at < HOUR_S
        ),
        rows=tuple(spaced(samples)),
        peak_mb=round(peak, 1),
    )


def unbroken(samples: Sequence[MemorySample]) -> Iterator[list[MemorySample]]:
    """Yield runs of samples without a gap, such as when the process slept."""
    run: list[MemorySample] = []
    for sample in samples:
        if run and sample.at - run[-1].at > 4 * EVERY_S:
            yield run
            run = []
        run.append(sample)
    if run:
        yield run


def x(at: float, end: float) -> int:
    return round(min(max(HOUR_S - (end - at), 0.0), HOUR_S))


def y(mb: float, highest: float) -> int:
    return round(HEIGHT * (1 - mb / highest))


def path(
    run: Sequence[MemorySample], end: float, highest: float, value: Callable[[MemorySample], float], begin: str = "M"
) -> str:
    """Return a line from left to right; a single sample is drawn as wide as its interval."""
    points = [(x(sample.at, end), y(value(sample), highest)) for sample in run]
    if len(points) == 1:
        points.insert(0, (max(points[0][0] - round(EVERY_S), 0), points[0][1]))
    return begin + "L".join(f"{across} {down}" for across, down in points)


def area(
    run: Sequence[MemorySample],
    end: float,
    highest: float,
    bottom: Callable[[MemorySample], float],
    top: Callable[[MemorySample], float],
) -> str:
    """Return the area between two lines; empty if they coincide."""
    if all(top(sample) <= bottom(sample) for sample in run):
        return ""
    outline = path(run, end, highest, top)
    back = path(run, end, highest, bottom, "L").removeprefix("L").split("L")
    return f"{outline}L{'L'.join(reversed(back))}Z"


def spaced(samples: Sequence[MemorySample]) -> Iterator[MemorySample]:
    """Yield one sample per five minutes, newest first."""
    last = float("inf")
    for sample in reversed(samples):
        if last - sample.at >= ROW_S:
            yield sample
            last = sample.at
