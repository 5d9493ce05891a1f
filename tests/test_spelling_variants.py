"""Full and defective spellings: which meet, and which words stay apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from utils.hebrew import forms
from utils.spelling_variants import spelling_variants
from utils.word_frequencies import WordFrequencies, read_frequencies

PAIRS = [
    ("ניסיון", "נסיון"), ("תוכנית", "תכנית"), ("וועדה", "ועדה"), ("תקווה", "תקוה"), ("בניין", "בנין"),
    ("צהריים", "צהרים"), ("שולחן", "שלחן"), ("חוכמה", "חכמה"), ("יוזמה", "יזמה"), ("אומנות", "אמנות"),
    ("עיתון", "עתון"), ("זיכרון", "זכרון"), ("דיבור", "דבור"), ("מינהל", "מנהל"),
]  # fmt: skip


@pytest.fixture(scope="module")
def frequencies(hebrew_words: Path) -> WordFrequencies:
    found = read_frequencies(hebrew_words)
    assert found is not None
    return found


@pytest.mark.model
@pytest.mark.parametrize(("full", "defective"), PAIRS)
def test_both_spellings_meet_with_a_weight_below_one(frequencies: WordFrequencies, full: str, defective: str) -> None:
    one, other = forms(full)[0], forms(defective)[0]
    assert 0 < spelling_variants(one, frequencies.get)[other] < 1
    assert 0 < spelling_variants(other, frequencies.get)[one] < 1


@pytest.mark.parametrize(("full", "defective"), PAIRS)
def test_they_meet_by_rules_alone(full: str, defective: str) -> None:
    one, other = forms(full)[0], forms(defective)[0]
    assert other in spelling_variants(one, None)


@pytest.mark.parametrize("word", ["ספר", "שיר", "יד", "אב", "haifa", "80", "c++"])
def test_short_words_and_other_scripts_have_none(word: str) -> None:
    assert spelling_variants(word, None) == {}


@pytest.mark.model
def test_an_unknown_spelling_is_left_out(frequencies: WordFrequencies) -> None:
    assert all(frequencies.get(form) > 0 for form in spelling_variants("תוכנית", frequencies.get))


@pytest.mark.parametrize("word", ["ניסיון", "התייעלותיהם", "ו" * 60, "וי" * 40])
def test_there_are_few_and_the_word_is_none_of_them(word: str) -> None:
    form = forms(word)[0]
    found = spelling_variants(form, lambda _: 1.0)
    assert len(found) <= 24
    assert form not in found
