"""Pairs of skills are read or refused; what matching calls close is right nine times of ten, by the real model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from encoders.onnx_encoder import OnnxEncoder
from encoders.skill_pairs import OWN, BadPairs, SkillPair, read_pairs
from matching.pairs import LEAST_PRECISION, called_close, pair_figures
from models import tag_key
from tests.fakes import HashedWords


def test_the_shipped_pairs_are_many_each_once_and_of_both_languages() -> None:
    pairs = read_pairs(OWN)
    counts = Counter(pair.is_close for pair in pairs)
    assert counts[True] >= 120
    assert counts[False] >= 240
    assert len({frozenset((tag_key(pair.one), tag_key(pair.other))) for pair in pairs}) == len(pairs)
    assert all(tag_key(pair.one) != tag_key(pair.other) for pair in pairs)
    assert {pair.languages for pair in pairs} == {"English", "Hebrew", "English and Hebrew"}


def test_what_is_called_close_is_close(e5_folder: Path) -> None:
    pairs = read_pairs(OWN)
    found = {one.name: one for one in pair_figures(pairs, called_close(OnnxEncoder(e5_folder), pairs))}
    assert min(one.precision for one in found.values()) >= LEAST_PRECISION
    assert found["English"].recall > 0.9
    assert found["Hebrew"].recall > 0.75


def test_figures_are_those_worked_out_by_hand() -> None:
    pairs = [
        SkillPair("a", "b", True),
        SkillPair("c", "d", False),
        SkillPair("א", "b", True),
        SkillPair("e", "f", True),
    ]
    found = {one.name: one for one in pair_figures(pairs, [True, True, False, True])}
    assert [found["all"].precision, found["all"].recall] == pytest.approx([2 / 3, 2 / 3])
    assert (found["English and Hebrew"].called, found["English and Hebrew"].recall) == (0, 0.0)
    assert found["every other pair"].pairs == found["the others"].pairs == 2


def test_words_alone_tell_what_an_embedding_does_not() -> None:
    pairs = [SkillPair("manage budgets", "budgets managing", True), SkillPair("java", "javascript", False)]
    assert called_close(HashedWords(), pairs) == [True, False]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "line 1: a file of pairs begins with one,other,close"),
        ("one,other,close\na,b,maybe\n", "line 2: a pair is two skills and yes or no"),
        ("one,other,close\na,b,yes\n,b,no\n", "line 3: a pair is two skills and yes or no"),
        ("one,other,close\na,b,yes\n", "there must be pairs that are close and pairs that are not"),
    ],
)
def test_a_file_that_measures_nothing_is_refused(tmp_path: Path, written: str, said: str) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(written, encoding="utf-8")
    with pytest.raises(BadPairs, match=said):
        read_pairs(path)
    with pytest.raises(BadPairs, match="cannot be read"):
        read_pairs(tmp_path / "none.csv")


def test_a_manifest_of_before_has_a_cut_off_too() -> None:
    assert HashedWords.manifest.tag_high < HashedWords.manifest.same_from < 1
