"""Inflections of Hebrew and English words: which candidates there are, and how many."""

from __future__ import annotations

from pathlib import Path

import pytest

from utils.hebrew import forms
from utils.inflections import MOST_INFLECTIONS, inflected
from utils.word_frequencies import read_frequencies

RELATED = [
    ("ספר", "ספרים"), ("ספר", "ספרו"), ("ילד", "ילדים"), ("ילדים", "ילד"), ("חוקה", "חוקת"), ("חוקת", "חוקה"),
    ("ועדה", "ועדות"), ("ועדה", "ועדת"), ("כלכלי", "כלכלית"), ("כלכלית", "כלכליות"), ("שולחן", "שולחנות"),
    ("מורה", "מורים"), ("שנה", "שנים"), ("בריאות", "בריאותו"), ("בקשה", "בקשות"), ("מכתב", "מכתבים"),
    ("city", "cities"), ("cities", "city"), ("cat", "cats"), ("box", "boxes"), ("make", "making"), ("making", "make"),
    ("running", "run"), ("run", "running"), ("teacher", "teaching"), ("carried", "carry"), ("play", "played"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "relative"), RELATED)
def test_an_inflection_is_a_candidate_with_a_low_weight(word: str, relative: str) -> None:
    assert 0.1 <= inflected(forms(word)[0], None)[forms(relative)[0]] <= 0.5


@pytest.mark.model
@pytest.mark.parametrize(("word", "relative"), RELATED[:16])
def test_the_list_keeps_real_inflections(hebrew_words: Path, word: str, relative: str) -> None:
    frequencies = read_frequencies(hebrew_words)
    assert frequencies is not None
    assert forms(relative)[0] in inflected(forms(word)[0], frequencies.get)


@pytest.mark.parametrize("word", [*dict(RELATED), "כתב", "ו" * 80, "ותיהם" * 9, "ings" * 30])
def test_there_are_at_most_sixty_and_the_word_is_none_of_them(word: str) -> None:
    found = inflected(forms(word)[0], None)
    assert len(found) <= MOST_INFLECTIONS
    assert forms(word)[0] not in found


def test_a_short_stem_counts_less() -> None:
    assert inflected("כתב", None)["כתבה"] < inflected("שולחנ", None)["שולחנה"]


@pytest.mark.parametrize("form", ["80", "7.10", "c++", "of", "ab", "יד", "אבc"])
def test_numbers_and_two_letters_have_none(form: str) -> None:
    assert not any(len(candidate) < 3 for candidate in inflected(form, None))


@pytest.mark.parametrize("word", ["running", "cities", "played"])
def test_an_inflection_is_not_inflected_again(word: str) -> None:
    assert not any(candidate.startswith(word) for candidate in inflected(word, None))


@pytest.mark.parametrize("word", ["glass", "status", "analysis"])
def test_an_s_that_is_no_plural_stays(word: str) -> None:
    assert word[:-1] not in inflected(word, None)
