"""An encoder that runs a prepared model folder with onnxruntime."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import numpy as np

from encoders.base import PrefixedEncoder
from encoders.footprint import trim_memory
from encoders.manifest import FolderWatch, ModelUnusable, read_manifest, remedy
from encoders.queue import EncoderQueue, EncoderUnavailable
from encoders.tokenizers import TOKENIZERS
from encoders.word_embeddings import WORD_TABLES
from utils.niqqud import strip_points

GRAPH_FILE = "model.onnx"

# Read when onnxruntime is loaded. Since 1.29 it sends telemetry about host and model, stores an id for the host in the
# user's home, and takes a thread and 6 MB for it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

Made = TypeVar("Made")

# Batches of at least so many tokens leave up to 30 MB in the allocator; returning it takes 0.3 ms.
_MANY_TOKENS = 128
# Four passages of 208 tokens in a batch are no faster than one by one (276 and 250 CPU ms each for a model 768 wide)
# and peak 24 MB higher; so a batch holds four passages, or ten tags, only while they are short.
_BATCH_TOKENS = 512


class OnnxEncoder(PrefixedEncoder):
    """The encoders.base.Encoder of a folder made by scripts/prepare_model.py.

    Texts run in batches of one length only, so that no text is padded and each has the same embedding in any
    company. One batch runs at a time: two would double the peak of memory, and no core is idle meanwhile.
    """

    def __init__(
        self,
        folder: Path,
        passage_batch_size: int | None = None,
        tag_batch_size: int = 10,
        threads: int | None = None,
        queue: EncoderQueue | None = None,
        on_damage: Callable[[str], object] = lambda _reason: None,
    ) -> None:
        """Load the model; raises ModelUnusable if the folder cannot be used.

        `on_damage` gets the reason when it turns out later that the model cannot go on.
        """
        # Verify the checksum: a changed weight gives wrong embeddings and no error (0.1 s for 130 MB, needed next
        # anyway).
        self.manifest = read_manifest(folder, checksums=True)
        self.name = self.manifest.name
        self.dim = self.manifest.dim
        self._passage_batch_size = passage_batch_size or self.manifest.passage_batch_size
        self._tag_batch_size = tag_batch_size
        self._tokenizer = _of_kind(TOKENIZERS, self.manifest.tokenizer, folder)
        self._words = _of_kind(WORD_TABLES, self.manifest.words, folder)
        self._session = _session(folder / GRAPH_FILE, threads or min(2, os.cpu_count() or 1))
        self._queue = queue or EncoderQueue()
        self._watch, self._on_damage = FolderWatch(self.manifest), on_damage

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of a text as a passage, prefix and special tokens included, not truncated."""
        return len(self._tokenizer.ids(cleaned(self.manifest.passage_prefix + text))) + 2

    def close(self, reason: str) -> None:
        """Let the current batch finish, and refuse further ones."""
        self._queue.close(reason)

    def _encoded(self, prefix: str, texts: Sequence[str], is_long: bool) -> np.ndarray:
        self.check()
        embeddings = self._embeddings(prefix, texts, is_long)
        if not np.isfinite(embeddings).all():
            self._refuse(f"{self.manifest.folder} gives no numbers; {remedy(self.manifest.folder)}")
        return embeddings

    def check(self) -> None:
        try:
            self._watch.check()
        except ModelUnusable as error:
            self._refuse(str(error))

    def _refuse(self, reason: str) -> NoReturn:
        self._on_damage(reason)
        raise EncoderUnavailable(reason)

    def _embeddings(self, prefix: str, texts: Sequence[str], is_long: bool) -> np.ndarray:
        batch_size = self._passage_batch_size if is_long else self._tag_batch_size
        tokens = [self.tokens(prefix + text) for text in texts]
        embeddings = np.empty((len(tokens), self.dim), dtype=np.float32)
        for rows in _batches([len(ids) for ids in tokens], batch_size):
            embeddings[rows] = self._run([tokens[row] for row in rows])
        return embeddings

    def tokens(self, text: str) -> list[int]:
        """Return the token ids of a text with its prefix, truncated to max_tokens, special tokens included."""
        limit = self.manifest.max_tokens - 2
        ids = self._tokenizer.ids(cleaned(text), limit)
        return [self.manifest.start_token, *ids[:limit], self.manifest.end_token]

    def _run(self, tokens: list[list[int]]) -> np.ndarray:
        shape = (len(tokens), len(tokens[0]))
        words = self._words.rows([piece for ids in tokens for piece in ids])
        inputs = {"inputs_embeds": words.reshape(*shape, words.shape[1])}
        with self._queue.slot():
            embeddings: np.ndarray = self._session.run(["embeddings"], inputs)[0]
        if words.shape[0] >= _MANY_TOKENS:
            trim_memory()
        return embeddings


def _of_kind(kinds: dict[str, Callable[[Path], Made]], kind: str, folder: Path) -> Made:
    if kind not in kinds:
        raise ModelUnusable(f"{folder} was prepared for another version of Matmon ({kind}); {remedy(folder)}")
    try:
        return kinds[kind](folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnusable(f"{folder} has no {kind} that can be read ({error}); {remedy(folder)}") from error


def cleaned(text: str) -> str:
    """Return a text as it is encoded: without niqqud, with single spaces."""
    return " ".join(strip_points(text).split())


def _batches(lengths: list[int], batch_size: int) -> Iterator[list[int]]:
    """Yield indexes of texts of one length, at most batch_size and _BATCH_TOKENS, shortest first."""
    places = defaultdict(list)
    for place, length in enumerate(lengths):
        places[length].append(place)
    for length in sorted(places):
        size = max(1, min(batch_size, _BATCH_TOKENS // length))
        for begin in range(0, len(places[length]), size):
            yield places[length][begin : begin + size]


def _session(graph: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # The arena never shrinks, and the memory pattern planner keeps the buffers of the longest text.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The graph is already fused; further optimization finds nothing and takes 0.1 s.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base class
        reason = str(error).strip().splitlines()[0]
        raise ModelUnusable(f"{graph} is refused by onnxruntime ({reason}); {remedy(graph.parent)}") from error
