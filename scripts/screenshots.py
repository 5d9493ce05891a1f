"""Takes the pictures in the docs again: `make screenshots`, after `make model`. Needs Chromium."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, ViewportSize, sync_playwright

from config import ROOT
from tests.browser import chromium, served

WIDE: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 800}
QUESTION = "/?q=לא מצליחים להירדם בלילה&lang=he"
PICTURES = {
    "screenshot.png": (QUESTION, WIDE, "light"),
    "screenshot-phone.png": ("/?q=how do cats see at night&lang=en", PHONE, "dark"),
}


def main() -> None:
    """Start a site on the sample collection and write the pictures into docs/."""
    model = ROOT / "models" / "e5-small"
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), model, SEMANTIC_MODEL=model.name, MODELS_DIR=str(model.parent)) as site,
        sync_playwright() as playwright,
    ):
        browser = chromium(playwright)
        for name in PICTURES:
            take(browser, site, name)
        browser.close()


def take(browser: Browser, site: str, name: str) -> None:
    """Write one picture, once meaning has joined the results."""
    address, size, scheme = PICTURES[name]
    context = browser.new_context(base_url=site, viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#results[data-state=settled]")
    page.goto(address)  # the model is loaded: its time is not in the picture
    page.screenshot(path=ROOT / "docs" / name)
    context.close()


if __name__ == "__main__":
    main()
