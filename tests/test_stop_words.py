"""The function words: folded ones cover what is written, and subjects are not among them."""

from __future__ import annotations

from utils.stop_words import ENGLISH, HEBREW


def test_question_words_are_among_them() -> None:
    assert {"מי", "מה", "איפה", "מתי", "למה", "כמה", "איך", "האם"} <= HEBREW
    assert {"who", "what", "where", "when", "why", "how"} <= ENGLISH


def test_words_with_a_subject_are_not() -> None:
    assert not {"בית", "חוק", "ילדים", "עבודה", "ישראל"} & HEBREW
    assert not {"house", "law", "children", "work", "may", "august"} & ENGLISH


def test_they_are_written_as_they_are_folded_but_for_final_letters() -> None:
    assert all(word.islower() and word.isascii() for word in ENGLISH)
    assert all("א" <= letter <= "ת" for word in HEBREW for letter in word)
