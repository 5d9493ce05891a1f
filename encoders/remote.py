"""A model on another host: the encoders.base.Encoder of an endpoint, and the folder of what was found out about it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from encoders.endpoint import PATIENT, QUICK, Endpoint, EndpointFailed, Patience, embeddings_url
from encoders.manifest import FILE_NAME, FORMAT, Manifest, ModelUnusable, read_manifest
from utils.points import strip_points

MEANS_FILE = "means.npy"
# About the 512 tokens that most models read; a longer query would only be cut there.
LONGEST_TEXT = 2_000


class RemoteEncoder:
    """The encoders.base.Encoder of a model that another host holds in memory."""

    def __init__(self, endpoint: Endpoint, manifest: Manifest) -> None:
        self.manifest = manifest
        self.name, self.dim = manifest.name, manifest.dim
        self._endpoint = endpoint

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 of shape (len(texts), dim), each row of length 1; all of these raise EndpointFailed."""
        return self._encoded("", texts, PATIENT)

    def encode_queries(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoded(self.manifest.query_prefix, texts, QUICK)

    def encode_passages(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoded(self.manifest.passage_prefix, texts, PATIENT)

    def encode_tags(self, texts: Sequence[str]) -> np.ndarray:
        return self._encoded(self.manifest.query_prefix, texts, PATIENT if len(texts) > 1 else QUICK)

    def count_tokens(self, text: str) -> int:
        """Return a guess, four letters a token: the tokenizer is on the other host."""
        return len(text) // 4 + 2

    def close(self, reason: str) -> None:
        """Do nothing: there is no memory here to give back."""

    def _encoded(self, prefix: str, texts: Sequence[str], patience: Patience) -> np.ndarray:
        cleaned = [prefix + " ".join(strip_points(text[:LONGEST_TEXT]).split()) for text in texts]
        return self._endpoint.embed(cleaned, self.dim, patience)


def open_remote(endpoint: Endpoint, folder: Path, prefixes: tuple[str, str]) -> RemoteEncoder:
    """Return the encoder of an endpoint; raises ModelUnusable where it cannot be asked and nothing is known of it.

    A Matmon host describes its model itself, and the embeddings are those of that model wherever it runs. Of another
    server's model the cosines are measured once, on a sample (some 200 texts), and kept in the folder.
    """
    told_by = source(endpoint.url, endpoint.model, prefixes)
    try:
        known = _told(endpoint, folder, told_by) or known_manifest(folder, told_by)
        return RemoteEncoder(endpoint, known or _measured(endpoint, folder, prefixes, told_by))
    except EndpointFailed as error:
        raise ModelUnusable(str(error)) from error


def known_manifest(folder: Path, told_by: str) -> Manifest | None:
    """Return what was found out about an endpoint's model before; None where nothing was, or of another one."""
    try:
        manifest = read_manifest(folder)
    except ModelUnusable:
        return None
    return manifest if manifest.source == told_by else None


def source(url: str, model: str, prefixes: tuple[str, str]) -> str:
    """Return what an endpoint is known by: another address, model or prefix is another one."""
    marked = f", prefixes {prefixes[0]!r} and {prefixes[1]!r}" if any(prefixes) else ""
    return f"{model or 'the model'} at {embeddings_url(url)}{marked}"


def _told(endpoint: Endpoint, folder: Path, told_by: str) -> Manifest | None:
    answer = endpoint.described("models")
    try:
        rows = [row for row in answer["data"] if not endpoint.model or row["id"] == endpoint.model]
        told: dict[str, Any] = rows[0]["matmon"]
        means = np.array(told.pop("means"), dtype=np.float32)
    except (TypeError, KeyError, IndexError, ValueError):
        return None
    # Senseless queries are known by their tokens, which cannot be counted from here.
    return _written(folder, told | {"source": told_by, "letters_per_token": 0.0}, means)


def _measured(endpoint: Endpoint, folder: Path, prefixes: tuple[str, str], told_by: str) -> Manifest:
    from encoders.preparing.measuring import measured
    from encoders.preparing.texts import built_in

    name = "remote-" + (re.sub(r"[^\w.-]+", "-", endpoint.model) or "model")
    rough = Manifest(
        name=name, dim=endpoint.embed(["מטמון"], None, QUICK).shape[1], max_tokens=512, source=told_by,
        score_low=0, score_high=1, score_floor=0, tag_low=0, tag_high=1,
        query_prefix=prefixes[0], passage_prefix=prefixes[1],
    )  # fmt: skip
    found = measured(RemoteEncoder(endpoint, rough), built_in())
    named = hashlib.sha256(json.dumps([name, rough.dim, *prefixes]).encode()).hexdigest()
    values = {
        key: getattr(rough, key) for key in ("name", "dim", "max_tokens", "source", "query_prefix", "passage_prefix")
    }
    return _written(folder, values | found.cut_offs | {"letters_per_token": 0.0, "checksum": named}, found.means)


def _written(folder: Path, values: dict[str, Any], means: np.ndarray) -> Manifest:
    """Keep what was found out, for a start while the endpoint is down; return it. Raises ModelUnusable."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / MEANS_FILE, means)
    kept = values | {"format": FORMAT, "means": MEANS_FILE, "files": {}, "sizes": {}}
    new = folder / f"{FILE_NAME}.new"
    new.write_text(json.dumps(kept, ensure_ascii=False, indent=2), encoding="utf-8")
    new.replace(folder / FILE_NAME)
    return read_manifest(folder)
