"""The message table: each refusal that is raised has a message, in both languages and with its values."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import ROOT
from tests.test_layout import modules, tree
from tests.test_translations import hebrew
from utils.messages import MESSAGES, Refusal

PLACEHOLDER = re.compile(r"%\((\w+)\)s")


def subclasses(path: Path) -> Iterator[str]:
    for node in tree(path).body:
        if isinstance(node, ast.ClassDef) and "Refusal" in map(ast.unparse, node.bases):
            yield node.name


CLASSES = {"Refusal", "super().__init__"} | {name for path in modules() for name in subclasses(path)}


def raised() -> Iterator[tuple[str, set[str]]]:
    """Yield the key and the names of the values of each refusal in the source."""
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in CLASSES and node.args:
                key = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
                if key in MESSAGES or (key and "super" not in ast.unparse(node.func)):
                    yield str(key), {word.arg or "" for word in node.keywords}


def test_every_refusal_that_is_raised_has_a_message_with_its_values() -> None:
    refusals = list(raised())
    assert {key for key, _ in refusals} == MESSAGES.keys()
    for key, names in refusals:
        assert set(PLACEHOLDER.findall(MESSAGES[key])) == names, key


@pytest.mark.parametrize("key", MESSAGES)
def test_every_message_is_in_both_languages(key: str) -> None:
    catalogue = hebrew()
    translation = catalogue.get(MESSAGES[key])
    assert translation is not None
    assert re.search("[א-ת]", str(translation.string))
    assert set(PLACEHOLDER.findall(str(translation.string))) == set(PLACEHOLDER.findall(MESSAGES[key]))


def test_a_refusal_has_a_code_its_values_and_its_english_message() -> None:
    error = Refusal("too_much.skills", most=200)
    assert (error.key, error.code, error.values) == ("too_much.skills", "too_much", {"most": 200})
    assert str(error) == "More than 200 skills: keep the most important ones."


def test_the_catalogue_is_extracted_from_the_table() -> None:
    assert "[python: utils/messages.py]" in (ROOT / "babel.cfg").read_text(encoding="utf-8")
