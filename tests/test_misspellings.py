"""Slips: what was meant is among the candidates, the likelier slips weigh more, and keyboards translate both ways."""

from __future__ import annotations

import pytest

from utils.hebrew import forms
from utils.misspellings import MISSING, REPLACED, on_other_keyboard, slips


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("שקשוכה", "שקשוקה"),
        ("אוקטווה", "אוקטבה"),
        ("רכפת", "רקפת"),
        ("סיסמא", "סיסמה"),
        ("דוחיפת", "דוכיפת"),
        ("שלומ", "שולמ"),
        ("חתלו", "חתול"),
        ("חותול", "חתול"),
        ("בטוחא", "בטוחה"),
        ("עטלפיימ", "עטלפימ"),
        ("wter", "water"),
        ("pasword", "password"),
        ("copmost", "compost"),
        ("knittng", "knitting"),
        ("gutenburg", "gutenberg"),
        ("bycicle", "bicycle"),
    ],
)
def test_a_slip_leads_to_the_word(typed: str, meant: str) -> None:
    assert meant in slips(typed)


def test_letters_of_the_same_sound_and_silent_ones_weigh_more_than_any_others() -> None:
    found = slips("קונה")
    assert found["כונה"] > found["מונה"]
    assert found["קנה"] > MISSING
    assert slips("letter")["leter"] > slips("letters")["letter"]
    assert slips("table")["cable"] < REPLACED
    assert slips("table")["tablf"] == REPLACED


@pytest.mark.parametrize("form", ["", "ab", "של", "c++", "2024", "ab12", "שלumo"])
def test_what_is_too_short_or_no_word_has_no_slips(form: str) -> None:
    assert slips(form) == {}


def test_a_word_is_no_slip_of_itself_and_weights_stay_within_bounds() -> None:
    for form in ("אבא", "letter", "מממ"):
        found = slips(form)
        assert form not in found
        assert all(0 < weight < 1 for weight in found.values())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("akuo", "שלום"),
        (",kua", "תלוש"),
        ("jhxui", "חיסון"),
        ("בםצפםדא", "compost"),
        ("AKUO", "שלום"),
        ("'ןמגם'", "window"),
    ],
)
def test_words_of_the_other_keyboard(typed: str, meant: str) -> None:
    assert forms(on_other_keyboard(typed)) == forms(meant)
