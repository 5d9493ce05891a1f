"""Search by meaning: the encoder and the embeddings in memory, both loaded at the first semantic search."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from encoders.base import Encoder
from encoders.lazy import LazyEncoder
from encoders.manifest import Manifest, load_means
from encoders.turns import EncoderBusy
from models import Embedding, TagEmbedding, model_number, tag_number
from search.filters import Filter
from search.index import DOCUMENT_SOURCE, TAG_SOURCE, LiveIndex
from search.meaning import Meaning, Near, best_windows
from utils.hebrew import stripped
from utils.kept import Kept
from utils.mean_groups import MeanGroups
from utils.sql import among, among_sql, by_dialect, number_list
from utils.vectors import Floats, centred

MOST_NEAREST = 120  # documents that a search by meaning ranks
FIRST, THEN = 2_000, 200  # rows compared by bits and floats, rows rescored with their stored values
# A filter that fewer documents pass is handed to the index as their keys; a wider one is checked afterwards.
NARROW = 20_000
KEPT_FILTERS = 16
MOST_BETWEEN_LOOKS_S = 30.0
BETWEEN_LOOKS_AT_FOLDER_S = 10.0
MOST_WAITING = 2
log = logging.getLogger("matmon.search")


# Windows by (document, window), one look-up in the primary key each.
WINDOWS_SQLITE = (
    'SELECT e.document_id, e."start", e."end", e.vector FROM json_each(:pairs) given CROSS JOIN embedding e'
    " WHERE e.document_id = json_extract(given.value, '$[0]') AND e.model_id = :model"
    " AND e.\"window\" = json_extract(given.value, '$[1]')"
)
WINDOWS_POSTGRESQL = (
    'SELECT e.document_id, e."start", e."end", e.vector'
    " FROM jsonb_array_elements(CAST(:pairs AS jsonb)) AS given(value) JOIN embedding e"
    " ON e.document_id = CAST(given.value ->> 0 AS bigint) AND e.model_id = :model"
    ' AND e."window" = CAST(given.value ->> 1 AS smallint)'
)


@dataclass(slots=True)
class _Loaded:
    """What belongs to one loaded model."""

    manifest: Manifest
    model: int
    passages: MeanGroups
    questions: MeanGroups
    documents: LiveIndex
    tags: LiveIndex
    filters: Kept[NDArray[np.int64]] = field(default_factory=lambda: Kept(KEPT_FILTERS, size=lambda keys: keys.nbytes))


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model that can be loaded, and what is known of it without; None where its folder cannot be served."""

    name: str
    load: Callable[[], Encoder]
    manifest: Manifest | None

    @property
    def key(self) -> int | None:
        """Return the key of the model's embeddings in the database."""
        return model_number(self.manifest.name, self.manifest.checksum) if self.manifest else None


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
    ) -> None:
        self.lazy, self.model_key, self._manifest = encoder, model_key, manifest
        self.default_model = encoder.model
        self._idle_s, self.find = idle_s, find
        self._queries = kept_queries() if queries is None else queries
        self.after_idle: Callable[[], None] = lambda: None  # what else is let go of when nobody searches
        self._refused: str | None = None
        self._looked_at: tuple[int | None, str] | None = None
        self._looked_s = 0.0
        self._watch: threading.Thread | None = None
        # Four threads serve the site: were they all to wait for the model, nothing else would be answered.
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._loaded: _Loaded | None = None
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
                self._loaded = None  # the index: 120 bytes a window, read again in a third of a second for 64,000
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

    def _encoded(self, encode: Callable[[Sequence[str]], np.ndarray], words: str) -> Floats:
        vector: Floats = encode([words])[0]
        if self.lazy.error and self.lazy.state == "ready":
            log.info("Meaning is searched again")
            self.lazy.error = None
        return vector

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
        self.model_key, self._manifest, self._loaded = found.key, found.manifest, None
        chosen = chosen_model(session, self._stored_name, found.key)
        self._refused = None if found.key is None or self._suits(chosen) else FOREIGN.format(name=found.name)

    def cache_figures(self) -> dict[str, dict[str, int]]:
        """Return what the caches hold and how often they helped."""
        loaded, queries = self._loaded, self._queries
        figures = {"entries": len(queries), "bytes": queries.nbytes, "hits": queries.hits, "misses": queries.misses}
        filters = loaded.filters if loaded else None
        kept = {"entries": len(filters), "bytes": filters.nbytes} if filters is not None else {}
        return {"queries": figures, "filters": kept}

    def drop_caches(self) -> None:
        """Let go of what can be made again at little cost: embeddings of queries, keys of filters."""
        self._queries.clear()
        if loaded := self._loaded:
            loaded.filters.clear()

    def give_back(self, reason: str, for_s: float) -> None:
        """Let go of the model, the index and the caches, and search words only for so long."""
        self._loaded = None
        self._queries.clear()
        self.lazy.give_back(reason, for_s)

    def _vector(self, kind: str, words: str, encode: Callable[[Sequence[str]], np.ndarray]) -> Floats:
        key = (self.model_key, kind, words)
        kept = self._queries.recall(key)
        return self._queries.keep(key, self._encoded(encode, words)) if kept is None else kept

    def held_bytes(self) -> dict[str, int]:
        """Return the bytes of each part in memory."""
        loaded = self._loaded
        return {"documents": loaded.documents.nbytes, "tags": loaded.tags.nbytes} if loaded else {}

    def held_rows(self) -> dict[str, int]:
        loaded = self._loaded
        return {"documents": loaded.documents.size, "tags": loaded.tags.size} if loaded else {}

    @property
    def compares_stored(self) -> bool:
        """Tell whether stored embeddings can be compared with one another now, the model loaded or not."""
        return self._known() is not None

    def _current(self) -> _Loaded | None:
        if self.lazy.encoder is None:
            return None
        self.lazy.used()
        return self._known()

    def _known(self) -> _Loaded | None:
        """Return what belongs to the model; None where there is none, or it may not be searched with now."""
        encoder = self.lazy.encoder
        manifest = encoder.manifest if encoder else self._manifest
        if manifest is None or self.lazy.state in ("off", "unavailable"):
            return None
        with self._lock:
            key = model_number(manifest.name, manifest.checksum)
            if self._loaded is None or self._loaded.model != key:
                self._loaded = _loaded(manifest)
                self.model_key, self._manifest = key, manifest  # the folder may have been made anew since the start
            return self._loaded

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
        loaded = self._known()
        if loaded is None:
            return {}
        if not restriction:
            found = loaded.documents.nearest(session, meaning.asked, FIRST, THEN)
        else:
            found = self._filtered(session, loaded, meaning, restriction)
        near = rescored(session, loaded, meaning, found)
        best = sorted(near.items(), key=lambda pair: (-pair[1].similarity, pair[0]))
        return dict(best[:MOST_NEAREST])

    def _filtered(
        self, session: Session, loaded: _Loaded, meaning: Meaning, restriction: Filter
    ) -> list[tuple[int, int]]:
        keys = self._keys(session, loaded, restriction)
        if len(keys) < NARROW:
            return loaded.documents.nearest(session, meaning.asked, FIRST, THEN, lambda: keys)
        rough = loaded.documents.nearest(session, meaning.asked, 2 * FIRST, FIRST)
        passing = passing_keys(session, [key for key, _ in rough], restriction)
        kept = [pair for pair in rough if pair[0] in passing]
        if len(kept) >= THEN // 2:
            return kept[:THEN]
        # Wide, and yet not where the query looks: every key is worth fetching.
        every = np.array(restriction.documents(session, 2**31), np.int64)
        return loaded.documents.nearest(session, meaning.asked, FIRST, THEN, lambda: every)

    def _keys(self, session: Session, loaded: _Loaded, restriction: Filter) -> NDArray[np.int64]:
        """Return the keys that pass a filter, at most NARROW; kept while nothing changes."""
        version = session.execute(text("SELECT version FROM state WHERE id = 1")).scalar_one()
        name = (version, restriction.key())
        keys = loaded.filters.recall(name)
        if keys is None:
            keys = loaded.filters.keep(name, np.array(restriction.documents(session, NARROW), np.int64))
        return keys

    def nearness(self, session: Session, meaning: Meaning, documents: Sequence[int]) -> dict[int, Near]:
        """Return the best window of each given document that has embeddings; one statement."""
        loaded = self._current()
        if loaded is None or not documents:
            return {}
        rows = select(Embedding.document_id, Embedding.start, Embedding.end, Embedding.vector).where(
            Embedding.model_id == loaded.model, among(Embedding.document_id, documents)
        )
        return best_windows([(r[0], r[1], r[2], r[3]) for r in session.execute(rows)], meaning)

    def similar(self, session: Session, document: int) -> tuple[Meaning, dict[int, Near]] | None:
        """Return the documents nearest to a stored one, itself left out; None where it has no embedding.

        The model itself is not needed.
        """
        loaded = self._known()
        if loaded is None:
            return None
        rows = select(Embedding.vector).where(Embedding.document_id == document, Embedding.model_id == loaded.model)
        stored = list(session.execute(rows.order_by(Embedding.window)).scalars())
        if not stored:
            return None
        whole = centred(stored, loaded.manifest.dim).mean(axis=0) + loaded.passages.centre
        vector = whole / np.linalg.norm(whole)
        direction = loaded.passages.direction(vector)
        meaning = Meaning(vector, loaded.passages, direction, loaded.manifest, loaded.manifest.centred_floor)
        near = self.nearest(session, meaning, Filter())
        near.pop(document, None)
        return meaning, near

    def near_tags(self, session: Session, names: Sequence[str], most: int) -> tuple[list[tuple[int, float]], bool]:
        """Return (tag, closeness of 0 to 1) for stored tags close in meaning to any of the names, closest first.

        A name that is itself a stored tag needs no model. Of the others the model must be ready: whether all names
        were compared is told beside.
        """
        loaded = self._known()
        if loaded is None or not names:
            return [], not names
        vectors, whole = self._tag_vectors(session, loaded, names)
        best: dict[int, float] = {}
        for vector in vectors:
            for tag, cosine in _tag_cosines(session, loaded, vector, most).items():
                best[tag] = max(best.get(tag, 0.0), cosine)
        manifest = loaded.manifest
        close = [(tag, _closeness(cosine, manifest)) for tag, cosine in best.items() if cosine >= manifest.tag_high]
        return sorted(close, key=lambda pair: (-pair[1], pair[0]))[:most], whole

    def _tag_vectors(self, session: Session, loaded: _Loaded, names: Sequence[str]) -> tuple[list[Floats], bool]:
        stored = _stored_tags(session, loaded, names)
        others = [name for name in names if tag_number(name) not in stored]
        if others and not self.ready(0):
            return list(stored.values()), False
        encoder = self.lazy.encoder
        if encoder is None:
            return list(stored.values()), not others
        self.lazy.used()
        return [*stored.values(), *(self._vector("tag", name, encoder.encode_tags) for name in others)], True


