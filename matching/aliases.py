"""Other names of skills, read from files: the project's own and the site's."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from models import tag_key
from utils.prefix_hashes import Beginnings, beginnings

OWN = Path(__file__).resolve().parents[1] / "data" / "skill-aliases.csv"
MOST_ALIASES = 20_000
log = logging.getLogger("matmon.matching")


@dataclass(frozen=True, slots=True)
class Aliases:
    """What a key stands for, and all keys that stand for the same; `beginnings` is how the other names begin."""

    names: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    beginnings: Beginnings = field(default_factory=lambda: beginnings(()))

    def key(self, key: str) -> str:
        return self.names.get(key, key)

    def keys(self, key: str) -> tuple[str, ...]:
        """Return the key under which a skill is known, and its other names."""
        return (key, *self.groups.get(key, ()))


def aliases(site: Path | None = None) -> Aliases:
    """Return the project's aliases and a site's, whose rows count more; read anew when a file changes."""
    return _read(tuple((path, path.stat().st_mtime_ns) for path in (OWN, site) if path and path.is_file()))


@lru_cache(maxsize=4)
def _read(files: Sequence[tuple[Path, int]]) -> Aliases:
    given: dict[str, str] = {}
    for path, _ in files:
        given |= _rows(path)
    # A name may lead to another alias; it is followed to its end, and a circle ends where it began.
    names = {alias: _end(alias, given) for alias in given}
    groups: dict[str, tuple[str, ...]] = {}
    for alias, name in names.items():
        if alias != name:
            groups[name] = (*groups.get(name, ()), alias)
    return Aliases(names, groups, beginnings(names))


def _end(alias: str, given: Mapping[str, str]) -> str:
    seen = {alias}
    while (after := given.get(alias)) and after not in seen:
        seen.add(after)
        alias = after
    return alias if after is None else min(seen)


def _rows(path: Path) -> dict[str, str]:
    """Return the rows `alias,skill` of a file; those that are not so are told in the log and left out."""
    found: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                pair = [tag_key(cell) for cell in row]
                if len(pair) == 2 and all(pair) and pair[0] != pair[1] and len(found) < MOST_ALIASES:
                    found[pair[0]] = pair[1]
                elif any(pair):
                    log.warning("%s, line %s: a row is alias,skill; this one is left out", path.name, number)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        log.warning("%s cannot be read, and is left out: %s", path.name, error)
    found.pop("alias", None)
    return found
