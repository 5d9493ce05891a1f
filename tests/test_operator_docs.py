"""The operator's pages of documentation: every setting, address, figure and file that they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app import create_app
from config import ROOT, declared
from scripts.settings_page import page as settings_page
from tests.conftest import closed, settings_for
from tests.visits import operator

PAGES = ("docs/MEMORY_OPTIMIZATION.md", "DEPLOYMENT_CHECKLIST.md")
MORE = (*PAGES, "docs/how-to/deploy.md")  # it names settings and files, and few addresses
LINK = re.compile(r"\]\(([^)#:]+)(#[^)]*)?\)")


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", MORE)
def test_every_setting_is_read(page: str) -> None:
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=[^`]*)?`", text(page)))
    read = {each.name for each in declared().values()} | {"WEB_CONCURRENCY"}
    fetched = text("scripts/fetch_model.py")
    assert len(named) > 5
    assert [name for name in named - read if f'"{name}"' not in fetched] == []


def test_the_reference_page_is_what_the_declarations_say() -> None:
    assert text("docs/reference/settings.md") == settings_page(), "run: make settings"


def test_the_readme_names_no_setting_that_is_not_declared() -> None:
    table = text("README.md").partition("## Settings")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([A-Z][A-Z_]+)`", "".join(re.findall(r"^\|([^|]*)\|", table, re.MULTILINE))))
    assert len(named) > 20
    assert named - {each.name for each in declared().values()} == set()


@pytest.mark.parametrize("page", [*MORE, "docs/reference/settings.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    for path, place in LINK.findall(text(page)):
        target = (ROOT / page).parent / path
        assert target.exists(), path
        headings = {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
                    for line in target.read_text(encoding="utf-8").splitlines() if line.startswith("#")}  # fmt: skip
        assert not place or place[1:] in headings, place


@pytest.mark.parametrize("page", PAGES)
def test_every_address_and_figure_is_answered(page: str, tmp_path: Path) -> None:
    app = create_app(settings_for(f"sqlite:///{tmp_path}/a.db", tmp_path))
    client = operator(app)
    named = set(re.findall(r"(?:`|SITE)(/(?:api|health|livez|metrics|status)[a-z/]*)", text(page)))
    assert len(named) > 4
    missing = [path for path in named if client.options(path).status_code != 200]
    figures = client.get("/metrics").get_data(as_text=True)
    closed(app)
    assert missing == []
    assert [name for name in re.findall(r"matmon_\w+", text(page)) if name not in figures] == []


@pytest.mark.parametrize("page", MORE)
def test_every_script_that_is_run_is_there(page: str) -> None:
    named = set(re.findall(r"(?:scripts|tests)/\w+\.py|requirements[\w-]*\.txt", text(page)))
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []
