"""The site in a real Chromium: what a reader does with mouse, keys, phone, and without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browser import SHOTS, HeldModel, one_browser, served
from tests.model_fixtures import e5_folder  # noqa: F401 - a fixture
from tests.visits import BEARER, TOKEN

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default")]
PHONE: ViewportSize = {"width": 390, "height": 844}
WIDE: ViewportSize = {"width": 1280, "height": 900}

browser = one_browser


@pytest.fixture(scope="module")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("site"), ADMIN_TOKEN=TOKEN) as address:
        yield address


@pytest.fixture
def context(browser: Browser, site: str) -> Iterator[BrowserContext]:
    made = browser.new_context(base_url=site, viewport=WIDE, color_scheme="light")
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which no script may fail and nothing may be refused by the policy."""
    made, wrong = context.new_page(), []
    made.on("pageerror", lambda error: wrong.append(str(error)))
    made.on("console", lambda said: wrong.append(said.text) if "Content Security Policy" in said.text else None)
    made.set_default_timeout(10_000)
    yield made
    assert not wrong


def shot(page: Page, name: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SHOTS / f"{name}.png")


def hits(page: Page) -> int:
    return page.locator(".hit").count()


def test_a_search_finds_and_a_hit_opens(page: Page) -> None:
    page.goto("/")
    shot(page, "home-he")
    page.locator("#q").fill("מים")
    page.locator("#q").press("Enter")
    expect(page).to_have_url(re.compile(r"/\?q="))
    expect(page.locator("mark").first).to_contain_text("מים")
    shot(page, "results-he")
    title = page.locator(".hit h3 a").first.inner_text()
    page.locator(".hit h3 a").first.click()
    expect(page.locator("h1")).to_have_text(title)
    shot(page, "document-he")


def test_a_document_is_read_from_match_to_match_and_left_for_the_results(page: Page) -> None:
    page.goto("/text?q=מים&lang=he")
    page.locator(".hit", has=page.locator(".snippet mark + mark")).locator("h3 a").first.click()
    expect(page.locator(".steps:visible")).to_have_count(0)
    page.get_by_role("link", name="ההתאמה הראשונה").click()
    page.get_by_role("link", name="ההתאמה הבאה").click()
    expect(page.locator("mark:target")).to_have_id("match-2")
    expect(page.locator("mark:target")).to_be_in_viewport()
    expect(page.locator(".steps:visible")).to_have_count(1)
    shot(page, "document-match-he")
    page.get_by_role("link", name="ההתאמה הקודמת").click()
    expect(page.locator("mark:target")).to_have_id("match-1")
    page.get_by_role("link", name="חזרה לתוצאות").click()
    expect(page).to_have_url(re.compile(r"/text\?q="))


def test_a_facet_narrows_and_its_chip_widens_again(page: Page) -> None:
    page.goto("/text?q=water&lang=en")
    before = page.locator(".hit h3").all_inner_texts()
    tag = page.locator(".facet bdi").first.inner_text()
    page.locator(".facet").first.click()
    expect(page.locator(".chip bdi")).to_have_text(tag)
    assert all(tag in labels for labels in [one.inner_text() for one in page.locator(".hit .tags").all()])
    page.locator(".chip").click()
    expect(page.locator(".chip")).to_have_count(0)
    assert page.locator(".hit h3").all_inner_texts() == before


def test_pages_follow_one_another(page: Page) -> None:
    page.goto("/?collection=sample&lang=en")
    first = page.locator(".hit h3").all_inner_texts()
    page.locator("a[rel=next]").click()
    expect(page.locator(".pager [aria-current=page]")).to_have_text("2")
    expect(page.locator(".rank").first).to_have_text("11")
    assert not set(first) & set(page.locator(".hit h3").all_inner_texts())


def test_the_language_switch_turns_the_page_around(page: Page) -> None:
    page.goto("/text?q=water&lang=he")
    box = page.locator(".filters").bounding_box()
    assert box is not None
    assert box["x"] < WIDE["width"] / 2
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("dir", "ltr")
    expect(page.locator("#q")).to_have_value("water")
    box = page.locator(".filters").bounding_box()
    assert box is not None
    assert box["x"] > WIDE["width"] / 2
    shot(page, "results-en")


def test_a_suggested_tag_is_chosen_by_keyboard(page: Page) -> None:
    page.goto("/?lang=en")
    page.locator("body").press("/")
    box = page.locator("#q")
    expect(box).to_be_focused()
    box.press_sequentially("energ")
    options = page.get_by_role("option")
    expect(options.first).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    box.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    active = box.get_attribute("aria-activedescendant")
    assert active == options.first.get_attribute("id")
    shot(page, "suggestions-en")
    box.press("Escape")
    expect(options.first).to_be_hidden()
    expect(box).to_have_value("energ")
    box.press("ArrowDown")
    expect(options.first).to_be_visible()
    box.press("ArrowDown")
    box.press("Enter")
    expect(page).to_have_url(re.compile(r"/tags\?tag=energy$"))
    assert hits(page) > 0


def test_a_suggested_document_opens(page: Page) -> None:
    page.goto("/text?lang=en&q=x")
    page.locator("#q").fill("")
    page.locator("#q").press_sequentially("ceiling")
    page.get_by_role("option").filter(has_text="ceiling").click()
    expect(page.locator("h1")).to_contain_text("ceiling")
    assert "/documents/" in page.url


def test_the_chosen_colours_are_kept(page: Page) -> None:
    page.goto("/?lang=en")
    light = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    page.get_by_role("button", name="Dark colours").click()
    dark = page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    assert dark != light
    page.goto("/text?q=water")
    assert page.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") == dark
    expect(page.get_by_role("button", name="Light colours")).to_be_visible()
    shot(page, "results-dark")


def test_the_skip_link_is_the_first_stop_and_leads_to_the_content(page: Page) -> None:
    page.goto("/text?q=water")
    page.keyboard.press("Tab")
    expect(page.locator(".skip").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


@pytest.mark.parametrize("address", ["/", "/text?q=מים", "/tags", "/documents/he-awake-at-night", "/status", "/import"])
def test_a_phone_shows_no_page_wider_than_itself(page: Page, address: str) -> None:
    page.set_viewport_size(PHONE)
    for lang in ("he", "en"):
        page.goto(f"{address}{'&' if '?' in address else '?'}lang={lang}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    name = re.sub(r"\W+", "-", address).strip("-") or "home"
    shot(page, f"phone-{name}")


def test_the_status_page_looks_again_by_itself_and_what_is_open_stays_open(page: Page) -> None:
    page.clock.install()
    page.set_extra_http_headers(BEARER)
    page.goto("/status?lang=en")
    expect(page.locator(".hour-picture .hour-top")).to_be_visible()
    page.locator("#numbers summary").click()
    page.evaluate("document.querySelector('#hour-name').textContent = 'what was seen before'")
    page.clock.fast_forward(16_000)
    expect(page.locator("#hour-name")).to_contain_text("Memory in the last hour")
    expect(page.locator("#numbers table")).to_be_visible()
    expect(page.locator("#numbers summary")).to_be_focused()
    shot(page, "status-en")


def test_everything_works_without_javascript(browser: Browser, site: str) -> None:
    context = browser.new_context(base_url=site, viewport=WIDE, java_script_enabled=False)
    page = context.new_page()
    page.goto("/?lang=en")
    expect(page.locator(".theme")).to_be_hidden()
    page.locator("#q").fill("water")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit").first).to_be_visible()
    page.locator(".mode").nth(1).click()
    expect(page).to_have_url(re.compile(r"/text\?q=water$"))
    page.locator(".facet").first.click()
    expect(page.locator(".chip")).to_have_count(1)
    page.locator(".why summary").first.click()
    expect(page.locator(".scores").first).to_be_visible()
    page.goto("/tags")
    page.locator("input[name=prefix]").fill("ener")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".tag-list .tag")).to_have_count(1)
    context.close()


@pytest.mark.model
def test_meaning_joins_the_words_once_the_model_is_loaded(
    browser: Browser,
    tmp_path: Path,
    e5_folder: Path,  # noqa: F811 - the fixture
) -> None:
    held = HeldModel(e5_folder, tmp_path)
    settings = {"SEMANTIC_MODEL": held.folder.name, "MODELS_DIR": str(held.folder.parent)}
    with served(tmp_path, embedded_by=e5_folder, rows=12, **settings) as site:
        context = browser.new_context(base_url=site, viewport=WIDE)
        page = context.new_page()
        page.goto("/?q=cold+water+on+a+burn&lang=en")
        results = page.locator("#results")
        expect(results).to_have_attribute("data-state", "loading")
        expect(page.locator(".note")).to_contain_text("semantic results will be added in a moment")
        assert hits(page)
        first = page.locator(".hit h3 a").first
        title = first.inner_text()
        first.focus()
        held.let_go()
        expect(results).to_have_attribute("data-state", "settled", timeout=30_000)
        expect(page.locator(".why").first).to_contain_text("similarity")
        expect(page.locator("#announce")).to_have_text("Semantic results have been added.")
        expect(page.locator(".note")).to_have_count(0)
        expect(page.locator(".hit h3 a", has_text=title)).to_be_focused()
        shot(page, "results-joined")
        context.close()
