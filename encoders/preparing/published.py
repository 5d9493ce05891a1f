"""Any sentence-transformers model, from a folder or the hub, as a model folder of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from encoders.preparing import sentence_model
from encoders.preparing.exporting import write_exported
from encoders.preparing.folder import make_folder, write_manifest
from encoders.preparing.sentence_model import SentenceModel
from encoders.preparing.tokenizer_files import write_tokenizer
from encoders.preparing.word_rows import write_rows

REVISION = "published-1"


def prepare(source: Path, folder: Path, name: str) -> None:
    sentence_model.check(source)
    make_folder(folder, 2**30, lambda made: _fill(made, sentence_model.loaded(source, name), name))


def _fill(made: Path, model: SentenceModel, name: str) -> None:
    values = _values(model, name) | write_tokenizer(model.tokenizer, made, model.lower_case)
    write_rows(model.transformer.embeddings.word_embeddings.weight.detach().numpy(), made)
    write_exported(model, made, made.parent)
    cuts = {"score_low": 0.2, "score_high": 0.9, "score_floor": 0.3, "tag_low": 0.4, "tag_high": 0.7}
    write_manifest(made, values | cuts)


def _values(model: SentenceModel, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "revision": REVISION,
        "dim": model.dim,
        "width": model.width,
        "max_tokens": model.max_tokens,
        "query_prefix": model.query_prefix,
        "passage_prefix": model.passage_prefix,
        "pooling": model.pooling,
        "passage_batch_size": 4,
        "words": "int8",
    }
