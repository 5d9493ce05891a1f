"""A model on another host: an encoder over HTTP, and a local folder with its manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from encoders.base import PrefixedEncoder
from encoders.endpoint import PATIENT, QUICK, Endpoint, EndpointFailed, embeddings_url
from encoders.manifest import FILE_NAME, FORMAT, Manifest, ModelUnusable, read_manifest
from utils.niqqud import strip_points

MEANS_FILE = "means.npy"
# More than the 512 tokens that most models read; the rest would be truncated there.
LONGEST_TEXT = 4_000


class RemoteEncoder(PrefixedEncoder):
    """The encoders.base.Encoder of a model on another host."""

    def __init__(self, endpoint: Endpoint, manifest: Manifest) -> None:
        self.manifest = manifest
        self.name, self.dim = manifest.name, manifest.dim
        self._endpoint = endpoint
        endpoint.checksum = manifest.checksum

    def count_tokens(self, text: str) -> int:
        """Estimate four letters per token: the tokenizer is on the other host."""
        return len(text) // 4 + 2

    def close(self, reason: str) -> None:
        """Do nothing: there is no memory to free here."""

    def _encoded(self, prefix: str, texts: Sequence[str], is_long: bool) -> np.ndarray:
        cleaned = [prefix + " ".join(strip_points(text[:LONGEST_TEXT]).split()) for text in texts]
        # A single short text is a search query, for which someone waits.
        return self._endpoint.embed(cleaned, self.dim, QUICK if len(texts) == 1 and not is_long else PATIENT)


def open_remote(endpoint: Endpoint, folder: Path, prefixes: tuple[str, str]) -> RemoteEncoder:
    """Return the encoder of an endpoint; raises ModelUnusable if it fails and its manifest is not known yet.

    A Matmon host describes its model itself, and the embeddings are those of that model wherever it runs. Of another
    server's model the cosines are measured once, on a sample (some 400 texts), and stored in the folder.
    """
    source_name = source(endpoint.url, endpoint.model, prefixes)
    try:
        published = _published_model(endpoint, endpoint.models(), source_name)
    except EndpointFailed as error:
        known = known_manifest(folder, source_name)
        if known is None:
            raise ModelUnusable(str(error)) from error
        return RemoteEncoder(endpoint, known)
    if published:
        return RemoteEncoder(endpoint, _stored(folder, *published))
    manifest = known_manifest(folder, source_name) or _measured(endpoint, folder, prefixes, source_name)
    return RemoteEncoder(endpoint, manifest)


def known_manifest(folder: Path, source_name: str) -> Manifest | None:
    """Return the stored manifest of an endpoint's model; None if there is none, or of another model."""
    try:
        manifest = read_manifest(folder)
    except ModelUnusable:
        return None
    return manifest if manifest.source == source_name else None


def source(url: str, model: str, prefixes: tuple[str, str]) -> str:
    """Return what identifies an endpoint: URL, model and prefixes."""
    marked = f", prefixes {prefixes[0]!r} and {prefixes[1]!r}" if any(prefixes) else ""
    return f"{model or 'the model'} at {embeddings_url(url)}{marked}"


def _published_model(endpoint: Endpoint, answer: Any, source_name: str) -> tuple[dict[str, Any], np.ndarray] | None:
    """Return the manifest and means that a Matmon host publishes; None for another server. Raises EndpointFailed."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    of_matmon = [row for row in rows if isinstance(row, dict) and "matmon" in row] if isinstance(rows, list) else []
    if not of_matmon:
        return None
    row = next((row for row in of_matmon if not endpoint.model or row.get("id") == endpoint.model), None)
    if row is None:
        names = ", ".join(str(row.get("id")) for row in of_matmon)
        raise EndpointFailed(f"{endpoint.url} serves {names} and not {endpoint.model}; look at EMBEDDINGS_MODEL")
    try:
        # Gibberish is detected by its tokens, which cannot be counted here.
        values = dict(row["matmon"]) | {"source": source_name, "letters_per_token": 0.0}
        means = np.array(values.pop("means"), dtype=np.float32)
        known = {each.name for each in fields(Manifest)}
        Manifest(**{name: value for name, value in values.items() if name in known})
        fits = means.ndim == 3 and means.shape[::2] == (2, values["dim"]) and values.pop("format") == FORMAT
    except (TypeError, ValueError, KeyError):
        fits = False
    if not fits:
        raise EndpointFailed(f"{endpoint.url} is a Matmon of another version; bring both hosts to the same one")
    return values, means


def _measured(endpoint: Endpoint, folder: Path, prefixes: tuple[str, str], source_name: str) -> Manifest:
    from encoders.score_range import built_in_sample, measure_score_range  # not needed once measured

    name = "remote-" + (re.sub(r"[^\w.-]+", "-", endpoint.model or endpoint.url.split("//", 1)[1]).strip("-"))
    try:
        dim = endpoint.embed(["מטמון"], None, QUICK).shape[1]
        about: dict[str, Any] = {
            "name": name, "dim": dim, "max_tokens": 512, "source": source_name,
            "query_prefix": prefixes[0], "passage_prefix": prefixes[1],
        }  # fmt: skip
        unmeasured = Manifest(score_low=0, score_high=1, score_floor=0, tag_low=0, tag_high=1, **about)
        score_range = measure_score_range(RemoteEncoder(endpoint, unmeasured), built_in_sample())
    except EndpointFailed as error:
        raise ModelUnusable(str(error)) from error
    checksum = hashlib.sha256(json.dumps([name, dim, *prefixes]).encode()).hexdigest()
    values = about | score_range.thresholds | {"letters_per_token": 0.0, "checksum": checksum}
    return _stored(folder, values, score_range.means)


def _stored(folder: Path, values: dict[str, Any], means: np.ndarray) -> Manifest:
    """Store the manifest and means, for a start while the endpoint is down. Raises ModelUnusable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / MEANS_FILE, lambda new: np.save(new, means))
        sizes = {MEANS_FILE: (folder / MEANS_FILE).stat().st_size}
        text = json.dumps(values | {"format": FORMAT, "means": MEANS_FILE, "files": {}, "sizes": sizes}, indent=2)
        _replace(folder / FILE_NAME, lambda new: new.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise ModelUnusable(
            f"{folder} cannot be written ({error.strerror}); set INSTANCE_DIR to a folder that can"
        ) from error
    return read_manifest(folder)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Replace a file atomically: several processes of the site read and write it."""
    new = path.with_name(f".{os.getpid()}-{path.name}")
    write(new)
    new.replace(path)
