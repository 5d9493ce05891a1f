"""Windows: all of the text in them, sentences whole where they fit, and not too many."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tests.shared import shared_rows
from utils.windows import windows

ALPHABET = "אבגדה  ..!?\n\u05be\"'”)" + "abc "


def random_texts() -> list[str]:
    chance = random.Random(7)
    return ["".join(chance.choices(ALPHABET, k=chance.randrange(3_000))) for _ in range(300)]


def left_out(text: str, found: list[tuple[int, int]]) -> str:
    """Return the characters in no window, white space aside."""
    covered = bytearray(len(text))
    for start, end in found:
        covered[start:end] = b"\1" * (end - start)
    return "".join(c for c, inside in zip(text, covered, strict=True) if not inside and not c.isspace())


def holds_what_windows_promise(text: str, size: int, most: int) -> None:
    found = windows(text, size, most)
    assert left_out(text, found) == ""
    assert len(found) <= most
    longest = max(size, -(-2 * len(text) // most))
    for start, end in found:
        assert 0 <= start < end <= len(text)
        assert end - start <= longest
    for before, after in pairwise(found):
        assert before[0] < after[0]
        assert before[1] < after[1]


@pytest.mark.parametrize("size", [40, 300])
def test_nothing_of_a_text_is_left_out(size: int) -> None:
    for text in random_texts():
        holds_what_windows_promise(text, size, 64)


def test_nothing_of_a_real_text_is_left_out() -> None:
    for row in shared_rows("he_docs.jsonl")[::11]:
        holds_what_windows_promise(row["body"], 300, 64)


@pytest.mark.parametrize("text", ["א" * 200_000, "מילה " * 40_000, "כן. " * 50_000, "\n\n" * 9 + "א. ב" * 99_999])
def test_a_very_long_text_has_longer_windows_and_not_more(text: str) -> None:
    holds_what_windows_promise(text, 300, 64)


def test_windows_end_where_sentences_do_and_share_one() -> None:
    sentences = [f"משפט מספר {number} אומר דבר מה חדש." for number in range(10)]
    text = " ".join(sentences)
    found = [text[start:end] for start, end in windows(text, 100)]
    assert all(one.startswith("משפט") and one.endswith("חדש.") for one in found)
    for before, after in pairwise(found):
        assert before.split(". ")[-1].rstrip(".") == after.split(". ")[0].rstrip(".")


def test_a_short_text_is_one_window() -> None:
    assert windows("שלום עולם.") == [(0, 10)]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t "])
def test_an_empty_text_has_no_window(text: str) -> None:
    assert windows(text) == []
