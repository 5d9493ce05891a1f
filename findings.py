"""What `flask check` says: one thing that was looked at, and what to do where it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. A remark is no fault: it tells what could be better, or need not be."""

    state: Literal["ok", "remark", "WRONG"]
    said: str


def ok(said: str) -> Finding:
    return Finding("ok", said)


def remark(said: str) -> Finding:
    return Finding("remark", said)


def wrong(said: str, do: str) -> Finding:
    return Finding("WRONG", f"{said}: {do}" if do else said)
