"""The layout: which folder may import which, and where a request may be touched."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from config import ROOT

# From the top down: a folder or root module imports its own layer and those below it.
LAYERS = (
    {"app", "gunicorn.conf"},
    {"routes", "pages", "api", "commands"},
    {"web"},
    {"runtime"},
    {"screening", "matching", "jobs", "operations"},
    {"search", "indexing"},
    {"indexes"},
    {"encoders", "models"},
    {"utils"},
)
APART = ({"pages", "api", "commands"}, {"search", "indexing"})  # these never import one another
SEES_A_REQUEST = {"app", "routes", "pages", "api", "web"}
REQUEST = {"request", "session"}
PACKAGES = {"numpy", "sqlalchemy", "redis"}
FOLDERS = sorted(set().union(*LAYERS) - {"app", "routes", "runtime", "models", "gunicorn.conf"})
LAYER = {name: depth for depth, names in enumerate(LAYERS) for name in names}


def modules(*folders: str) -> list[Path]:
    """Return the modules of the app, or of some of its folders."""
    inside = [path for name in folders or FOLDERS for path in (ROOT / name).rglob("*.py")]
    return sorted(inside if folders else [*ROOT.glob("*.py"), *inside])


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for each import anywhere in a module; the name is empty for a plain import."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def owner(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def roots(path: Path) -> set[str]:
    return {module.split(".")[0] for module, _ in imports(path)}


def is_allowed(importer: str, imported: str) -> bool:
    is_apart = any({importer, imported} <= group for group in APART)
    return importer == imported or (LAYER[importer] <= LAYER[imported] and not is_apart)


def test_imports_point_down_and_siblings_stay_apart() -> None:
    owners = [(path, owner(path)) for path in modules() if owner(path) != "config"]
    arrows = [(path, name, other) for path, name in owners for other in roots(path) & LAYER.keys()]
    assert [
        f"{path.relative_to(ROOT)} imports {other}" for path, name, other in arrows if not is_allowed(name, other)
    ] == []


def test_every_folder_and_root_module_has_its_layer() -> None:
    assert {owner(path) for path in modules()} == LAYER.keys() | {"config"}


def test_the_settings_need_the_standard_library_only() -> None:
    assert roots(ROOT / "config.py") <= sys.stdlib_module_names


def test_settings_are_passed_down_and_not_looked_up() -> None:
    low = modules("search", "indexing", "indexes", "matching", "screening", "jobs", "encoders", "utils")
    assert [path for path in low if "config" in roots(path)] == []


@pytest.mark.parametrize("path", modules("utils"), ids=lambda path: path.stem)
def test_a_leaf_knows_nothing_of_this_app(path: Path) -> None:
    assert roots(path) <= sys.stdlib_module_names | PACKAGES | {"utils"}


@pytest.mark.parametrize("path", modules("utils"), ids=lambda path: path.stem)
def test_a_leaf_has_a_test_module(path: Path) -> None:
    assert path.stem == "__init__" or (ROOT / "tests" / f"test_{path.stem}.py").is_file()


def test_only_the_edge_sees_a_request() -> None:
    seen = [(path, name) for path in modules() for module, name in imports(path) if module == "flask"]
    assert {owner(path) for path, name in seen if name in REQUEST} <= SEES_A_REQUEST


def test_a_package_opens_with_one_docstring_and_nothing_else() -> None:
    for path in modules():
        if path.name == "__init__.py":
            assert [type(node) for node in tree(path).body] == [ast.Expr], path


def test_every_module_says_what_it_is_responsible_for() -> None:
    assert [path for path in modules() if not ast.get_docstring(tree(path))] == []


def test_the_web_process_imports_no_build_time_tool() -> None:
    """Nothing of encoders/preparing is loaded by the app, nor by the commands that a host runs."""
    code = "import app, commands.register, sys; app.app; print(*[m for m in sys.modules if 'preparing' in m])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_only_build_time_tools_import_one() -> None:
    """Not even inside functions, except in commands, which are no part of the web process."""
    importers = [path for path in modules() if owner(path) != "commands" and path.parent.name != "preparing"]
    assert [path for path in importers if any("preparing" in module for module, _ in imports(path))] == []


def defined_names(path: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in tree(path).body if isinstance(node, kinds) and not node.name.startswith("_")}


def repeated_names() -> list[str]:
    counts = Counter(name for path in modules() for name in defined_names(path))
    return sorted(name for name, count in counts.items() if count > 1)


def test_no_top_level_name_is_defined_in_two_modules() -> None:
    assert repeated_names() == ["register"]  # each module that adds something to the application has one
