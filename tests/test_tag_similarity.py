"""Tags of one language are compared by their cosine, tags of two by what is left of it less the languages' means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from encoders.manifest import load_means, read_manifest
from encoders.onnx_encoder import OnnxEncoder
from indexes.similarity import TagSimilarity
from tests.fakes import HashedWords
from utils.language_means import LanguageMeans

HEBREW, ENGLISH = np.eye(4, dtype=np.float32)[:2] * 3
MANIFEST = replace(HashedWords.manifest, dim=4, tag_low=0.5, tag_same=0.98, tag_across=0.5)
MEANINGS = np.eye(4, dtype=np.float32)[2:]


def unit(language: np.ndarray, meaning: np.ndarray) -> np.ndarray:
    row: np.ndarray = language + meaning
    return row / np.linalg.norm(row)


ROWS = np.array([unit(language, meaning) for language in (HEBREW, ENGLISH) for meaning in MEANINGS], np.float32)
MEANS = LanguageMeans(np.stack([ROWS.mean(axis=0), ROWS[:2].mean(axis=0), ROWS[2:].mean(axis=0)]))


def test_the_same_of_two_languages_is_found_where_the_cosine_is_that_of_strangers() -> None:
    close = TagSimilarity(MANIFEST, MEANS).similarities(ROWS, ROWS) > 0
    assert close.tolist() == [[a % 2 == b % 2 for b in range(4)] for a in range(4)]
    assert (ROWS[0] @ ROWS[2]) < MANIFEST.tag_low


def test_without_a_cut_off_across_languages_only_the_cosine_counts() -> None:
    close = TagSimilarity(replace(MANIFEST, tag_across=0.0), MEANS)
    assert (close.similarities(ROWS, ROWS) > 0).tolist() == np.eye(4, dtype=bool).tolist()
    assert close.targets(ROWS) is ROWS


def test_what_is_looked_for_is_looked_for_in_the_other_language_too() -> None:
    asked = TagSimilarity(MANIFEST, MEANS).targets(ROWS[:1])
    assert (ROWS @ asked.T).argmax(axis=0).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("one", "other", "is_close"),
    [("ניהול פרויקטים", "project management", True), ("עזרה ראשונה", "first aid", True),
     ("בדיקות תוכנה", "blood tests", False), ("יחסי ציבור", "public transport", False)],
)  # fmt: skip
def test_the_real_model_knows_a_skill_by_its_name_in_the_other_language(
    e5_folder: Path, one: str, other: str, is_close: bool
) -> None:
    manifest = read_manifest(e5_folder)
    rows = OnnxEncoder(e5_folder).encode_tags([one, other])
    close = TagSimilarity(manifest, LanguageMeans(load_means(manifest)[1])).similarities(rows[:1], rows[1:])
    assert bool(close[0, 0] > 0) is is_close
