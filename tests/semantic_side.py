"""Gives a running application another semantic side, as if it had been built with it."""

from __future__ import annotations

from typing import TypeVar

from flask import Flask

from runtime import runtime_of
from search.semantic import Semantic

Side = TypeVar("Side", bound=Semantic)


def use_semantic(app: Flask, side: Side) -> Side:
    """Let every part of the application search with this side from now on, and return it."""
    runtime = runtime_of(app)
    runtime.semantic = runtime.watch.semantic = side
    runtime.imports, runtime.screenings = runtime.make_runners()
    return side
