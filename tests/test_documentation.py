"""All documentation: links lead somewhere, and the files, commands and targets that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from flask import Flask

from commands.register import register
from config import ROOT
from tests.test_operator_docs import LINK

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
FOLDERS = (
    "api|benchmarks|commands|data|deploy|docs|encoders|indexes|indexing|jobs|matching|migrations|operations|pages|"
)
FOLDERS += "requirements|screening|scripts|search|static|templates|tests|translations|utils|web"
FILE = re.compile(rf"`((?:(?:{FOLDERS})/)?[\w/.-]+\.(?:py|md|html|toml|service|sh))`")
COMMAND = re.compile(r"flask (?:--app app )?([a-z][a-z-]+)(?: ([a-z][a-z-]+))?")
FORMER = {"docs/DEPLOYMENT.md", "docs/MODELS.md", "docs/SCALING.md"}  # the changelog says where they went


@pytest.mark.parametrize("name", NAMES)
def test_every_link_of_every_page_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for path, place in LINK.findall(page.read_text(encoding="utf-8")):
        target = page.parent / path
        assert target.exists(), path
        assert not place or place[1:] in anchors(target), f"{path}{place}"


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_every_file_that_a_page_names_is_there(name: str) -> None:
    named = set(FILE.findall((ROOT / name).read_text(encoding="utf-8"))) - FORMER
    beside = (ROOT, ROOT / "scripts")
    assert [path for path in named if not any((folder / path).exists() for folder in beside)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_command_that_a_page_names_is_there(name: str) -> None:
    app = Flask("matmon")
    register(app)
    named = COMMAND.findall((ROOT / name).read_text(encoding="utf-8"))
    assert [f"{command} {sub}" for command, sub in named if not is_command(app.cli, command, sub)] == []


def is_command(group: click.Group, name: str, sub: str) -> bool:
    if name == "db":  # Alembic's own, added where it is used
        return True
    command = group.commands.get(name)
    return command is not None and (not sub or not isinstance(command, click.Group) or sub in command.commands)


def test_every_make_target_that_a_page_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 5
    assert named - targets == set()


def test_every_page_can_be_reached_from_the_index() -> None:
    seen, waiting = set(), [ROOT / "README.md", *sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    while waiting:
        page = waiting.pop().resolve()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            waiting += [page.parent / path for path, _ in LINK.findall(page.read_text(encoding="utf-8"))]
    assert [name for name in NAMES if (ROOT / name) not in seen] == []


def test_the_readme_fits_on_120_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
