"""A screening's results as they are asked for: made once from an address, always valid, able to write itself back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from screening.columns import LONGEST_VALUE, Column
from screening.store import STATUSES
from search.query import LAST_VERSION, clean, names, spelled, within

PAGE_LIMIT, MOST_LIMIT, LAST_PAGE = 20, 100, 5_000
MOST_NARROWED = 12  # columns that one address may narrow by
MOST_CHOSEN = 10  # values of one column, any of which will do
OWN = frozenset({"skill", "not_skill", "status", "language", "sort", "page", "limit", "since", "lang", "format"})


class Args(Protocol):
    """What werkzeug's MultiDict offers of itself here."""

    def get(self, key: str, /) -> str | None: ...
    def getlist(self, key: str, /) -> list[str]: ...
    def __iter__(self) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class Listing:
    """Which results, in which order; `sort` is score, title, or a column's name, after `-` the most first.

    A column is narrowed by `NAME=VALUE` (any of several) or, of numbers, `min_NAME` and `max_NAME`; what an address
    says of columns that the profiles do not have is passed over.
    """

    skills: tuple[str, ...] = ()
    not_skills: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    language: str = ""
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    least: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)
    numeric: frozenset[str] = frozenset()
    sort: str = "score"
    page: int = 1
    limit: int = PAGE_LIMIT
    since: int = 0  # only what was written after this version of the database

    @classmethod
    def from_args(cls, args: Args, columns: Sequence[Column]) -> Listing:
        """Return what an address asks for; what cannot be understood takes its default, and is never an error."""
        known = {one.name: one for one in columns}
        numeric = frozenset(name for name, one in known.items() if one.kind == "number")
        sort = args.get("sort") or ""
        return cls(
            skills=names(args.getlist("skill")),
            not_skills=names(args.getlist("not_skill")),
            statuses=tuple(one for one in STATUSES if one in args.getlist("status")),
            language=clean(args.get("language") or "")[:16].lower(),
            values=_chosen(args, known),
            least=_ends(args, "min_", numeric),
            most=_ends(args, "max_", numeric),
            numeric=numeric,
            sort=sort if sort == "title" or sort.removeprefix("-") in known else "score",
            page=within(args.get("page"), 1, LAST_PAGE, 1),
            limit=within(args.get("limit"), 1, MOST_LIMIT, PAGE_LIMIT),
            since=within(args.get("since"), 0, LAST_VERSION, 0),
        )

    @property
    def is_narrowed(self) -> bool:
        return bool(
            self.skills or self.not_skills or self.statuses or self.language or self.values or self.least or self.most
            or self.since
        )  # fmt: skip

    def args(self, **changes: object) -> dict[str, object]:
        """Return the address's parameters, those at their default left out, with changes."""
        values: dict[str, object] = {
            "skill": list(self.skills),
            "not_skill": list(self.not_skills),
            "status": list(self.statuses),
            "language": self.language,
            **{name: list(chosen) for name, chosen in self.values.items()},
            **{f"min_{name}": f"{end:g}" for name, end in self.least.items()},
            **{f"max_{name}": f"{end:g}" for name, end in self.most.items()},
            "sort": "" if self.sort == "score" else self.sort,
            "page": "" if self.page == 1 else self.page,
            "limit": "" if self.limit == PAGE_LIMIT else self.limit,
            "since": self.since or "",
        }
        return spelled(values | changes)

    def address(self, **changes: object) -> str:
        return urlencode(self.args(**changes), doseq=True)


def _chosen(args: Args, known: Mapping[str, Column]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name in list(args)[: 10 * MOST_NARROWED]:
        given = [clean(value)[:LONGEST_VALUE] for value in args.getlist(name)[:MOST_CHOSEN]]
        chosen = tuple(dict.fromkeys(value for value in given if value))
        if name in known and name not in OWN and chosen and len(found) < MOST_NARROWED:
            found[name] = chosen
    return found


def _ends(args: Args, prefix: str, numeric: frozenset[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in list(args)[: 10 * MOST_NARROWED]:
        column = name.removeprefix(prefix)
        if name.startswith(prefix) and column in numeric and len(found) < MOST_NARROWED:
            try:
                end = float(args.get(name) or "")
            except ValueError:
                continue
            if math.isfinite(end) and abs(end) < 1e15:
                found[column] = end
    return found
