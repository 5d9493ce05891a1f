"""Splits a long text into overlapping chunks that end at sentence boundaries."""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"(?<=[.!?…:;׃])([\"'”״’)\]]*)\s+|\n+\s*")


def windows(text: str, size: int = 300, most: int = 64) -> list[tuple[int, int]]:
    """Return half-open ranges of about `size` characters that cover the text; neighbours share a sentence.

    A text too long for `most` windows has longer ones: nothing of it is left out. An empty text has none.
    """
    size = max(size, -(-2 * len(text) // most))
    sentences = _sentences(text, size)
    chunks: list[tuple[int, int]] = []
    first = 0
    while first < len(sentences):
        last = first
        while last + 1 < len(sentences) and sentences[last + 1][1] - sentences[first][0] <= size:
            last += 1
        chunks.append((sentences[first][0], sentences[last][1]))
        if last + 1 == len(sentences):
            break
        # One sentence of overlap, unless the next chunk would then add nothing new.
        overlaps = last > first and sentences[last + 1][1] - sentences[last][0] <= size
        first = last if overlaps else last + 1
    return chunks[:most]


def _sentences(text: str, size: int) -> list[tuple[int, int]]:
    sentences = []
    start = 0
    for end, resume in [*map(_border, _SENTENCE_END.finditer(text)), (len(text), len(text))]:
        sentences.extend(_sentence_pieces(text, start, end, size))
        start = resume
    return sentences


def _border(match: re.Match[str]) -> tuple[int, int]:
    """Return where a sentence ends, closing quotes included, and where the next one begins."""
    return max(match.start(), match.end(1)), match.end()


def _sentence_pieces(text: str, start: int, end: int, size: int) -> list[tuple[int, int]]:
    """Return a sentence, split at spaces if it is longer than a chunk."""
    pieces = []
    while end - start > size:
        cut = text.rfind(" ", start + size // 2, start + size)
        cut = cut if cut > start else start + size
        pieces.append((start, cut))
        start = cut
    if text[start:end].strip():
        pieces.append((start, end))
    return pieces
