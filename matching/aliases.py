"""Skill aliases, read from the project's own file and the operator's."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from models import tag_key
from utils.prefix_hashes import PrefixHashes, prefix_hashes

OWN = Path(__file__).resolve().parents[1] / "data" / "skill-aliases.csv"
MOST_ALIASES = 20_000
log = logging.getLogger("matmon.matching")


@dataclass(frozen=True, slots=True)
class Aliases:
    """Maps aliases to skills and skills to aliases, by key; `prefix_hashes` are those of both."""

    names: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prefix_hashes: PrefixHashes = field(default_factory=lambda: prefix_hashes(()))

    def key(self, key: str) -> str:
        return self.names.get(key, key)

    def keys(self, key: str) -> tuple[str, ...]:
        """Return a skill's key and the keys of its aliases."""
        return (key, *self.groups.get(key, ()))


def aliases(site: Path | None = None) -> Aliases:
    """Return the project's aliases and the site's, which take precedence; the files are reread when they change."""
    return _read_files(tuple((path, path.stat().st_mtime_ns) for path in (OWN, site) if path and path.is_file()))


@lru_cache(maxsize=4)
def _read_files(files: Sequence[tuple[Path, int]]) -> Aliases:
    given: dict[str, str] = {}
    for path, _ in files:
        given |= _alias_rows(path)
    # An alias of an alias is followed to its end; a cycle resolves to its smallest key.
    names = {alias: _end(alias, given) for alias in given}
    groups: dict[str, tuple[str, ...]] = {}
    for alias, name in names.items():
        if alias != name:
            groups[name] = (*groups.get(name, ()), alias)
    return Aliases(names, groups, prefix_hashes((*names, *groups)))


def _end(alias: str, given: Mapping[str, str]) -> str:
    seen = {alias}
    while (after := given.get(alias)) and after not in seen:
        seen.add(after)
        alias = after
    return alias if after is None else min(seen)


def _alias_rows(path: Path) -> dict[str, str]:
    """Return {alias: skill} of the rows `alias,skill`; invalid rows are logged and skipped."""
    rows: dict[str, str] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, row in enumerate(csv.reader(file), 1):
                pair = [tag_key(cell) for cell in row]
                if len(pair) == 2 and all(pair) and pair[0] != pair[1] and len(rows) < MOST_ALIASES:
                    rows[pair[0]] = pair[1]
                elif any(pair):
                    log.warning("%s, line %s: not a row alias,skill; skipped", path.name, number)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        log.warning("Cannot read %s; skipped: %s", path.name, error)
    rows.pop("alias", None)
    return rows
