"""Search by meaning: the encoder and the embeddings in memory, both loaded at the first semantic search."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

import numpy as np
from sqlalchemy.orm import Session

from encoders.base import Encoder
from encoders.lazy import LazyEncoder
from encoders.manifest import Manifest
from encoders.turns import EncoderBusy
from models import model_number, tag_number
from search.chosen import FOREIGN, Chosen, Prepared, chosen_model
from search.filters import Filter
from search.index_choice import Serving, VectorIndex
from search.meaning import Meaning, Near
from search.stored import Stored
from utils.hebrew import stripped
from utils.kept import Kept
from utils.vectors import Floats


class SharedVectors(Protocol):
    """Embeddings of queries that processes share, as search.remembered keeps them."""

    def recall(self, model: int, kind: str, words: str, dim: int) -> Floats | None: ...
    def keep(self, model: int, kind: str, words: str, vector: Floats) -> None: ...


MOST_BETWEEN_LOOKS_S = 30.0
BETWEEN_LOOKS_AT_FOLDER_S = 10.0
MOST_WAITING = 2
log = logging.getLogger("matmon.search")


def kept_queries(most: int = 1_000, most_bytes: int = 4 * 2**20, ttl_s: float = 7 * 86_400) -> Kept[Floats]:
    """Return an empty memory of query embeddings, float32 of shape (dim,), by model and words."""
    return Kept(most, most_bytes, size=lambda vector: vector.nbytes, ttl_s=ttl_s)


class Semantic:
    """The semantic side of every search in this process.

    `model_key` is the key of the model's embeddings in the database, known without loading it; None where semantic
    search is off or the model is not there. `find` returns a model by name: with it the database's choice is followed.
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
        self.vector_index = vector_index or VectorIndex()
        self.lazy, self.model_key, self._manifest = encoder, model_key, manifest
        self.default_model = encoder.model
        self._idle_s, self.find = idle_s, find
        self._queries = kept_queries() if queries is None else queries
        self.shared: SharedVectors | None = None  # what other processes know too
        self.after_idle: Callable[[], None] = lambda: None  # what else is let go of when nobody searches
        self._refused: str | None = None
        self._looked_at: tuple[int | None, str] | None = None
        self._looked_s = 0.0
        self._watch: threading.Thread | None = None
        # Four threads serve the site: were they all to wait for the model, nothing else would be answered.
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._stored: Stored | None = None
        self._lock = threading.Lock()

    @property
    def state(self) -> str:
        """Return `ready`, `loading`, `off` or `unavailable`; a model that nobody asked for yet is `loading`."""
        return "loading" if self.lazy.state == "idle" else self.lazy.state

    @property
    def is_off(self) -> bool:
        return self.lazy.state == "off"

    def ready(self, wait_s: float) -> bool:
        """Begin to load if nobody did, wait so long at most, and return whether meaning can be searched.

        Of those who ask while it loads, MOST_WAITING wait; the others are told at once.
        """
        self.lazy.start()
        self.watch_idleness()
        if wait_s <= 0 or not self._waiting.acquire(blocking=False):
            return self.lazy.state == "ready"
        try:
            return self.lazy.wait(wait_s)
        finally:
            self._waiting.release()

    def watch_idleness(self) -> None:
        """Begin to look now and then whether the model is used; here, since a thread does not survive a fork."""
        with self._lock:
            if self._idle_s <= 0 or self._watch is not None:
                return
            watch = threading.Thread(target=self._unload_when_idle, name="idle-model", daemon=True)
            with suppress(RuntimeError):  # no room for a thread now: the next search begins it
                watch.start()
                self._watch = watch

    def _unload_when_idle(self) -> None:
        while True:
            time.sleep(min(self._idle_s / 4, MOST_BETWEEN_LOOKS_S))
            if self.lazy.unload_if_idle(self._idle_s):
                self._stored = None  # the index: 120 bytes a window, read again in a third of a second for 64,000
                self.after_idle()

    def follow(self, session: Session) -> None:
        """Take up what the database says of the model, in one statement: the one it was switched to, if it was.

        A folder whose files are not those that made the stored embeddings is not searched with: its vectors mean
        something else. The reason, and what mends it, is then the error that pages and the status show.
        """
        if self.is_off or self.find is None:
            return
        chosen = chosen_model(session, self._stored_name, self.model_key)
        suits = self._suits(chosen)
        if suits and not self._refused:
            return
        with self._lock:
            looked = (chosen.key, self.lazy.model)
            just = looked == self._looked_at and time.monotonic() - self._looked_s < BETWEEN_LOOKS_AT_FOLDER_S
            if just and not suits:
                return
            self._take_up(session, self.find(chosen.name or self.default_model))
            self._looked_at, self._looked_s = (chosen.key, self.lazy.model), time.monotonic()
        if self._refused:
            self.lazy.give_back(self._refused, float("inf"))

    def note(self, away: Exception) -> None:
        """Keep why the model could not be asked, for the status, and say it in the log, once."""
        if not isinstance(away, EncoderBusy) and self.lazy.error != str(away):
            log.warning("Only words are searched: %s", away)
            self.lazy.error = str(away)

    def _encoded(self, encode: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str]) -> np.ndarray:
        vectors = encode(texts)
        if self.lazy.error and self.lazy.state == "ready":
            log.info("Meaning is searched again")
            self.lazy.error = None
        return vectors

    @property
    def _stored_name(self) -> str:
        return self._manifest.name if self._manifest else self.lazy.model

    def _suits(self, chosen: Chosen) -> bool:
        """Tell whether what is held is what the database names; where it names none, what the setting names."""
        if chosen.key is not None:
            return chosen.key == self.model_key
        return self.lazy.model == self.default_model and (chosen.is_mine or self.model_key is None)

    def _take_up(self, session: Session, found: Prepared) -> None:
        self.lazy.switch(found.load, found.name)
        self.model_key, self._manifest, self._stored = found.key, found.manifest, None
        chosen = chosen_model(session, self._stored_name, found.key)
        self._refused = None if found.key is None or self._suits(chosen) else FOREIGN.format(name=found.name)

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

    def give_back(self, reason: str, for_s: float) -> None:
        """Let go of the model, the index and the caches, and search words only for so long."""
        self._stored = None
        self._queries.clear()
        self.lazy.give_back(reason, for_s)

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
                    self.shared.keep(model, kind, text, vector)
        return [vector for text in texts if (vector := found[text]) is not None]

    def _shared(self, model: int | None, kind: str, text: str) -> Floats | None:
        """Return what another process kept."""
        if self.shared is None or model is None or self._manifest is None:
            return None
        return self.shared.recall(model, kind, text, self._manifest.dim)

    def held_bytes(self) -> dict[str, int]:
        """Return the bytes of each part in memory."""
        return self._stored.held_bytes() if self._stored else {}

    def held_rows(self) -> dict[str, int]:
        return self._stored.held_rows() if self._stored else {}

    @property
    def manifest(self) -> Manifest | None:
        """Return the manifest of the model that stored embeddings are searched with; None where it is not known."""
        return self._manifest

    @property
    def serving(self) -> Serving:
        """Return which index of embeddings serves, and why, as of the last search by meaning."""
        return self._stored.choice.serving if self._stored else Serving(self.vector_index.wanted)

    @property
    def compares_stored(self) -> bool:
        """Tell whether stored embeddings can be compared with one another now, the model loaded or not."""
        return self._known() is not None

    def _current(self) -> Stored | None:
        if self.lazy.encoder is None:
            return None
        self.lazy.used()
        return self._known()

    def _known(self) -> Stored | None:
        """Return what belongs to the model; None where there is none, or it may not be searched with now."""
        encoder = self.lazy.encoder
        manifest = encoder.manifest if encoder else self._manifest
        if manifest is None or self.lazy.state in ("off", "unavailable"):
            return None
        with self._lock:
            key = model_number(manifest.name, manifest.checksum)
            if self._stored is None or self._stored.model != key:
                self._stored = Stored(manifest, self.vector_index)
                self.model_key, self._manifest = key, manifest  # the folder may have been made anew since the start
            return self._stored

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

    def nearest(self, session: Session, meaning: Meaning, restriction: Filter) -> dict[int, Near]:
        """Return the documents nearest in meaning that pass the filter, best first."""
        stored = self._known()
        return stored.nearest(session, meaning, restriction) if stored else {}

    def nearness(self, session: Session, meaning: Meaning, documents: Sequence[int]) -> dict[int, Near]:
        """Return the best window of each given document that has embeddings; one statement."""
        stored = self._known()
        return stored.nearness(session, meaning, documents) if stored and documents else {}

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
