"""Every name begins with one of the beginnings; other words do not."""

from __future__ import annotations

import pytest

from utils.hebrew import forms
from utils.prefix_hashes import beginning, beginnings

NAMES = ("Python", "food safety rules", "food safety", "Node.js", "C++", "ניהול צוות", "\ud800", "a")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_begins_as_one_of_them(name: str) -> None:
    assert not forms(name) or beginning(*forms(name)[:2]) in beginnings(NAMES)


@pytest.mark.parametrize("words", [("food",), ("safety", "rules"), ("python", "developer"), ("צוות",)])
def test_other_words_do_not(words: tuple[str, ...]) -> None:
    assert beginning(*words) not in beginnings(NAMES)


def test_there_is_one_for_names_that_begin_alike() -> None:
    assert len(beginnings(["food safety", "food safety rules", "FOOD-SAFETY law"])) == 1
    assert len(beginnings([])) == 0