FOREIGN = (
    "the folder of {name} is not the one that made the stored embeddings; put that one back, or make them anew with:"
    " flask --app app embed --model {name}, and then: flask --app app models switch {name}"
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The model that the database was switched to, if it was.

    `is_mine` tells of a name and a key whether embeddings under the key may be searched where none was chosen: unless
    there are some of that name and none under the key.
    """

    key: int | None
    name: str | None
    is_mine: bool


CHOSEN = """
SELECT state.model_id AS chosen, model.name AS name,
  (SELECT count(*) FROM model mine WHERE mine.id = :key) AS mine,
  (SELECT count(*) FROM model other WHERE other.name = :name) AS same_name
FROM state LEFT JOIN model ON model.id = state.model_id WHERE state.id = 1
"""


def chosen_model(session: Session, name: str, key: int | None) -> Chosen:
    """Return what the database names, in one statement."""
    row = session.execute(text(CHOSEN), {"name": name, "key": key or 0}).one()
    return Chosen(row.chosen if row.name else None, row.name, bool(row.mine) or not row.same_name)


def is_senseless(words: str, encoder: Encoder) -> bool:
    """Tell whether the model takes a text apart nearly letter by letter, as it does with what is no word to it."""
    letters = sum(not character.isspace() for character in stripped(words))
    tokens = encoder.count_tokens(words) - encoder.count_tokens("")
    return letters < encoder.manifest.letters_per_token * tokens


def model_of(encoder: Encoder) -> int:
    return model_number(encoder.manifest.name, encoder.manifest.checksum)


def _loaded(manifest: Manifest) -> _Loaded:
    means = load_means(manifest)
    passages, questions = MeanGroups(means[0]), MeanGroups(means[1])
    model = model_number(manifest.name, manifest.checksum)
    documents = LiveIndex(DOCUMENT_SOURCE, model, passages, questions.centre)
    # Tags are compared with tags: both sides have the prefix, and so the mean, of queries.
    tags = LiveIndex(TAG_SOURCE, model, MeanGroups(means[1][:1]), questions.centre)
    return _Loaded(manifest, model, passages, questions, documents, tags)


def _closeness(cosine: float, manifest: Manifest) -> float:
    return min(max((cosine - manifest.tag_low) / (1.0 - manifest.tag_low), 0.0), 1.0)


def _stored_tags(session: Session, loaded: _Loaded, names: Sequence[str]) -> dict[int, Floats]:
    """Return the embeddings, of length 1, of those names that are stored tags."""
    rows = select(TagEmbedding.tag_id, TagEmbedding.vector).where(
        TagEmbedding.model_id == loaded.model, among(TagEmbedding.tag_id, [tag_number(name) for name in names])
    )
    found = {row.tag_id: bytes(row.vector) for row in session.execute(rows)}
    if not found:
        return {}
    whole = centred(list(found.values()), loaded.manifest.dim) + loaded.questions.centre
    units = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    return dict(zip(found, units, strict=True))


def _tag_cosines(session: Session, loaded: _Loaded, vector: Floats, most: int) -> dict[int, float]:
    offset = float(vector @ loaded.questions.centre)
    found = loaded.tags.nearest(session, lambda _: (vector, np.zeros(1, np.float32)), 500, 4 * most)
    rows = select(TagEmbedding.tag_id, TagEmbedding.vector).where(
        TagEmbedding.model_id == loaded.model, among(TagEmbedding.tag_id, [key for key, _ in found])
    )
    stored = [(row.tag_id, bytes(row.vector)) for row in session.execute(rows)]
    if not stored:
        return {}
    cosines = centred([value for _, value in stored], loaded.manifest.dim) @ vector + offset
    return dict(zip([tag for tag, _ in stored], cosines.tolist(), strict=True))


def passing_keys(session: Session, keys: Sequence[int], restriction: Filter) -> set[int]:
    """Return those of the keys that pass a filter."""
    statement = text(f"SELECT id FROM document WHERE {among_sql(session, 'id', 'ids')}{restriction.sql('id')}")
    passing = session.execute(statement.bindparams(number_list("ids", set(keys))), dict(restriction.values))
    return set(passing.scalars())


def rescored(session: Session, loaded: _Loaded, meaning: Meaning, found: Sequence[tuple[int, int]]) -> dict[int, Near]:
    """Return the exact cosines of windows, the best one of each document."""
    if not found:
        return {}
    statement = text(by_dialect(session, sqlite=WINDOWS_SQLITE, postgresql=WINDOWS_POSTGRESQL))
    values = {"model": loaded.model, "pairs": json.dumps(found)}
    return best_windows([tuple(row) for row in session.execute(statement, values)], meaning)
