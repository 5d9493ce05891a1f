"""The embeddings of one model: their indexes in memory, their vectors in the database, and what is near to what.

The model itself is not needed for it, but to know what a text means that is not stored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.exc import DataError, ProgrammingError
from sqlalchemy.orm import Session

from encoders.manifest import Manifest, load_means
from indexes.choice import IndexChoice, VectorIndex, version_of
from indexes.filters import Filter
from indexes.halfvec import half_groups
from indexes.memory_index import DOCUMENT_SOURCE, TAG_SOURCE, LiveIndex
from indexes.pgvector_search import HalfIndex
from indexes.similarity import Meaning, Near, best_windows
from indexes.tag_similarity import Closeness
from models import Embedding, TagEmbedding, model_number
from utils.int8 import Floats, centred
from utils.language_means import MeanGroups
from utils.lru import Kept
from utils.sql import among, among_sql, by_dialect, number_list

MOST_NEAREST = 120  # documents that a search by meaning ranks
FIRST, THEN = 2_000, 200  # rows compared by bits and floats, rows rescored with their stored values
TAGS_FIRST = 500
TAGS_OF_EACH = 16  # tags compared by their stored values with each of many names, of each language; 300 find no more
TAGS_AT_ONCE = 2_000
# A filter that fewer documents pass is handed to the index as their keys; a wider one is checked afterwards.
NARROW = 20_000
KEPT_FILTERS = 16
KEPT_CLOSE = 4_000  # tags whose close ones are kept, two or three of most

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
ALSO = ' UNION ALL SELECT e.document_id, e."start", e."end", e.vector FROM embedding e WHERE e.model_id = :model AND '


class Stored:
    """What belongs to one model, loaded when it is first asked for; thread-safe."""

    def __init__(self, manifest: Manifest, vector_index: VectorIndex | None = None) -> None:
        means = load_means(manifest)
        self.manifest, self.model = manifest, model_number(manifest.name, manifest.checksum)
        self.passages, self.questions = MeanGroups(means[0]), MeanGroups(means[1])
        self.closeness = Closeness(manifest, self.questions)
        self.documents = LiveIndex(DOCUMENT_SOURCE, self.model, self.passages, self.questions.centre)
        self.choice = IndexChoice(self.model, manifest.dim, vector_index or VectorIndex())
        self.halves = HalfIndex(self.model, half_groups(self.passages, bool(manifest.centred_weight)))
        # Tags are compared with tags: both sides have the prefix, and so the mean, of queries.
        self.tags = LiveIndex(TAG_SOURCE, self.model, MeanGroups(means[1][:1]), self.questions.centre)
        self.filters: Kept[NDArray[np.int64]] = Kept(KEPT_FILTERS, size=lambda keys: keys.nbytes)
        self.close: Kept[dict[int, float]] = Kept(KEPT_CLOSE, 2 * 2**20, size=lambda tags: 300 + 100 * len(tags))

    def held_bytes(self) -> dict[str, int]:
        return {"documents": self.documents.nbytes, "tags": self.tags.nbytes}

    def held_rows(self) -> dict[str, int]:
        return {"documents": self.documents.size, "tags": self.tags.size}

    def nearest(
        self,
        session: Session,
        meaning: Meaning,
        restriction: Filter,
        version: int | None = None,
        also: Sequence[int] = (),
    ) -> dict[int, Near]:
        """Return the documents nearest in meaning that pass the filter, best first, and the documents `also`.

        `version` is that of the state, read here if it is not given. Documents without an embedding are left out.
        """
        version = version_of(session) if version is None else version
        windows = self._by_pgvector(session, meaning, restriction, version)
        if windows is None:
            windows = self._in_memory(session, meaning, restriction, version)
        near = self._rescored(session, meaning, windows, also)
        indexed = {document for document, _ in windows}
        best = sorted(near.items(), key=lambda pair: (-pair[1].similarity, pair[0]))
        nearest = [pair for pair in best if pair[0] in indexed][:MOST_NEAREST]
        return dict(nearest) | {document: near[document] for document in also if document in near}

    def _by_pgvector(
        self, session: Session, meaning: Meaning, restriction: Filter, version: int
    ) -> list[tuple[int, int]] | None:
        """Return windows in the order of pgvector's estimate; None where it does not serve."""
        if not self.choice.is_pgvector(session, version):
            return None
        self.documents.release()
        try:
            return self.halves.nearest(session, meaning, restriction, THEN, version)
        except (ProgrammingError, DataError):  # the table was dropped a moment ago, or is of another width
            session.rollback()
            self.choice.lost()
            return None

    def _in_memory(
        self, session: Session, meaning: Meaning, restriction: Filter, version: int
    ) -> list[tuple[int, int]]:
        if not restriction:
            return self.documents.nearest(session, version, meaning.asked, FIRST, THEN)
        keys = self._keys(session, restriction, version)
        if len(keys) < NARROW:
            return self.documents.nearest(session, version, meaning.asked, FIRST, THEN, lambda: keys)
        rough = self.documents.nearest(session, version, meaning.asked, 2 * FIRST, FIRST)
        passing = passing_keys(session, [key for key, _ in rough], restriction)
        kept = [pair for pair in rough if pair[0] in passing]
        if len(kept) >= THEN // 2:
            return kept[:THEN]
        # Wide, and yet not where the query looks: every key is worth fetching.
        every = np.array(restriction.documents(session, 2**31), np.int64)
        return self.documents.nearest(session, version, meaning.asked, FIRST, THEN, lambda: every)

    def _keys(self, session: Session, restriction: Filter, version: int) -> NDArray[np.int64]:
        """Return the keys that pass a filter, at most NARROW; kept while nothing changes."""
        name = (version, restriction.key())
        keys = self.filters.recall(name)
        if keys is None:
            keys = self.filters.keep(name, np.array(restriction.documents(session, NARROW), np.int64))
        return keys

    def _rescored(
        self, session: Session, meaning: Meaning, windows: Sequence[tuple[int, int]], also: Sequence[int]
    ) -> dict[int, Near]:
        """Return the exact similarity of the best of these windows, or of all windows of `also`, by document."""
        if not windows and not also:
            return {}
        statement = by_dialect(session, sqlite=WINDOWS_SQLITE, postgresql=WINDOWS_POSTGRESQL)
        values = {"model": self.model, "pairs": json.dumps(windows)}
        if not also:
            return best_windows([tuple(row) for row in session.execute(text(statement), values)], meaning)
        whole = text(statement + ALSO + among_sql(session, "e.document_id", "also")).bindparams(
            number_list("also", also)
        )
        return best_windows([tuple(row) for row in session.execute(whole, values)], meaning)

    def meaning_of(self, session: Session, document: int) -> Meaning | None:
        """Return what a stored document means, the mean of its windows; None where it has no embedding."""
        rows = select(Embedding.vector).where(Embedding.document_id == document, Embedding.model_id == self.model)
        stored = list(session.execute(rows.order_by(Embedding.window)).scalars())
        if not stored:
            return None
        whole = centred(stored, self.manifest.dim).mean(axis=0) + self.passages.centre
        vector = whole / np.linalg.norm(whole)
        return Meaning(
            vector, self.passages, self.passages.direction(vector), self.manifest, self.manifest.centred_floor
        )

    def tag_vectors(self, session: Session, tags: Sequence[int]) -> dict[int, Floats]:
        """Return the embeddings, of length 1, of those tags that have one."""
        found = self._stored_tags(session, tags)
        units = self._units([vector for _, vector in found]) if found else ()
        return {tag: unit for (tag, _), unit in zip(found, units, strict=True)}

    def _stored_tags(self, session: Session, tags: Sequence[int]) -> list[tuple[int, bytes]]:
        rows = select(TagEmbedding.tag_id, TagEmbedding.vector).where(
            TagEmbedding.model_id == self.model, among(TagEmbedding.tag_id, tags)
        )
        return [(row.tag_id, bytes(row.vector)) for row in session.execute(rows)]

    def _units(self, stored: Sequence[bytes]) -> Floats:
        whole = centred(stored, self.manifest.dim) + self.questions.centre
        units: Floats = whole / np.linalg.norm(whole, axis=1, keepdims=True)
        return units

    def near_tags(self, session: Session, vectors: Sequence[Floats], most: int) -> list[tuple[int, float]]:
        """Return (tag, closeness of 0 to 1) for stored tags close to any of the vectors, closest first."""
        best: dict[int, float] = {}
        for vector in vectors:
            for tag, cosine in self._tag_cosines(session, vector, most).items():
                best[tag] = max(best.get(tag, 0.0), cosine)
        near = {tag: cosine for tag, cosine in best.items() if cosine >= self.manifest.tag_high}
        scores = self.closeness.scaled(np.array(list(near.values()), np.float32)).tolist()
        close = list(zip(near, scores, strict=True))
        return sorted(close, key=lambda pair: (-pair[1], pair[0]))[:most]

    def close_tags(
        self, session: Session, vectors: Mapping[int, Floats], among_tags: Sequence[int] | None
    ) -> dict[int, dict[int, float]]:
        """Return {key: {tag: closeness of 0 to 1}} of tags that say the same as each vector; its key is no tag of it.

        Compared with are the tags given, or those that the index has nearest to each vector; in as many statements as
        for one.
        """
        if not vectors:
            return {}
        if among_tags is not None:
            return self._compared(session, vectors, among_tags)
        version = version_of(session)
        asked = self.closeness.asked(np.stack(list(vectors.values())))
        near = self.tags.near_each(session, version, list(asked), TAGS_FIRST, TAGS_OF_EACH)
        found = self._compared(session, vectors, sorted({key for keys in near for key in keys}))
        for key, tags in found.items():
            self.close.keep((version, key), tags)
        return found

    def kept_close(self, session: Session, keys: Iterable[int]) -> dict[int, dict[int, float]]:
        """Return what `close_tags` said of these keys over all tags, where it did since the last change."""
        version = version_of(session)
        found = {key: self.close.recall((version, key)) for key in keys}
        return {key: tags for key, tags in found.items() if tags is not None}

    def _compared(
        self, session: Session, vectors: Mapping[int, Floats], tags: Sequence[int]
    ) -> dict[int, dict[int, float]]:
        """Return what of the tags is close to each vector, some at a time: 4 MB of floats, and not 40."""
        found: dict[int, dict[int, float]] = {key: {} for key in vectors}
        keys, named = list(vectors), np.stack(list(vectors.values()))
        stored = self._stored_tags(session, tags)
        for start in range(0, len(stored), TAGS_AT_ONCE):
            some = stored[start : start + TAGS_AT_ONCE]
            strengths = self.closeness.same(named, self._units([vector for _, vector in some]))
            for row, column in np.argwhere(strengths > 0).tolist():
                if keys[row] != some[column][0]:
                    # Rounded: the last digits depend on what else is compared.
                    found[keys[row]][some[column][0]] = round(float(strengths[row, column]), 5)
        return found

    def _tag_cosines(self, session: Session, vector: Floats, most: int) -> dict[int, float]:
        offset = float(vector @ self.questions.centre)
        found = self.tags.nearest(
            session, version_of(session), lambda _: (vector, np.zeros(1, np.float32)), TAGS_FIRST, 4 * most
        )
        stored = self._stored_tags(session, [key for key, _ in found])
        if not stored:
            return {}
        cosines = centred([value for _, value in stored], self.manifest.dim) @ vector + offset
        return dict(zip([tag for tag, _ in stored], cosines.tolist(), strict=True))


def passing_keys(session: Session, keys: Sequence[int], restriction: Filter) -> set[int]:
    """Return those of the keys that pass a filter."""
    statement = text(f"SELECT id FROM document WHERE {among_sql(session, 'id', 'ids')}{restriction.sql('id')}")
    passing = session.execute(statement.bindparams(number_list("ids", set(keys))), dict(restriction.values))
    return set(passing.scalars())
