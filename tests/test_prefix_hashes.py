"""Every name begins with one of the beginnings; other words do not."""

from __future__ import annotations

import pytest

from utils.hebrew import forms
from utils.prefix_hashes import prefix_hash, prefix_hashes

NAMES = ("Python", "food safety rules", "food safety", "Node.js", "C++", "ניהול צוות", "\ud800", "a")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_begins_as_one_of_them(name: str) -> None:
    assert not forms(name) or prefix_hash(*forms(name)[:2]) in prefix_hashes(NAMES)


@pytest.mark.parametrize("words", [("food",), ("safety", "rules"), ("python", "developer"), ("צוות",)])
def test_other_words_do_not(words: tuple[str, ...]) -> None:
    assert prefix_hash(*words) not in prefix_hashes(NAMES)


def test_there_is_one_for_names_that_begin_alike() -> None:
    assert len(prefix_hashes(["food safety", "food safety rules", "FOOD-SAFETY law"])) == 1
    assert len(prefix_hashes([])) == 0
