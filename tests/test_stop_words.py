"""The function words: folded ones cover what is written, and subjects are not among them."""

from __future__ import annotations

from utils.hebrew import ENGLISH_STOP_WORDS, HEBREW_STOP_WORDS


def test_question_words_are_among_them() -> None:
    assert {"מי", "מה", "איפה", "מתי", "למה", "כמה", "איך", "האם"} <= HEBREW_STOP_WORDS
    assert {"who", "what", "where", "when", "why", "how"} <= ENGLISH_STOP_WORDS


def test_words_with_a_subject_are_not() -> None:
    assert not {"בית", "חוק", "ילדים", "עבודה", "ישראל"} & HEBREW_STOP_WORDS
    assert not {"house", "law", "children", "work", "may", "august"} & ENGLISH_STOP_WORDS


def test_they_are_written_as_they_are_folded_but_for_final_letters() -> None:
    assert all(word.islower() and word.isascii() for word in ENGLISH_STOP_WORDS)
    assert all("א" <= letter <= "ת" for word in HEBREW_STOP_WORDS for letter in word)
