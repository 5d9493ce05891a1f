"""The original model in torch through sentence-transformers, for hosts with enough memory and for comparison."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from encoders.base import PrefixedEncoder
from encoders.manifest import Manifest, ModelUnusable
from encoders.onnx_encoder import cleaned
from encoders.queue import EncoderQueue

# Measured: torch and sentence-transformers alone are 400 MB resident.
LIBRARIES_MB, BYTES_A_WEIGHT = 400.0, 4
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


class OriginalEncoder(PrefixedEncoder):
    """The encoders.base.Encoder of the published float32 weights.

    Its manifest is that of the prepared folder (cut-offs, means, prefixes) with a name and a checksum of its own.
    """

    def __init__(
        self, manifest: Manifest, weights: str, batch_size: int | None = None, queue: EncoderQueue | None = None
    ) -> None:
        """Load the weights, a folder or a hub id; raises ModelUnusable if they cannot be loaded."""
        self.manifest, self.name, self.dim = manifest, manifest.name, manifest.dim
        self._batch_size, self._queue = batch_size or manifest.passage_batch_size, queue or EncoderQueue()
        self._model = _load_model(manifest, weights)

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text as a passage, prefix and special tokens included, not truncated."""
        return len(self._model.tokenizer.encode(cleaned(self.manifest.passage_prefix + text), verbose=False))

    def close(self, reason: str) -> None:
        """Let the current batch finish, and refuse further ones."""
        self._queue.close(reason)

    def _encoded(self, prefix: str, texts: Sequence[str], is_long: bool) -> np.ndarray:  # noqa: ARG002
        vectors = np.empty((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), self._batch_size):
            batch = [cleaned(prefix + text) for text in texts[start : start + self._batch_size]]
            with self._queue.slot():
                # An empty prompt: a published one would be added to the prefix.
                vectors[start : start + len(batch)] = self._model.encode(
                    batch, prompt="", batch_size=len(batch), normalize_embeddings=True, show_progress_bar=False
                )
        return vectors


def original_manifest(manifest: Manifest, name: str, weights: str) -> Manifest:
    """Return the original's manifest, under a key of its own, since its embeddings differ."""
    deciding = ("sentence-transformers", weights or manifest.source, manifest.revision, manifest.max_tokens,
                manifest.query_prefix, manifest.passage_prefix)  # fmt: skip
    return replace(manifest, name=name, checksum=hashlib.sha256(repr(deciding).encode()).hexdigest())


def original_mb(manifest: Manifest) -> float:
    """Estimate the megabytes of an original: four bytes per weight instead of one."""
    weights = sum(manifest.sizes.get(name, 0) for name in ("weights.bin", "words.npy"))
    return LIBRARIES_MB + BYTES_A_WEIGHT * weights / 2**20


def _load_model(manifest: Manifest, weights: str) -> Any:
    """Return the SentenceTransformer, downloaded from the hub if needed; raises ModelUnusable."""
    try:
        import torch
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ModelUnusable(
            f"SEMANTIC_RUNTIME=sentence-transformers takes {error.name}, which is not installed here; install it with:"
            " pip install -r requirements-original.txt"
        ) from error
    is_folder = Path(weights).is_dir()
    if not is_folder and not HUB_ID.fullmatch(weights):
        raise ModelUnusable(
            f"the original of {manifest.folder.name} is {weights!r}, no folder here and no hub id; set TORCH_MODEL"
            " to a folder or a hub id such as owner/model"
        )
    commit = manifest.revision.rpartition("-")[2] if weights == manifest.source and not is_folder else None
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    try:
        model = SentenceTransformer(
            weights, device="cpu", revision=commit, local_files_only=is_folder,
            model_kwargs={"attn_implementation": "eager"},
        )  # fmt: skip
    except Exception as error:  # safetensors, pickle, torch, json and the hub each have their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelUnusable(
            f"{weights} cannot be loaded ({reason}); TORCH_MODEL names a folder with all files, or a hub id"
        ) from error
    if (dim := model.get_embedding_dimension()) != manifest.dim:
        raise ModelUnusable(f"{weights} gives embeddings {dim} wide, not {manifest.dim}; look at TORCH_MODEL")
    model.max_seq_length = manifest.max_tokens
    return model.eval()
