"""Our tokenizers against the published ones, on every shared text: pointed poems, questions, words, English."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from encoders.tokenizers import TOKENIZERS, Tokenizer
from tests.model_fixtures import ROOT
from tests.shared import DATA
from tests.test_unigram import shared_texts, strange_texts

pytestmark = pytest.mark.model

LONG = "החוק קובע כי עובד שפוטר זכאי לפיצויים של משכורת אחת לכל שנת עבודה אצל אותו מעסיק. " * 6


@cache
def texts() -> list[str]:
    lemmas = (DATA / "he_lemmas.tsv").read_text(encoding="utf-8").splitlines() if DATA.is_dir() else []
    return shared_texts() + lemmas


def compared(preparing: Path, source: Path, folder: Path, some: list[str]) -> tuple[str, Tokenizer, list[str]]:
    """Return the kind of a published tokenizer, ours made of it, and the texts on which they differ."""
    folder.mkdir()
    done = subprocess.run(
        [preparing, "-m", "tests.tokenizers_reference", source, folder],
        cwd=ROOT, input=json.dumps(some).encode(), capture_output=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    kind: str = found["says"]["tokenizer"]
    tokenizer = TOKENIZERS[kind](folder)
    return kind, tokenizer, [text for text, ids in zip(some, found["ids"], strict=True) if tokenizer.ids(text) != ids]


@pytest.fixture(scope="module")
def alephbert(preparing: Path, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """AlephBERT's tokenizer, after every shared and strange text gave the pieces of the published one."""
    if not (DATA / "alephbert").is_dir():
        pytest.skip(f"{DATA / 'alephbert'} is not there")
    some = texts() + [text for text in strange_texts() if not text.isascii()]
    folder = tmp_path_factory.mktemp("alephbert") / "made"
    kind, tokenizer, different = compared(preparing, DATA / "alephbert", folder, some)
    assert (kind, different) == ("wordpiece", [])
    return tokenizer


def test_alephbert_cuts_every_shared_and_strange_text_as_the_original(alephbert: Tokenizer) -> None:
    pointed = [text for text in texts() if any("\u05b0" <= letter <= "\u05bc" for letter in text)]
    assert len(pointed) > 100
    assert alephbert.ids("שָׁלוֹם") == alephbert.ids("שלום")


@pytest.mark.parametrize(("kind", "tokenizer"), [("roberta", "byte-pairs"), ("xlm-roberta", "unigram")])
def test_the_other_families_cut_every_shared_text_as_the_original(
    preparing: Path, tiny_models: Path, tmp_path: Path, kind: str, tokenizer: str
) -> None:
    some = texts()[::8]
    found, ours, different = compared(preparing, tiny_models / "transformers" / kind, tmp_path / "made", some)
    assert (found, different) == (tokenizer, [])
    assert ours.ids("") == []
    assert len(ours.ids("\ud800 \0 😀")) > 0


def test_a_limit_gives_the_beginning_of_all_the_pieces(alephbert: Tokenizer) -> None:
    whole = alephbert.ids(LONG * 20)
    some = alephbert.ids(LONG * 20, 50)
    assert 50 <= len(some) < len(whole)
    assert some == whole[: len(some)]


def test_a_word_without_end_is_one_unknown_piece(alephbert: Tokenizer) -> None:
    assert alephbert.ids("א" * 101) == [1]
    assert alephbert.ids("א" * 100_000 + " שלום", 5) == [1, *alephbert.ids("שלום")]


def test_no_text_is_too_strange(alephbert: Tokenizer) -> None:
    assert alephbert.ids("") == alephbert.ids(" \0\u200f") == []
    assert alephbert.ids("\ud800שלום") == alephbert.ids("שלום")
    assert alephbert.ids("[SEP]") != [3]  # what a text spells out is no mark


def test_characters_of_all_scripts_are_not_kept_for_good(alephbert: Tokenizer) -> None:
    from encoders.tokenizers import WordPiece

    assert isinstance(alephbert, WordPiece)
    alephbert.ids("".join(map(chr, range(0x4E00, 0x9FFF))))
    assert len(alephbert._characters) <= 4096


MEMORY = """
import sys; sys.path.insert(0, {root!r})
from pathlib import Path
import numpy
from encoders.footprint import rss_bytes
before = rss_bytes()
from encoders.tokenizers import WordPiece
WordPiece(Path({folder!r})).ids({text!r})
print((rss_bytes() - before) // 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is measured on Linux")
def test_the_52000_pieces_of_alephbert_take_three_megabytes_at_most(
    alephbert: Tokenizer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = next(tmp_path_factory.getbasetemp().glob("alephbert*/made"))
    script = MEMORY.format(root=str(ROOT), folder=str(folder), text=LONG)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 3 * 1024
