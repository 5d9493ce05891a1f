"""Compares a prepared folder with its original: tokens, embeddings, ranks, and cost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders.onnx_encoder import OnnxEncoder, cleaned
from encoders.preparing.folder import NotPrepared
from encoders.preparing.sentence_model import SentenceModel
from encoders.score_range import Sample

LEAST_COSINE = 0.999
LEAST_SAME_TOKENS = 0.99
TEXTS = 200
NEAREST = 10

_ROOT = Path(__file__).resolve().parents[2]
# Run in a process of its own, so that nothing else is counted.
_LOAD = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from encoders.footprint import rss_bytes
from utils.memory import keep_heap_small, process_memory
import os, numpy, onnxruntime
keep_heap_small()
def anonymous():
    memory = process_memory(os.getpid())
    return memory.anonymous if memory else rss_bytes()
before, began = anonymous(), time.perf_counter()
from encoders.onnx_encoder import OnnxEncoder
encoder = OnnxEncoder(Path(sys.argv[2]))
encoder.encode_queries(["-"])
print(json.dumps([anonymous() - before, rss_bytes(), time.perf_counter() - began]))
"""


@dataclass(frozen=True)
class Checked:
    """How close the prepared model is to the original, and its cost; sizes in bytes."""

    texts: int
    same_tokens: int
    mean_cosine: float
    least_cosine: float
    same_nearest: float
    disk: int
    anonymous: int
    resident: int
    load_s: float

    def table(self) -> str:
        """Return the figures as a table to print."""
        rows = (
            ("cosine with the original", f"mean {self.mean_cosine:.5f}, least {self.least_cosine:.5f}"),
            (f"nearest {NEAREST} in common", f"{self.same_nearest:.3f}"),
            ("same tokens", f"{self.same_tokens} of {self.texts} texts"),
            ("on disk", f"{self.disk / 2**20:.0f} MB"),
            ("memory of the model", f"{self.anonymous / 2**20:.0f} MB"),
            ("a process with only the model", f"{self.resident / 2**20:.0f} MB resident"),
            ("loads in", f"{self.load_s:.2f} s"),
        )
        return "\n".join(f"{name:<26}{value}" for name, value in rows)


def checked(folder: Path, model: SentenceModel, sample: Sample) -> Checked:
    """Return the figures of a folder. Raises NotPrepared if it differs from the original."""
    texts = _texts(sample)
    encoder = OnnxEncoder(folder)
    prepared = encoder.encode_passages(texts)
    original = original_embeddings(model, texts)
    cosines = np.einsum("ij,ij->i", prepared, original)
    same_tokens = sum(_same_tokens(encoder, model, text) for text in texts)
    anonymous, resident, load_s = _loaded(folder)
    figures = Checked(
        texts=len(texts),
        same_tokens=same_tokens,
        mean_cosine=float(cosines.mean()),
        least_cosine=float(cosines.min()),
        same_nearest=same_nearest(prepared, original),
        disk=sum(path.stat().st_size for path in folder.iterdir()),
        anonymous=anonymous,
        resident=resident,
        load_s=load_s,
    )
    _refuse(figures)
    return figures


def original_embeddings(model: SentenceModel, texts: Sequence[str]) -> np.ndarray:
    """Return the published model's embeddings of passages: float32 (len(texts), dim), unit rows."""
    prefixed = [model.passage_prefix + cleaned(text) for text in texts]
    embeddings: np.ndarray = model.whole.encode(
        prefixed, prompt="", normalize_embeddings=True, batch_size=8, show_progress_bar=False
    )
    return embeddings


def same_nearest(prepared: np.ndarray, original: np.ndarray) -> float:
    """Return the share of each text's NEAREST neighbours that both encoders agree on, on average."""
    count = min(NEAREST, len(prepared) - 1)
    pairs = zip(_nearest(prepared), _nearest(original), strict=True)
    return float(np.mean([len(a & b) / count for a, b in pairs]))


def _nearest(embeddings: np.ndarray) -> list[set[int]]:
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, -2)
    return [set(row) for row in np.argsort(-cosines, axis=1)[:, :NEAREST].tolist()]


def _texts(sample: Sample) -> list[str]:
    """Return up to TEXTS distinct texts of the sample, long and short."""
    passages, queries = list(dict.fromkeys(sample.passages)), list(dict.fromkeys(sample.queries))
    queries += [pair.query for pair in sample.pairs if pair.query not in set(queries)]
    return (passages[: TEXTS // 2] + queries)[:TEXTS]


def _same_tokens(encoder: OnnxEncoder, model: SentenceModel, text: str) -> bool:
    whole = cleaned(model.passage_prefix + text)
    ids = model.tokenizer.encode(whole.lower() if model.lower_case else whole).ids
    if len(ids) > model.max_tokens:
        ids = ids[: model.max_tokens - 1] + ids[-1:]
    return bool(encoder.tokens(whole) == ids)


def _loaded(folder: Path) -> tuple[int, int, float]:
    command = [sys.executable, "-c", _LOAD, str(_ROOT), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise NotPrepared(f"the folder was made but cannot be loaded ({reason})")
    figures: Any = json.loads(done.stdout)
    return int(figures[0]), int(figures[1]), float(figures[2])


def _refuse(figures: Checked) -> None:
    if figures.same_tokens < LEAST_SAME_TOKENS * figures.texts:
        raise NotPrepared(
            f"only {figures.same_tokens} of {figures.texts} texts have the tokens of the original: "
            f"this kind of tokenizer is not supported"
        )
    if not figures.mean_cosine >= LEAST_COSINE:
        raise NotPrepared(
            f"the mean cosine with the original is {figures.mean_cosine:.4f}, less than {LEAST_COSINE}: "
            f"the model does not tolerate 8 bits, or has a part that is not supported"
        )
