"""What `flask check` prints a line about, and what it finds in the settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import click

from config import Settings, declared, renamed_in_use
from web.current import runtime


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. A remark is no fault: it tells what could be better, or need not be."""

    state: Literal["ok", "remark", "WRONG"]
    said: str


def ok(said: str) -> Finding:
    return Finding("ok", said)


def remark(said: str) -> Finding:
    return Finding("remark", said)


def wrong(said: str, do: str) -> Finding:
    return Finding("WRONG", f"{said}: {do}" if do else said)


def show(parts: Iterable[tuple[str, Callable[[Settings], Iterator[Finding]]]]) -> None:
    """Print each finding as it is made, and end with 1 where one is wrong."""
    is_wrong = False
    for name, findings in parts:
        for finding in findings(runtime().settings):
            click.echo(f"{finding.state:<7} {name}: {finding.said}")
            is_wrong = is_wrong or finding.state == "WRONG"
    sys.exit(1 if is_wrong else 0)


def settings_findings(_settings: Settings) -> Iterator[Finding]:
    """Yield each setting in the environment, without the value of a secret, and each old name."""
    names_set = [each for each in declared().values() if each.name in os.environ]
    for each in names_set:
        yield ok(f"{each.name} is set" if each.is_secret else f"{each.name}={os.environ[each.name]}")
    for sentence in renamed_in_use(os.environ):
        yield remark(sentence)
    if not names_set:
        yield remark("every setting has its default")
