"""Search by meaning: with the encoder and the embeddings in memory, both loaded at the first semantic search."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy.orm import Session

from encoders.base import Encoder
from encoders.lazy import LazyEncoder
from encoders.manifest import Manifest
from indexes.choice import VectorIndex
from indexes.filters import Filter
from indexes.similarity import Meaning, Near
from models import model_number, tag_number
from search.current_model import Prepared
from search.embeddings import Stored
from search.model_life import ModelLife
from utils.hebrew import stripped
from utils.int8 import Floats
from utils.lru import Kept

if TYPE_CHECKING:
    from search.shared_cache import SharedEmbeddings


log = logging.getLogger("matmon.search")


def query_cache(most: int = 1_000, most_bytes: int = 4 * 2**20, ttl_s: float = 7 * 86_400) -> Kept[Floats]:
    """Return an empty memory of query embeddings, float32 of shape (dim,), by model and words."""
    return Kept(most, most_bytes, size=lambda vector: vector.nbytes, ttl_s=ttl_s)


class Semantic(ModelLife):
    """The semantic side of every search in this process.

    What is stored is compared with what is stored by the manifest alone, without the model.
    """

    def __init__(
        self,
        encoder: LazyEncoder,
        model_key: int | None = None,
        idle_s: float = 0,
        queries: Kept[Floats] | None = None,
        find: Callable[[str], Prepared] | None = None,
        manifest: Manifest | None = None,
        vector_index: VectorIndex | None = None,
    ) -> None:
        super().__init__(encoder, model_key, idle_s, find, manifest, vector_index)
        self._queries = query_cache() if queries is None else queries
        self.shared: SharedEmbeddings | None = None

    def cache_figures(self) -> dict[str, dict[str, int]]:
        """Return what the caches hold and how often they helped."""
        loaded, queries = self._stored, self._queries
        figures = {"entries": len(queries), "bytes": queries.nbytes, "hits": queries.hits, "misses": queries.misses}
        filters = loaded.filters if loaded else None
        kept = {"entries": len(filters), "bytes": filters.nbytes} if filters is not None else {}
        return {"queries": figures, "filters": kept}

    def drop_caches(self) -> None:
        """Let go of what can be made again at little cost: embeddings of queries, keys of filters."""
        self._queries.clear()
        if loaded := self._stored:
            loaded.filters.clear()
            loaded.close.clear()

    def unload(self, reason: str, for_s: float) -> None:
        """Let go of the model, the index and the caches, and search words only for so long."""
        self._queries.clear()
        super().unload(reason, for_s)

    def _encoded(self, encode: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str]) -> np.ndarray:
        vectors = encode(texts)
        if self.lazy.error and self.lazy.state == "ready":
            log.info("Meaning is searched again")
            self.lazy.error = None
        return vectors

    def _vector(self, kind: str, words: str, encode: Callable[[Sequence[str]], np.ndarray]) -> Floats:
        return self._vectors(kind, [words], encode)[0]

    def _vectors(self, kind: str, texts: Sequence[str], encode: Callable[[Sequence[str]], np.ndarray]) -> list[Floats]:
        """Return the embeddings of texts: kept here, kept by another process, or else encoded, those together."""
        model, found = self.model_key, {text: self._queries.recall((self.model_key, kind, text)) for text in texts}
        for text in [text for text, vector in found.items() if vector is None]:
            if (theirs := self._shared(model, kind, text)) is not None:
                found[text] = self._queries.keep((model, kind, text), theirs)
        lacking = [text for text, vector in found.items() if vector is None]
        if lacking:
            for text, vector in zip(lacking, self._encoded(encode, lacking), strict=True):
                # A copy: a row would keep the whole batch.
                found[text] = self._queries.keep((model, kind, text), vector.copy())
                if self.shared and model is not None and model == self.model_key:  # it was not switched meanwhile
                    self.shared.set(model, kind, text, vector)
        return [vector for text in texts if (vector := found[text]) is not None]

    def _shared(self, model: int | None, kind: str, text: str) -> Floats | None:
        """Return the embedding that another process stored."""
        if self.shared is None or model is None or self._manifest is None:
            return None
        return self.shared.get(model, kind, text, self._manifest.dim)

    def meaning(self, words: str, known: bool = True) -> Meaning | None:
        """Return what the words mean; None where there are none, or no model is ready.

        `known` tells whether the collection has any of the words: where it has none they may be senseless.
        """
        encoder, loaded = self.lazy.encoder, self._current()
        if encoder is None or loaded is None or not words.strip():
            return None
        vector = self._vector("query", words, encoder.encode_queries)
        manifest = loaded.manifest
        strict = not known and is_senseless(words, encoder)
        floor = manifest.strict_floor if strict else manifest.centred_floor
        return Meaning(vector, loaded.passages, loaded.questions.direction(vector), manifest, floor)

    def nearest(
        self,
        session: Session,
        meaning: Meaning,
        restriction: Filter,
        version: int | None = None,
        also: Sequence[int] = (),
    ) -> dict[int, Near]:
        """Return the documents nearest in meaning that pass the filter, best first, and the documents `also`."""
        stored = self._known()
        return stored.nearest(session, meaning, restriction, version, also) if stored else {}

    def similar(self, session: Session, document: int) -> tuple[Meaning, dict[int, Near]] | None:
        """Return the documents nearest to a stored one, itself left out; None where it has no embedding.

        The model itself is not needed.
        """
        stored = self._known()
        meaning = stored.meaning_of(session, document) if stored else None
        if stored is None or meaning is None:
            return None
        near = stored.nearest(session, meaning, Filter())
        near.pop(document, None)
        return meaning, near

    def near_tags(self, session: Session, names: Sequence[str], most: int) -> tuple[list[tuple[int, float]], bool]:
        """Return (tag, closeness of 0 to 1) for stored tags close in meaning to any of the names, closest first.

        A name that is itself a stored tag needs no model. Of the others the model must be ready: whether all names
        were compared is told beside.
        """
        stored = self._known()
        if stored is None or not names:
            return [], not names
        vectors, whole = self._tag_vectors(session, stored, names)
        return stored.near_tags(session, list(vectors.values()), most), whole

    def close_tags(
        self, session: Session, names: Sequence[str], among_tags: Sequence[int] | None, most_unknown: int
    ) -> tuple[dict[int, dict[int, float]], bool]:
        """Return {name's tag key: {tag: closeness}} for stored tags that say the same as each name, itself left out.

        The tags compared with are those given, or those that the index has nearest to each name. Of names that are no
        stored tag the model encodes `most_unknown` at most; beside it is told whether all were compared. The statements
        do not grow with the names.
        """
        stored = self._known()
        if stored is None or not names:
            return {}, not names
        kept = stored.kept_close(session, map(tag_number, names)) if among_tags is None else {}
        left = [name for name in names if tag_number(name) not in kept]
        vectors, whole = self._tag_vectors(session, stored, left, most_unknown) if left else ({}, True)
        return kept | stored.close_tags(session, vectors, among_tags), whole

    def _tag_vectors(
        self, session: Session, stored: Stored, names: Sequence[str], most_unknown: int = 1_000
    ) -> tuple[dict[int, Floats], bool]:
        """Return the embeddings of names by their tag's key: the stored ones, and by the model those of the others."""
        known = stored.tag_vectors(session, [tag_number(name) for name in names])
        others = {key: name for name in names if (key := tag_number(name)) not in known}
        if others and not self.ready(0):
            return known, False
        encoder = self.lazy.encoder
        if encoder is None:
            return known, not others
        self.lazy.used()
        asked = dict(list(others.items())[:most_unknown])
        vectors = self._vectors("tag", list(asked.values()), encoder.encode_tags)
        return known | dict(zip(asked, vectors, strict=True)), len(asked) == len(others)


def is_senseless(words: str, encoder: Encoder) -> bool:
    """Tell whether the model takes a text apart nearly letter by letter, as it does with what is no word to it."""
    letters = sum(not character.isspace() for character in stripped(words))
    tokens = encoder.count_tokens(words) - encoder.count_tokens("")
    return letters < encoder.manifest.letters_per_token * tokens


def model_of(encoder: Encoder) -> int:
    return model_number(encoder.manifest.name, encoder.manifest.checksum)
