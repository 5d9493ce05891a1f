"""The arrows of the house: who may import whom, and where a request may be touched."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from config import ROOT

# From the top down; a module may import its own layer and those below it.
LAYERS = (
    {"app", "semantics", "database", "sharing", "gunicorn.conf"},
    {"matching_pages", "comparing_pages", "import_pages", "screening_pages", "kept_pages"}
    | {"matching_api", "writing_api", "screening_api", "kept_api"},
    {
        "commands",
        "model_commands",
        "vector_commands",
        "backup_commands",
        "worker_commands",
        "check_commands",
        "cluster_commands",
        "vector_checks",
        "findings",
        "console",
    },
    {"routes", "api", "embeddings_server", "request_log", "sessions"},
    {"search", "indexing", "matching", "operations"},
    {"encoders", "models"},
    {"utils"},
)
APART = {("search", "indexing"), ("indexing", "search")}
REQUEST = {"request", "session", "current_app", "g"}
MAY_SEE_A_REQUEST = {
    "app.py",
    "routes.py",
    "matching_pages.py",
    "comparing_pages.py",
    "import_pages.py",
    "screening_pages.py",
    "kept_pages.py",
    "kept_api.py",
    "screening_api.py",
    "sessions.py",
    "api.py",
    "matching_api.py",
    "writing_api.py",
    "commands.py",
    "model_commands.py",
    "check_commands.py",
    "console.py",
    "worker_commands.py",
    "embeddings_server.py",
    "request_log.py",
    "migrations/env.py",
}
PACKAGES = {"numpy", "sqlalchemy", "redis"}
OWN = set().union(*LAYERS) | {"config"}


def modules(*folders: str) -> list[Path]:
    """Return the modules of the app: those at the root and in the layers' folders."""
    places = folders or tuple(name for layer in LAYERS for name in layer)
    inside = [path for name in places for path in (ROOT / name).rglob("*.py")]
    return sorted(inside if folders else [*ROOT.glob("*.py"), *inside])


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for each import anywhere in a module; the name is empty for a plain import."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def owner(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def layer(name: str) -> int:
    return next(place for place, names in enumerate(LAYERS) if name in names)


def roots(path: Path) -> set[str]:
    return {module.split(".")[0] for module, _ in imported(path)}


def test_imports_point_down() -> None:
    upward = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules()
        if owner(path) != "config"
        for name in roots(path) & (OWN - {"config"})
        if layer(name) < layer(owner(path))
    ]
    assert upward == []


def test_search_and_indexing_never_import_each_other() -> None:
    found = [(path, name) for path in modules() for name in roots(path) if (owner(path), name) in APART]
    assert found == []


def test_the_settings_need_the_standard_library_only() -> None:
    assert roots(ROOT / "config.py") <= sys.stdlib_module_names


def test_settings_are_handed_down_and_not_reached_for() -> None:
    """Below the pages, a function takes what it needs as an argument."""
    low = modules("search", "indexing", "matching", "encoders", "utils")
    assert [path for path in low if "config" in roots(path)] == []


@pytest.mark.parametrize("path", modules("utils"), ids=lambda path: path.stem)
def test_a_leaf_knows_nothing_of_this_app(path: Path) -> None:
    assert roots(path) <= sys.stdlib_module_names | PACKAGES | {"utils"}


@pytest.mark.parametrize("path", modules("utils"), ids=lambda path: path.stem)
def test_a_leaf_has_a_twin_among_the_tests(path: Path) -> None:
    assert path.stem == "__init__" or (ROOT / "tests" / f"test_{path.stem}.py").is_file()


def test_only_the_edge_sees_a_request() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in [*modules(), *modules("migrations")]
        for module, name in imported(path)
        if module.split(".")[0] == "flask" and (name in REQUEST or not name)
    ]
    assert {one.split(":")[0] for one in found} <= MAY_SEE_A_REQUEST


def test_a_package_opens_with_one_docstring_and_nothing_else() -> None:
    for path in modules():
        if path.name == "__init__.py":
            assert [type(node) for node in tree(path).body] == [ast.Expr], path


def test_every_module_says_what_it_owns() -> None:
    assert [path for path in modules() if not ast.get_docstring(tree(path))] == []
