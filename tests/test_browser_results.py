"""The results page in a browser: what fits on a first screen, how the keyboard gets to a hit, what folds."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser import one_browser, served

DESKTOP: ViewportSize
PHONE: ViewportSize
DESKTOP, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
QUESTIONS = {"he": "/text?q=מים&lang=he", "en": "/text?q=water&lang=en"}

browser = one_browser


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("results")) as address:
        yield address


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    context = browser.new_context(base_url=site, viewport=DESKTOP)
    yield context.new_page()
    context.close()


def whole_hits(page: Page) -> float:
    """Return how many hits are on the first screen, parts included."""
    boxes = "[...document.querySelectorAll('.hit')].map(hit => hit.getBoundingClientRect())"
    shares = f"{boxes}.map(box => Math.max(0, Math.min(1, (innerHeight - box.top) / box.height)))"
    return float(page.evaluate(f"{shares}.reduce((one, other) => one + other, 0)"))


@pytest.mark.parametrize("lang", ["he", "en"])
@pytest.mark.parametrize(("size", "least"), [(DESKTOP, 5.0), (PHONE, 2.5)])
def test_enough_hits_are_on_the_first_screen(page: Page, lang: str, size: ViewportSize, least: float) -> None:
    page.set_viewport_size(size)
    page.goto(QUESTIONS[lang])
    assert whole_hits(page) >= least
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_the_first_hit_is_six_tabs_away_at_most(page: Page) -> None:
    page.goto(QUESTIONS["en"])
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the results")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(".hit h3 a").first).to_be_focused()


def test_the_filters_come_after_the_results_and_can_be_skipped_to(page: Page) -> None:
    page.goto(QUESTIONS["en"])
    assert page.evaluate(
        "!!(document.querySelector('.hits').compareDocumentPosition(document.querySelector('.facets')) & 4)"
    )
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.locator(".fold > summary")).to_be_focused()


@pytest.mark.parametrize(("size", "is_open"), [(DESKTOP, True), (PHONE, False)])
def test_filters_are_folded_on_a_phone_and_eight_are_shown_elsewhere(
    page: Page, size: ViewportSize, is_open: bool
) -> None:
    page.set_viewport_size(size)
    page.goto(QUESTIONS["he"])
    expect(page.locator(".facet:visible")).to_have_count(8 if is_open else 0)
    page.locator(".fold > summary" if not is_open else ".more-facets > summary").click()
    count = page.locator(".facet:visible").count()
    assert count > 8 if is_open else count == 8


@pytest.mark.parametrize("lang", ["he", "en"])
def test_keys_go_from_hit_to_hit_and_open_one(page: Page, lang: str) -> None:
    page.goto(QUESTIONS[lang])
    links = page.locator(".hit h3 a")
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1), ("k", 0), ("k", 0)):
        page.keyboard.press(key)
        expect(links.nth(place)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/documents/"))


def test_keys_are_letters_where_one_types(page: Page) -> None:
    page.goto(QUESTIONS["en"])
    page.keyboard.press("/")
    page.keyboard.type(" jk?")
    expect(page.locator("#q")).to_be_focused()


def test_the_question_mark_lists_the_keys(page: Page) -> None:
    page.goto(QUESTIONS["en"])
    page.keyboard.press("?")
    expect(page.locator(".help kbd").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator(".help kbd").first).to_be_hidden()


def test_a_language_applies_at_once(page: Page) -> None:
    page.goto("/text?q=water&lang=en")
    page.locator("select[name=language]").select_option("he")
    expect(page).to_have_url(re.compile("language=he"))


def test_without_javascript_filters_are_open_everywhere(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site, viewport=PHONE, java_script_enabled=False)
    page = context.new_page()
    page.goto(QUESTIONS["he"])
    expect(page.locator(".facet:visible")).to_have_count(8)
    context.close()
