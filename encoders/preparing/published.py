"""Makes a model folder from any sentence-transformers model, in a folder or on the hub."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from encoders.manifest import ModelUnusable, read_manifest
from encoders.onnx_encoder import OnnxEncoder
from encoders.preparing import hub, sentence_model
from encoders.preparing.checking import Checked, checked
from encoders.preparing.folder import NotPrepared, make_folder, write_manifest
from encoders.preparing.sentence_model import SentenceModel
from encoders.preparing.tokenizer_files import write_tokenizer
from encoders.preparing.word_rows import write_rows
from encoders.score_range import Sample, built_in_sample, measure_score_range

# Incremented when a folder made earlier would be different.
RECIPE = "published-1"

# Models with a short name.
HUB_IDS = {"alephbert": "imvladikon/sentence-transformers-alephbert"}

_MEANS_FILE = "means.npy"
# Besides the weights: the traced and the fused graph, each as large as they are, and the folder.
_TIMES_THE_WEIGHTS = 3

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """The model to prepare: a folder or a hub id, and the name of the model folder.

    A prefix of None means that of the model.
    """

    source: str
    name: str
    revision: str | None = None
    query_prefix: str | None = None
    passage_prefix: str | None = None
    licence: str = ""


def folder_name(source: str) -> str:
    """Return the default name of a source's model folder."""
    return re.sub(r"[^a-z0-9._-]+", "-", Path(source).name.lower()).strip("-.") or "model"


def prepare_published(wanted: Wanted, folder: Path, sample: Sample | None = None, say: Say = print) -> Checked | None:
    """Make the model folder and compare it with the original; None if it is already complete. Raises NotPrepared.

    It is complete if it was made from the same source by the same recipe; with a sample it is always made again.
    """
    if sample is None and is_made(wanted, folder):
        return None
    published = _published(wanted, say)
    weights = sum(path.stat().st_size for path in sentence_model.torch_weights(published.folder))
    results: list[Checked] = []
    make_folder(
        folder,
        _TIMES_THE_WEIGHTS * weights,
        lambda made: results.append(_fill(made, wanted, published, sample or built_in_sample(), say)),
    )
    return results[0]


def is_made(wanted: Wanted, folder: Path) -> bool:
    """Tell whether the folder is complete and was made from this source."""
    try:
        manifest = read_manifest(folder, checksums=True)
    except ModelUnusable:
        return False
    commit = manifest.revision.removeprefix(f"{RECIPE}-")
    same = manifest.source == _source(wanted) and commit != manifest.revision
    if hub.is_hub_id(_source(wanted)):
        return same and wanted.revision in (None, commit)
    return same and commit == fingerprint(Path(wanted.source))


def fingerprint(folder: Path) -> str:
    """Return 16 hexadecimal digits that depend on the settings files, and on the sizes and dates of the weights."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(str(path.relative_to(folder)).encode())
        if path.suffix == ".json":
            found.update(path.read_bytes())
        else:
            found.update(f"{path.stat().st_size} {path.stat().st_mtime_ns}".encode())
    return found.hexdigest()[:16]


def _source(wanted: Wanted) -> str:
    known = HUB_IDS.get(wanted.source, wanted.source)
    return str(Path(known).resolve()) if Path(known).is_dir() else known


def _published(wanted: Wanted, say: Say) -> hub.Published:
    source = _source(wanted)
    if Path(source).is_dir():
        sentence_model.check(Path(source), source)
        return hub.Published(Path(source), fingerprint(Path(source)), wanted.licence)
    if not hub.is_hub_id(source):
        raise NotPrepared(f"{source} is neither a folder nor a hub id such as owner/model: check its name")
    say(f"fetching {source} (what is there already is kept)")
    return hub.fetched(source, lambda folder: sentence_model.check(folder, source), wanted.revision)


def _fill(made: Path, wanted: Wanted, published: hub.Published, sample: Sample, say: Say) -> Checked:
    from encoders.preparing.exporting import (
        write_exported,  # importing torch takes 4 s, and an error should not wait for it
    )

    say("loading the original")
    model = sentence_model.loaded_model(published.folder, wanted.source).with_prefixes(
        wanted.query_prefix, wanted.passage_prefix
    )
    values = _values(model, wanted, published) | write_tokenizer(model.tokenizer, made, model.lower_case)
    write_rows(model.transformer.embeddings.word_embeddings.weight.detach().numpy(), made)
    say("exporting (a minute or two)")
    write_exported(model, made, made.parent)
    write_manifest(made, values | _UNMEASURED)
    say("measuring its cosines")
    try:
        score_range = measure_score_range(OnnxEncoder(made), sample)
    except ModelUnusable as error:
        raise NotPrepared(str(error)) from error
    if not score_range.languages:
        say("it finds the right texts of no language of the sample: its cut-offs mean little, measure with --texts")
    np.save(made / _MEANS_FILE, score_range.means)
    write_manifest(made, values | score_range.thresholds | {"means": _MEANS_FILE}, beside=(_MEANS_FILE,))
    say("checking it against the original")
    return checked(made, model, sample)


def _values(model: SentenceModel, wanted: Wanted, published: hub.Published) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "revision": f"{RECIPE}-{published.commit}",
        "source": _source(wanted),
        "licence": wanted.licence or published.licence,
        "dim": model.dim,
        "width": model.width,
        "max_tokens": model.max_tokens,
        "query_prefix": model.query_prefix,
        "passage_prefix": model.passage_prefix,
        "pooling": model.pooling,
        "passage_batch_size": 4,
        "words": "int8",
    }


# Placeholders: the encoder that measures uses none of them.
_UNMEASURED = dict.fromkeys(("score_low", "score_high", "score_floor", "tag_low", "tag_high"), 0.0)
