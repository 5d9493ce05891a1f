"""Semantic search: the encoder and the embedding index of this process, both loaded by the first search."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy.orm import Session

from encoders.base import Encoder, FileEncoder
from encoders.lazy import LazyEncoder
from encoders.manifest import Manifest
from encoders.queue import EncoderBusy, EncoderUnavailable
from indexes.access import hidden_collections
from indexes.choice import Serving, VectorIndex
from indexes.filters import Filter, all_but
from indexes.similarity import DocumentSimilarity, QueryVector
from models import model_number, tag_number
from search.current_model import AvailableModel, CurrentModel
from search.embeddings import EmbeddingIndex
from utils.hebrew import stripped
from utils.int8 import Floats
from utils.lru import LRUCache

if TYPE_CHECKING:
    from search.shared_cache import SharedEmbeddings


log = logging.getLogger("matmon.search")


def query_cache(most: int = 1_000, most_bytes: int = 4 * 2**20, ttl_s: float = 7 * 86_400) -> LRUCache[Floats]:
    """Return an empty LRU cache of query embeddings, float32 of shape (dim,), by model and text."""
    return LRUCache(most, most_bytes, size=lambda vector: vector.nbytes, ttl_s=ttl_s)


class Semantic:
    """Semantic search in this process: `lazy` holds the encoder, `model` tells which one, `index` its embeddings.

    Stored embeddings are compared with each other using the manifest alone, without the encoder.
    """

    def __init__(
        self,
        lazy: LazyEncoder,
        model_key: int | None = None,
        queries: LRUCache[Floats] | None = None,
        find: Callable[[str], AvailableModel] | None = None,
        manifest: Manifest | None = None,
        vector_index: VectorIndex | None = None,
    ) -> None:
        self.lazy, self.model = lazy, CurrentModel(lazy, model_key, find, manifest)
        self.index: EmbeddingIndex | None = None
        self.vector_index = vector_index or VectorIndex()
        self.shared: SharedEmbeddings | None = None
        self._queries = query_cache() if queries is None else queries
        self._lock = threading.Lock()
        lazy.after_idle.append(self._drop_index)

    @property
    def state(self) -> str:
        """Return `ready`, `loading`, `off` or `unavailable`; a model not requested yet is `loading`."""
        return "loading" if self.lazy.state == "idle" else self.lazy.state

    @property
    def is_off(self) -> bool:
        return self.lazy.state == "off"

    @property
    def compares_stored(self) -> bool:
        """Whether stored embeddings can be compared with each other now; the encoder need not be loaded."""
        return self.current_index() is not None

    @property
    def serving(self) -> Serving:
        """Return which embedding index the last semantic search used, and why."""
        index = self.index
        return index.choice.serving if index else Serving(self.vector_index.wanted)

    def index_sizes(self) -> dict[str, dict[str, int]]:
        """Return rows and bytes of each index in memory."""
        index = self.index
        return index.sizes() if index else {}

    def note(self, error: Exception) -> None:
        """Record why the model failed, for the status, and log it once."""
        if not isinstance(error, EncoderBusy) and self.lazy.error != str(error):
            log.warning("Falling back to keyword search: %s", error)
            self.lazy.error = str(error)

    def check_model(self) -> None:
        """Unload the model if its files were damaged since it was loaded; a search would find out as well."""
        encoder = self.lazy.encoder
        if isinstance(encoder, FileEncoder):
            with suppress(EncoderUnavailable):
                encoder.check()

    def current_index(self) -> EmbeddingIndex | None:
        """Return the index of the model's embeddings; None if there is no model or it may not be used now."""
        encoder, model = self.lazy.encoder, self.model
        manifest = encoder.manifest if encoder else model.manifest
        if manifest is None or self.lazy.state in ("off", "unavailable"):
            return None
        with self._lock:
            key = model_number(manifest.name, manifest.checksum)
            if self.index is None or self.index.model != key:
                self.index = EmbeddingIndex(manifest, self.vector_index)
                model.key, model.manifest = key, manifest  # the folder may have been rebuilt since the start
            return self.index

    def cache_figures(self) -> dict[str, dict[str, int]]:
        """Return the caches' sizes and hit counts."""
        index, queries = self.index, self._queries
        figures = {"entries": len(queries), "bytes": queries.nbytes, "hits": queries.hits, "misses": queries.misses}
        filters = {"entries": len(index.filters), "bytes": index.filters.nbytes} if index else {}
        return {"queries": figures, "filters": filters}

    def drop_caches(self) -> None:
        """Drop what is cheap to make again: query embeddings and the keys of filters."""
        self._queries.clear()
        if index := self.index:
            index.filters.clear()
            index.similar_cache.clear()

    def unload(self, reason: str, for_s: float) -> None:
        """Unload the encoder, the index and the caches, and fall back to keyword search for `for_s` seconds."""
        self._queries.clear()
        self._drop_index()
        self.lazy.suspend(reason, for_s)

    def _drop_index(self) -> None:
        self.index = None  # 120 bytes per chunk; 64,000 are reloaded in a third of a second

    def _encoded(self, encode: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str]) -> np.ndarray:
        vectors = encode(texts)
        if self.lazy.error and self.lazy.state == "ready":
            log.info("Semantic search works again")
            self.lazy.error = None
        return vectors

    def _vectors(self, kind: str, texts: Sequence[str], encode: Callable[[Sequence[str]], np.ndarray]) -> list[Floats]:
        """Return the embeddings of texts from the local cache, the shared cache or the encoder (in one batch)."""
        model = self.model.key
        vectors = {text: self._queries.get((model, kind, text)) for text in texts}
        for text in [text for text, vector in vectors.items() if vector is None]:
            if (shared := self._shared(model, kind, text)) is not None:
                vectors[text] = self._queries.set((model, kind, text), shared)
        missing = [text for text, vector in vectors.items() if vector is None]
        if missing:
            for text, vector in zip(missing, self._encoded(encode, missing), strict=True):
                # A copy: a row would keep the whole batch alive.
                vectors[text] = self._queries.set((model, kind, text), vector.copy())
                if self.shared and model is not None and model == self.model.key:  # not switched meanwhile
                    self.shared.set(model, kind, text, vector)
        return [vector for text in texts if (vector := vectors[text]) is not None]

    def _shared(self, model: int | None, kind: str, text: str) -> Floats | None:
        """Return an embedding from the shared cache."""
        manifest = self.model.manifest
        if self.shared is None or model is None or manifest is None:
            return None
        return self.shared.get(model, kind, text, manifest.dim)

    def query_vector(
        self, session: Session, words: str, known: bool = True, version: int | None = None
    ) -> QueryVector | None:
        """Return the embedding of a text as a query; None if it is empty or no model is ready.

        If the collection has none of the words (`known` is False), gibberish must pass a stricter floor.
        """
        encoder = self.lazy.encoder
        if encoder is None:
            return None
        self.lazy.used()
        index = self.current_index()
        if index is None or not words.strip():
            return None
        vector = self._vectors("query", [words], encoder.encode_queries)[0]
        manifest = index.manifest
        strict = not known and is_gibberish(words, encoder)
        floor = manifest.strict_floor if strict else manifest.centred_floor
        return index.query_vector(session, vector, floor, version)

    def nearest(
        self,
        session: Session,
        query_vector: QueryVector,
        restriction: Filter,
        version: int | None = None,
        also: Sequence[int] = (),
    ) -> dict[int, DocumentSimilarity]:
        """Return the documents most similar to the query that pass the filter, best first, and the documents `also`."""
        index = self.current_index()
        return index.nearest(session, query_vector, restriction, version, also) if index else {}

    def similar(self, session: Session, document: int) -> tuple[QueryVector, dict[int, DocumentSimilarity]] | None:
        """Return a stored document as a query, and the documents similar to it; None without an embedding.

        The model itself is not needed.
        """
        index = self.current_index()
        query_vector = index.query_vector_of(session, document) if index else None
        if index is None or query_vector is None:
            return None
        near = index.nearest(session, query_vector, all_but(hidden_collections(session)))
        near.pop(document, None)
        return query_vector, near

    def nearest_tags(self, session: Session, names: Sequence[str], most: int) -> tuple[list[tuple[int, float]], bool]:
        """Return (tag, similarity from 0 to 1) of stored tags similar to any of the names, best first; and if complete.

        Names that are stored tags need no model. For others it must be ready: if not, the result is incomplete.
        """
        index = self.current_index()
        if index is None or not names:
            return [], not names
        vectors, whole = self._tag_vectors(session, index, names)
        return index.nearest_tags(session, list(vectors.values()), most), whole

    def similar_tags(
        self, session: Session, names: Sequence[str], among_tags: Sequence[int] | None, most_unknown: int
    ) -> tuple[dict[int, dict[int, float]], bool]:
        """Return {tag key of a name: {tag: similarity}} of stored tags that mean the same as the name, except itself.

        Compares with the given tags, or with each name's nearest in the index. Names that are not stored tags are
        encoded, at most `most_unknown`; the second value tells whether all were compared. The number of statements is
        fixed.
        """
        index = self.current_index()
        if index is None or not names:
            return {}, not names
        cached = index.cached_similar_tags(session, map(tag_number, names)) if among_tags is None else {}
        left = [name for name in names if tag_number(name) not in cached]
        vectors, whole = self._tag_vectors(session, index, left, most_unknown) if left else ({}, True)
        return cached | index.similar_tags(session, vectors, among_tags), whole

    def _tag_vectors(
        self, session: Session, index: EmbeddingIndex, names: Sequence[str], most_unknown: int = 1_000
    ) -> tuple[dict[int, Floats], bool]:
        """Return the embeddings of names by tag key, stored or encoded, and whether that is all of them."""
        known = index.tag_vectors(session, [tag_number(name) for name in names])
        others = {key: name for name in names if (key := tag_number(name)) not in known}
        if others and not self.lazy.load():
            return known, False
        encoder = self.lazy.encoder
        if encoder is None:
            return known, not others
        self.lazy.used()
        encoded = dict(list(others.items())[:most_unknown])
        vectors = self._vectors("tag", list(encoded.values()), encoder.encode_tags)
        return known | dict(zip(encoded, vectors, strict=True)), len(encoded) == len(others)


def is_gibberish(words: str, encoder: Encoder) -> bool:
    """Whether the tokenizer splits a text nearly letter by letter, as it does with words it does not know."""
    letters = sum(not character.isspace() for character in stripped(words))
    tokens = encoder.count_tokens(words) - encoder.count_tokens("")
    return letters < encoder.manifest.letters_per_token * tokens


def model_of(encoder: Encoder) -> int:
    return model_number(encoder.manifest.name, encoder.manifest.checksum)
