"""The embeddings of one model: in-memory indexes, pgvector, and exact re-ranking with the stored vectors.

None of it needs the model itself.
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
from indexes.embedding_space import DOCUMENT_SOURCE, TAG_SOURCE, EmbeddingSpace
from indexes.filters import Filter
from indexes.memory_index import LiveIndex
from indexes.own_means import MeansOfSite
from indexes.pgvector import HalfvecIndex, halfvec_means
from indexes.similarity import DocumentSimilarity, QueryVector, TagSimilarity, best_similarities
from models import Embedding, TagEmbedding, model_number
from utils.bit_rows import SearchTarget
from utils.int8 import Floats, centred
from utils.language_means import LanguageMeans
from utils.lru import LRUCache
from utils.sql import among, among_sql, by_dialect, number_list

MOST_NEAREST = 120  # documents that semantic search ranks
FIRST, THEN = 8_000, 200  # rows compared by bits and floats, rows re-ranked with their stored vectors
WIDE = 2_000  # rows of which those that pass a wide filter are re-ranked
TAGS_FIRST = 500
TAGS_OF_EACH = 16  # tags re-ranked per name and language; 300 find no more
TAGS_AT_ONCE = 2_000
# Below this many documents a filter is passed to the index as keys; otherwise the hits are checked afterwards.
NARROW = 20_000
KEPT_FILTERS = 16
KEPT_CLOSE = 4_000  # tags whose similar tags are cached, two or three for most

# Chunks by (document, window): one primary-key look-up each.
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


class EmbeddingIndex:
    """Everything that belongs to one model's embeddings, loaded on first use; thread-safe."""

    def __init__(self, manifest: Manifest, vector_index: VectorIndex | None = None) -> None:
        means = load_means(manifest)
        self.manifest, self.model = manifest, model_number(manifest.name, manifest.checksum)
        self.passages, self.questions = LanguageMeans(means[0]), LanguageMeans(means[1])
        self.tag_similarity = TagSimilarity(manifest, self.questions)
        self.own_means = MeansOfSite(self.model, manifest.dim, self.passages)
        vector_index = vector_index or VectorIndex()
        self.documents = LiveIndex(DOCUMENT_SOURCE, EmbeddingSpace.of(manifest), vector_index.folder)
        self.choice = IndexChoice(self.model, manifest.dim, vector_index)
        self.halfvec = HalfvecIndex(self.model, halfvec_means(self.passages, bool(manifest.centred_weight)))
        # Tags are compared with tags: both sides carry the query prefix, hence the query mean.
        tag_space = EmbeddingSpace(self.model, LanguageMeans(means[1][:1]), self.questions.centre)
        self.tags = LiveIndex(TAG_SOURCE, tag_space)
        self.filters: LRUCache[NDArray[np.int64]] = LRUCache(KEPT_FILTERS, size=lambda keys: keys.nbytes)
        self.similar_cache: LRUCache[dict[int, float]] = LRUCache(
            KEPT_CLOSE, 2 * 2**20, size=lambda tags: 300 + 100 * len(tags)
        )

    def sizes(self) -> dict[str, dict[str, int]]:
        """Return the rows and bytes that each index holds in memory."""
        indexes = {"documents": self.documents, "tags": self.tags}
        return {name: {"rows": index.size, "bytes": index.nbytes} for name, index in indexes.items()}

    def nearest(
        self,
        session: Session,
        query_vector: QueryVector,
        restriction: Filter,
        version: int | None = None,
        also: Sequence[int] = (),
    ) -> dict[int, DocumentSimilarity]:
        """Return the documents most similar to the query that pass the filter, best first, and the documents `also`.

        Documents without an embedding are left out. `version` is the data version, read here if not given.
        """
        version = version_of(session) if version is None else version
        windows = self._by_pgvector(session, query_vector, restriction, version)
        if windows is None:
            windows = self._in_memory(session, query_vector, restriction, version)
        similarities = self._rescored(session, query_vector, windows, also)
        indexed = {document for document, _ in windows}
        best = sorted(similarities.items(), key=lambda pair: (-pair[1].similarity, pair[0]))
        nearest = [pair for pair in best if pair[0] in indexed][:MOST_NEAREST]
        return dict(nearest) | {document: similarities[document] for document in also if document in similarities}

    def _by_pgvector(
        self, session: Session, query_vector: QueryVector, restriction: Filter, version: int
    ) -> list[tuple[int, int]] | None:
        """Return windows in the order of pgvector's estimate; None if pgvector is not in use."""
        if not self.choice.is_pgvector(session, version):
            return None
        self.documents.release()
        try:
            return self.halfvec.nearest(session, query_vector, restriction, THEN, version)
        except (ProgrammingError, DataError):  # the table was just dropped, or has another dimension
            session.rollback()
            self.choice.lost()
            return None

    def _in_memory(
        self, session: Session, query_vector: QueryVector, restriction: Filter, version: int
    ) -> list[tuple[int, int]]:
        if not restriction:
            return self.documents.nearest(session, version, query_vector.target, FIRST, THEN)
        keys = self._keys(session, restriction, version)
        if len(keys) < NARROW:
            return self.documents.nearest(session, version, query_vector.target, FIRST, THEN, lambda: keys)
        rough = self.documents.nearest(session, version, query_vector.target, 2 * FIRST, WIDE)
        passing = passing_keys(session, [key for key, _ in rough], restriction)
        passed = [pair for pair in rough if pair[0] in passing]
        if len(passed) >= THEN // 2:
            return passed[:THEN]
        # A wide filter, but few near the query pass it: fetch every key.
        every = np.array(restriction.documents(session, 2**31), np.int64)
        return self.documents.nearest(session, version, query_vector.target, FIRST, THEN, lambda: every)

    def _keys(self, session: Session, restriction: Filter, version: int) -> NDArray[np.int64]:
        """Return the keys that pass a filter, at most NARROW; cached until the data changes."""
        name = (version, restriction.key())
        keys = self.filters.get(name)
        if keys is None:
            keys = self.filters.set(name, np.array(restriction.documents(session, NARROW), np.int64))
        return keys

    def _rescored(
        self, session: Session, query_vector: QueryVector, windows: Sequence[tuple[int, int]], also: Sequence[int]
    ) -> dict[int, DocumentSimilarity]:
        """Return {document: exact similarity} of the best of these windows, and of all windows of `also`."""
        if not windows and not also:
            return {}
        statement = by_dialect(session, sqlite=WINDOWS_SQLITE, postgresql=WINDOWS_POSTGRESQL)
        values = {"model": self.model, "pairs": json.dumps(windows)}
        if not also:
            return best_similarities([tuple(row) for row in session.execute(text(statement), values)], query_vector)
        whole = text(statement + ALSO + among_sql(session, "e.document_id", "also")).bindparams(
            number_list("also", also)
        )
        return best_similarities([tuple(row) for row in session.execute(whole, values)], query_vector)

    def query_vector(self, session: Session, vector: Floats, floor: float, version: int | None = None) -> QueryVector:
        """Return the embedding of a question as a query."""
        version = version_of(session) if version is None else version
        own = self.own_means.get(session, version)
        return QueryVector.of_question(vector, self.passages, self.questions, self.manifest, floor, own)

    def query_vector_of(self, session: Session, document: int) -> QueryVector | None:
        """Return the mean embedding of a stored document's chunks as a query; None without an embedding."""
        rows = select(Embedding.vector).where(Embedding.document_id == document, Embedding.model_id == self.model)
        stored = list(session.execute(rows.order_by(Embedding.window)).scalars())
        if not stored:
            return None
        whole = centred(stored, self.manifest.dim).mean(axis=0) + self.passages.centre
        vector = whole / np.linalg.norm(whole)
        own = self.own_means.get(session, version_of(session))
        language = self.passages.group(vector)
        return QueryVector(
            vector,
            language,
            self.passages,
            own,
            own.means.direction_in(vector, language),
            self.manifest,
            self.manifest.centred_floor,
        )

    def tag_vectors(self, session: Session, tags: Sequence[int]) -> dict[int, Floats]:
        """Return the unit-length embeddings of the tags that have one."""
        stored = self._stored_tags(session, tags)
        units = self._units([vector for _, vector in stored]) if stored else ()
        return {tag: unit for (tag, _), unit in zip(stored, units, strict=True)}

    def _stored_tags(self, session: Session, tags: Sequence[int]) -> list[tuple[int, bytes]]:
        rows = select(TagEmbedding.tag_id, TagEmbedding.vector).where(
            TagEmbedding.model_id == self.model, among(TagEmbedding.tag_id, tags)
        )
        return [(row.tag_id, bytes(row.vector)) for row in session.execute(rows)]

    def _units(self, stored: Sequence[bytes]) -> Floats:
        whole = centred(stored, self.manifest.dim) + self.questions.centre
        units: Floats = whole / np.linalg.norm(whole, axis=1, keepdims=True)
        return units

    def nearest_tags(self, session: Session, vectors: Sequence[Floats], most: int) -> list[tuple[int, float]]:
        """Return (tag, similarity from 0 to 1) of the stored tags most similar to any of the vectors, best first."""
        best: dict[int, float] = {}
        for vector in vectors:
            for tag, cosine in self._tag_cosines(session, vector, most).items():
                best[tag] = max(best.get(tag, 0.0), cosine)
        near = {tag: cosine for tag, cosine in best.items() if cosine >= self.manifest.tag_high}
        scores = self.tag_similarity.scaled(np.array(list(near.values()), np.float32)).tolist()
        close = list(zip(near, scores, strict=True))
        return sorted(close, key=lambda pair: (-pair[1], pair[0]))[:most]

    def similar_tags(
        self, session: Session, vectors: Mapping[int, Floats], among_tags: Sequence[int] | None
    ) -> dict[int, dict[int, float]]:
        """Return {key: {tag: similarity from 0 to 1}} of tags that mean the same as each vector, itself excluded.

        Compares with the given tags, or with each vector's nearest in the index. The number of statements is fixed.
        """
        if not vectors:
            return {}
        if among_tags is not None:
            return self._compared(session, vectors, among_tags)
        version = version_of(session)
        targets = self.tag_similarity.targets(np.stack(list(vectors.values())))
        nearest = self.tags.near_each(session, version, list(targets), TAGS_FIRST, TAGS_OF_EACH)
        similar = self._compared(session, vectors, sorted({key for keys in nearest for key in keys}))
        for key, tags in similar.items():
            self.similar_cache.set((version, key), tags)
        return similar

    def cached_similar_tags(self, session: Session, keys: Iterable[int]) -> dict[int, dict[int, float]]:
        """Return the cached results of `similar_tags` over all tags, for the keys that have one."""
        version = version_of(session)
        cached = {key: self.similar_cache.get((version, key)) for key in keys}
        return {key: tags for key, tags in cached.items() if tags is not None}

    def _compared(
        self, session: Session, vectors: Mapping[int, Floats], tags: Sequence[int]
    ) -> dict[int, dict[int, float]]:
        """Return the tags similar to each vector, in blocks: 4 MB of floats instead of 40."""
        similar: dict[int, dict[int, float]] = {key: {} for key in vectors}
        keys, named = list(vectors), np.stack(list(vectors.values()))
        stored = self._stored_tags(session, tags)
        for start in range(0, len(stored), TAGS_AT_ONCE):
            some = stored[start : start + TAGS_AT_ONCE]
            strengths = self.tag_similarity.similarities(named, self._units([vector for _, vector in some]))
            for row, column in np.argwhere(strengths > 0).tolist():
                if keys[row] != some[column][0]:
                    # Rounded: the last digits depend on the shape of the product.
                    similar[keys[row]][some[column][0]] = round(float(strengths[row, column]), 5)
        return similar

    def _tag_cosines(self, session: Session, vector: Floats, most: int) -> dict[int, float]:
        offset = float(vector @ self.questions.centre)
        nearest = self.tags.nearest(session, version_of(session), SearchTarget.plain(vector), TAGS_FIRST, 4 * most)
        stored = self._stored_tags(session, [key for key, _ in nearest])
        if not stored:
            return {}
        cosines = centred([value for _, value in stored], self.manifest.dim) @ vector + offset
        return dict(zip([tag for tag, _ in stored], cosines.tolist(), strict=True))


def passing_keys(session: Session, keys: Sequence[int], restriction: Filter) -> set[int]:
    """Return those of the keys that pass a filter."""
    statement = text(f"SELECT id FROM document WHERE {among_sql(session, 'id', 'ids')}{restriction.sql('document.id')}")
    passing = session.execute(statement.bindparams(number_list("ids", set(keys))), dict(restriction.values))
    return set(passing.scalars())
