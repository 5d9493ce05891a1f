"""Which results of a screening to list, parsed from a URL; any URL is valid, and a listing can be written as one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from screening.columns import LONGEST_VALUE, Column
from screening.store import STATUSES
from search.query import LAST_VERSION, clean_names, clean_text, url_parameters, within

PAGE_LIMIT, MOST_LIMIT, LAST_PAGE = 20, 100, 5_000
MOST_NARROWED = 12  # columns that one URL may filter by
MOST_CHOSEN = 10  # values of one column, combined with OR
OWN = frozenset({"skill", "not_skill", "status", "language", "sort", "page", "limit", "since", "lang", "format"})


class ListingArgs(Protocol):
    """The part of werkzeug's MultiDict that is used here."""

    def get(self, key: str, /) -> str | None: ...
    def getlist(self, key: str, /) -> list[str]: ...
    def __iter__(self) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True)
class Listing:
    """Filters and order of results; `sort` is score, title or a column's name, with a leading `-` for descending.

    A column is filtered by `NAME=VALUE` (repeatable, OR) or, if numeric, by `min_NAME` and `max_NAME`; unknown ones
    are ignored.
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
    since: int = 0  # only profiles written after this data version

    @classmethod
    def from_args(cls, args: ListingArgs, columns: Sequence[Column]) -> Listing:
        """Return the listing of a URL; what cannot be parsed takes its default."""
        known = {column.name: column for column in columns}
        numeric = frozenset(name for name, column in known.items() if column.kind == "number")
        sort = args.get("sort") or ""
        return cls(
            skills=clean_names(args.getlist("skill")),
            not_skills=clean_names(args.getlist("not_skill")),
            statuses=tuple(column for column in STATUSES if column in args.getlist("status")),
            language=clean_text(args.get("language") or "")[:16].lower(),
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
        """Return the URL's parameters with changes applied, without those at their default."""
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
        return url_parameters(values | changes)

    def address(self, **changes: object) -> str:
        return urlencode(self.args(**changes), doseq=True)


def _chosen(args: ListingArgs, known: Mapping[str, Column]) -> dict[str, tuple[str, ...]]:
    values: dict[str, tuple[str, ...]] = {}
    for name in list(args)[: 10 * MOST_NARROWED]:
        given = [clean_text(value)[:LONGEST_VALUE] for value in args.getlist(name)[:MOST_CHOSEN]]
        chosen = tuple(dict.fromkeys(value for value in given if value))
        if name in known and name not in OWN and chosen and len(values) < MOST_NARROWED:
            values[name] = chosen
    return values


def _ends(args: ListingArgs, prefix: str, numeric: frozenset[str]) -> dict[str, float]:
    limits: dict[str, float] = {}
    for name in list(args)[: 10 * MOST_NARROWED]:
        column = name.removeprefix(prefix)
        if name.startswith(prefix) and column in numeric and len(limits) < MOST_NARROWED:
            try:
                end = float(args.get(name) or "")
            except ValueError:
                continue
            if math.isfinite(end) and abs(end) < 1e15:
                limits[column] = end
    return limits
