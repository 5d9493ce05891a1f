"""The Hebrew catalogue: complete, without doubt, its placeholders right, and compiled as it stands."""

from __future__ import annotations

import re
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from config import ROOT

HEBREW = ROOT / "translations" / "he" / "LC_MESSAGES" / "messages.po"
METHODS = [
    ("routes.py", "python"),
    ("pages/**.py", "python"),
    ("web/**.py", "python"),
    ("utils/messages.py", "python"),
    ("templates/**.html", "jinja2"),
]
JINJA = {"trim_blocks": "true", "lstrip_blocks": "true"}
PLACEHOLDER = re.compile(r"%\(\w+\)s")


def used() -> Catalog:
    """Return what the pages say, as pybabel extract finds it."""
    found = Catalog()
    extracted = extract_from_dir(
        ROOT,
        METHODS,
        {"templates/**.html": JINJA},
        directory_filter=lambda path: (
            Path(path) in (ROOT, *(ROOT / name for name in ("templates", "pages", "web", "utils")))
        ),
    )
    for file, line, message, _, context in extracted:
        found.add(message, None, [(file, line)], context=context)
    return found


def hebrew() -> Catalog:
    with HEBREW.open("rb") as file:
        return read_po(file, locale="he")


def messages(catalog: Catalog) -> list[Message]:
    return [message for message in catalog if message.id]


def said(message: Message) -> tuple[str, ...]:
    return tuple(message.string) if isinstance(message.string, tuple | list) else (message.string or "",)


def asked(message: Message) -> str:
    """Return the English, of a plural the one for many."""
    return message.id if isinstance(message.id, str) else message.id[-1]


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    return hebrew()


def test_every_sentence_of_the_pages_is_in_hebrew(catalogue: Catalog) -> None:
    wanted = messages(used())
    assert len(wanted) > 150
    missing = [
        message.id for message in wanted if not (own := catalogue.get(message.id, message.context)) or not own.string
    ]
    assert not missing


def test_no_sentence_is_kept_that_no_page_says(catalogue: Catalog) -> None:
    wanted = {(one.id, one.context) for one in messages(used())}
    assert not [one.id for one in messages(catalogue) if (one.id, one.context) not in wanted]


def test_no_translation_is_empty_or_in_doubt(catalogue: Catalog) -> None:
    assert not [one.id for one in messages(catalogue) if one.fuzzy or not all(said(one))]


def test_plurals_have_one_two_and_many(catalogue: Catalog) -> None:
    plurals = [one for one in messages(catalogue) if one.pluralizable]
    assert plurals
    assert {len(said(one)) for one in plurals} == {catalogue.num_plurals} == {3}


def test_placeholders_agree(catalogue: Catalog) -> None:
    for one in messages(catalogue):
        wanted = set(PLACEHOLDER.findall(asked(one)))
        # One and two are words of their own in Hebrew; only what counts many must name its number.
        assert set(PLACEHOLDER.findall(said(one)[-1])) == wanted, one.id
        assert all(set(PLACEHOLDER.findall(text)) <= wanted for text in said(one)), one.id
        if wanted:
            left = [PLACEHOLDER.sub("", text).replace("%%", "") for text in said(one)]
            assert not any("%" in text for text in left), one.id


def test_what_is_committed_is_compiled_from_it(catalogue: Catalog) -> None:
    with HEBREW.with_suffix(".mo").open("rb") as file:
        compiled = GNUTranslations(file)
    for one in messages(catalogue):
        found: tuple[str, ...]
        if one.pluralizable:
            found = tuple(compiled.ngettext(one.id[0], one.id[1], number) for number in (1, 2, 7))
        elif one.context:
            found = (compiled.pgettext(one.context, asked(one)),)
        else:
            found = (compiled.gettext(asked(one)),)
        assert found == said(one), "run: pybabel compile -d translations"
