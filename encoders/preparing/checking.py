"""A prepared folder held against the model that it was made from: tokens, embeddings, ranks, and its cost."""

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
# Run by itself, so that nothing of the preparing is counted.
_LOAD = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from encoders.footprint import rss_bytes
from utils.memory import keep_heap_small, process_memory
import os, numpy, onnxruntime
keep_heap_small()
def anonymous():
    found = process_memory(os.getpid())
    return found.anonymous if found else rss_bytes()
before, began = anonymous(), time.perf_counter()
from encoders.onnx_encoder import OnnxEncoder
encoder = OnnxEncoder(Path(sys.argv[2]))
encoder.encode_queries(["-"])
print(json.dumps([anonymous() - before, rss_bytes(), time.perf_counter() - began]))
"""


@dataclass(frozen=True)
class Checked:
    """How near the prepared model is to the original, and what it costs; memory in bytes."""

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
        """Return the figures as lines to print."""
        rows = (
            ("cosine with the original", f"mean {self.mean_cosine:.5f}, least {self.least_cosine:.5f}"),
            (f"nearest {NEAREST} in common", f"{self.same_nearest:.3f}"),
            ("cut into the same tokens", f"{self.same_tokens} of {self.texts} texts"),
            ("on disk", f"{self.disk / 2**20:.0f} MB"),
            ("memory of the model", f"{self.anonymous / 2**20:.0f} MB"),
            ("a process with it alone", f"{self.resident / 2**20:.0f} MB resident"),
            ("loads in", f"{self.load_s:.2f} s"),
        )
        return "\n".join(f"{name:<26}{value}" for name, value in rows)


def checked(folder: Path, model: SentenceModel, sample: Sample) -> Checked:
    """Return the figures of a folder. Raises NotPrepared where it is not the model that it was made from."""
    texts = _texts(sample)
    encoder = OnnxEncoder(folder)
    mine = encoder.encode_passages(texts)
    original = original_embeddings(model, texts)
    cosines = np.einsum("ij,ij->i", mine, original)
    same_tokens = sum(_same_tokens(encoder, model, text) for text in texts)
    anonymous, resident, load_s = _loaded(folder)
    found = Checked(
        texts=len(texts),
        same_tokens=same_tokens,
        mean_cosine=float(cosines.mean()),
        least_cosine=float(cosines.min()),
        same_nearest=same_nearest(mine, original),
        disk=sum(path.stat().st_size for path in folder.iterdir()),
        anonymous=anonymous,
        resident=resident,
        load_s=load_s,
    )
    _refuse(found)
    return found


def original_embeddings(model: SentenceModel, texts: Sequence[str]) -> np.ndarray:
    """Return what the published model makes of passages: float32 (len(texts), dim), each row of length 1."""
    prefixed = [model.passage_prefix + cleaned(text) for text in texts]
    embeddings: np.ndarray = model.whole.encode(
        prefixed, prompt="", normalize_embeddings=True, batch_size=8, show_progress_bar=False
    )
    return embeddings


def same_nearest(mine: np.ndarray, original: np.ndarray) -> float:
    """Return the share of each text's ten nearest others that two encoders have in common."""
    least = min(NEAREST, len(mine) - 1)
    return float(np.mean([len(a & b) / least for a, b in zip(_nearest(mine), _nearest(original), strict=True)]))


def _nearest(embeddings: np.ndarray) -> list[set[int]]:
    cosines = embeddings @ embeddings.T
    np.fill_diagonal(cosines, -2)
    return [set(row) for row in np.argsort(-cosines, axis=1)[:, :NEAREST].tolist()]


def _texts(sample: Sample) -> list[str]:
    """Return up to 200 texts of the sample, long and short, each once."""
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
        raise NotPrepared(f"the folder was made and cannot be loaded ({reason})")
    figures: Any = json.loads(done.stdout)
    return int(figures[0]), int(figures[1]), float(figures[2])


def _refuse(found: Checked) -> None:
    if found.same_tokens < LEAST_SAME_TOKENS * found.texts:
        raise NotPrepared(
            f"only {found.same_tokens} of {found.texts} texts are cut into the tokens of the original: "
            f"its tokenizer is not of a kind that is served"
        )
    if not found.mean_cosine >= LEAST_COSINE:
        raise NotPrepared(
            f"the mean cosine with the original is {found.mean_cosine:.4f}, less than {LEAST_COSINE}: "
            f"the model does not bear 8 bits, or holds something that is not served"
        )
