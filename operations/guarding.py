"""What the memory guard did, as it tells it; a site without one has nothing to tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

KINDS = ("caches_dropped", "model_given_back", "text_only_over")
MOST_SHOWN = 20


class GuardEvent(Protocol):
    """What was done, when (seconds since 1970) and at how many megabytes of how many."""

    @property
    def at(self) -> float: ...
    @property
    def kind(self) -> str: ...
    @property
    def used_mb(self) -> float: ...
    @property
    def limit_mb(self) -> float: ...


class Guard(Protocol):
    """The newest events, how often each kind happened since the start, and how long only words are searched."""

    @property
    def events(self) -> Iterable[GuardEvent]: ...
    @property
    def counts(self) -> Mapping[str, int]: ...
    def text_only_left_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that the guard did."""

    at: float
    kind: str
    used_mb: float
    limit_mb: float


@dataclass(frozen=True, slots=True)
class GuardFigures:
    """The newest events first; counts by kind since the start; seconds for which only words are searched, or 0."""

    on: bool
    events: tuple[Done, ...]
    counts: dict[str, int]
    text_only_left_s: float


def guard_figures(guard: Guard | None) -> GuardFigures:
    counts = dict.fromkeys(KINDS, 0)
    if guard is None:
        return GuardFigures(False, (), counts, 0.0)
    events = sorted(list(guard.events), key=lambda one: -one.at)[:MOST_SHOWN]  # noqa: C414 - at once: others append to it
    shown = tuple(Done(one.at, one.kind, round(one.used_mb, 1), round(one.limit_mb, 1)) for one in events)
    return GuardFigures(True, shown, counts | dict(guard.counts), round(max(guard.text_only_left_s(), 0.0), 1))
