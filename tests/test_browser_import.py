"""Bringing a table in a real Chromium: one upload and three clicks, then a book is found by its author."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import SHOTS, one_browser, served
from tests.office_files import xlsx

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]
TOKEN = "a token of the tests"
ENGLISH = (
    "Book Title,Author,Summary,Genres\n"
    'The Sea,Dana Levi,"A summer, by the water",Novel; Summer\n'
    "Winter Wheat,Mildred Walker,A farm in Montana,Novel; Farming\n"
)
HEBREW = (
    'כותרת,מחבר,תקציר,נושאים\nהים,דנה לוי,"קיץ אחד, ליד המים",רומן; קיץ\nבדד,ש"י עגנון,אדם חוזר לעירו,רומן; זיכרון\n'
)

browser = one_browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("site"), rows=3, ADMIN_TOKEN=TOKEN) as address:
        yield address


@pytest.fixture
def wrong() -> list[str]:
    """What a page does that no page may: a script that fails, or something that the policy refuses."""
    return []


def signed_in_page(browser: Browser, site: str, language: str, wrong: list[str], scripts: bool = True) -> Page:
    context = browser.new_context(base_url=site, viewport={"width": 1280, "height": 900}, java_script_enabled=scripts)
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    page.set_default_timeout(10_000)
    page.goto(f"/signin?lang={language}")
    page.locator("[name=key]").fill(TOKEN)
    page.locator("main [type=submit]").click()
    return page


def upload(page: Page, folder: Path, content: str, collection: str) -> None:
    path = folder / "books.csv"
    path.write_text(content, encoding="utf-8")
    page.goto("/import")
    page.locator("[name=collection]").fill(collection)
    page.locator("[name=file]").set_input_files(path)


CASES = [
    ("en", ENGLISH, ("Look at the file", "Import these", "See the collection"), "Mildred", "Winter Wheat"),
    ("he", HEBREW, ("להצגת הקובץ", "ייבוא המסמכים", "אל האוסף"), "עגנון", "בדד"),
]


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
@pytest.mark.parametrize(("language", "content", "buttons", "author", "title"), CASES, ids=["en", "he"])
def test_a_table_of_books_takes_one_upload_and_three_clicks_and_a_book_is_found_by_its_author(
    browser: Browser, site: str, tmp_path: Path, wrong: list[str],
    language: str, content: str, buttons: tuple[str, str, str], author: str, title: str, scripts: bool,
) -> None:  # fmt: skip
    page = signed_in_page(browser, site, language, wrong, scripts)
    upload(page, tmp_path, content, f"books {language} {scripts}")
    page.get_by_role("button", name=buttons[0]).click()
    uses = page.locator(".columns select").evaluate_all("all => all.map(one => one.value)") if scripts else []
    assert uses in (["title", "", "body", "tags"], [])
    expect(page.locator(".first-documents strong").nth(1)).to_have_text(title)
    expect(page.locator(".first-documents .tag")).to_have_count(4)
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"import-{language}.png", full_page=True)
    page.get_by_role("button", name=buttons[1]).click()
    page.get_by_role("link", name=buttons[2]).click(timeout=30_000)
    page.locator("#q").fill(author)
    page.locator("#q").press("Enter")
    expect(page.locator(".hit h3")).to_have_text([title])
    page.context.close()
    assert not wrong


def test_the_first_documents_follow_what_the_columns_are_said_to_be(
    browser: Browser, site: str, tmp_path: Path, wrong: list[str]
) -> None:
    page = signed_in_page(browser, site, "en", wrong)
    upload(page, tmp_path, "color,size\nred,large\nblue,small\n", "things")
    page.get_by_role("button", name="Look at the file").click()
    expect(page.locator("#preview")).to_contain_text("the columns are color, size")
    page.get_by_label("color").select_option("title")
    expect(page.locator(".first-documents strong").first).to_have_text("red")
    page.get_by_label("size").select_option("tags")
    expect(page.locator(".first-documents .tag").first).to_have_text("large")
    page.get_by_label("size").select_option("title")
    expect(page.locator("#preview")).to_contain_text("title is mapped to two columns")
    page.get_by_label("size").select_option("-")
    expect(page.locator("#preview")).not_to_contain_text("large")
    expect(page).to_have_url(re.compile(r"/import/\d+$"))
    page.get_by_role("button", name="Import these").click()
    expect(page.get_by_role("link", name="See the collection")).to_be_visible(timeout=30_000)
    page.context.close()
    assert not wrong


def test_a_folder_is_chosen_and_its_texts_become_documents(
    browser: Browser, site: str, tmp_path: Path, wrong: list[str]
) -> None:
    folder = tmp_path / "notes"
    (folder / "sea").mkdir(parents=True)
    (folder / "sea" / "a.md").write_text("# Blue\n\nwater", encoding="utf-8")
    (folder / "b.txt").write_text("green grass", encoding="utf-8")
    page = signed_in_page(browser, site, "en", wrong)
    page.goto("/import")
    page.locator("[name=collection]").fill("notes")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(folder)
    page.get_by_role("button", name="Look at the file").click()
    expect(page.locator(".first-documents strong")).to_have_text(["b", "Blue"])
    page.get_by_role("button", name="Import these").click()
    page.get_by_role("link", name="See the collection").click(timeout=30_000)
    expect(page.locator(".hit h3")).to_have_count(2)
    page.context.close()
    assert not wrong


def test_another_sheet_of_a_spreadsheet_is_shown_when_it_is_chosen(
    browser: Browser, site: str, tmp_path: Path, wrong: list[str]
) -> None:
    path = tmp_path / "two.xlsx"
    path.write_bytes(xlsx({"one": [["title"], ["x"]], "שני": [["name", "תיאור"], ["y", "z"]]}))
    page = signed_in_page(browser, site, "en", wrong)
    page.goto("/import")
    page.locator("[name=file]").set_input_files(path)
    page.get_by_role("button", name="Look at the file").click()
    expect(page.locator(".first-documents strong")).to_have_text("x")
    page.locator("select[name=sheet]").select_option("שני")
    expect(page.locator(".first-documents strong")).to_have_text("y")
    expect(page.locator("select[name=sheet]")).to_have_value("שני")
    expect(page.get_by_label("תיאור")).to_have_value("body")
    page.context.close()
    assert not wrong
