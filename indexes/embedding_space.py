"""The stored embeddings of one model: read from the database, and coded as bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from encoders.manifest import Manifest, load_means
from models import model_number
from utils.bit_rows import BitRows
from utils.int8 import Floats, centred
from utils.language_means import LanguageMeans
from utils.sql import among_sql, number_list

EXACT_ROWS = 20_000  # up to so many chunks every one is compared exactly
PAGE = 1_000
AT_ONCE = 200  # rows coded at once: their floats stay in the processor's cache
CODING = 2  # increased when other bits come of the same embeddings
DOCUMENTS = 'SELECT document_id, "window", vector FROM embedding WHERE model_id = :model'
TAGS = (
    "SELECT tag_id, 0, vector FROM tag_embedding WHERE model_id = :model"
    " AND EXISTS (SELECT 1 FROM tag_count WHERE tag_count.tag_id = tag_embedding.tag_id)"
)
StoredRow = tuple[int, int, bytes]  # key, part, vector


@dataclass(frozen=True, slots=True)
class EmbeddingSource:
    """Where embeddings of one kind are stored: a statement of (key, part, vector), and its key column."""

    statement: str
    key: str
    part: str
    follows_changes: bool

    def page(self, session: Session, model: int, after: tuple[int, int], most: int = PAGE) -> list[StoredRow]:
        # Paged by key, not by cursor: no transaction outlives a page, and memory holds one page.
        statement = f"{self.statement} AND ({self.key}, {self.part}) > (:key, :part) ORDER BY {self.order} LIMIT :page"
        values = {"model": model, "key": after[0], "part": after[1], "page": most}
        return [(row[0], row[1], bytes(row[2])) for row in session.execute(text(statement), values)]

    def pages(self, session: Session, model: int) -> Iterator[list[StoredRow]]:
        after = (-1, -1)
        while page := self.page(session, model, after):
            yield page
            after = page[-1][0], page[-1][1]

    @property
    def order(self) -> str:
        return f"{self.key}, {self.part}" if self.part != "0" else self.key

    def rows(self, session: Session, model: int, keys: Sequence[int]) -> list[StoredRow]:
        statement = text(f"{self.statement} AND {among_sql(session, self.key, 'keys')}")
        rows = session.execute(statement.bindparams(number_list("keys", keys)), {"model": model})
        return [(row[0], row[1], bytes(row[2])) for row in rows]

    def count(self, session: Session, model: int, most: int | None = None) -> int:
        """Return the number of rows; it stops counting at `most`."""
        limit = "" if most is None else f" LIMIT {most}"
        counted = f"SELECT count(*) FROM ({self.statement}{limit}) counted"
        return int(session.execute(text(counted), {"model": model}).scalar_one())


DOCUMENT_SOURCE = EmbeddingSource(DOCUMENTS, "document_id", '"window"', follows_changes=True)
TAG_SOURCE = EmbeddingSource(TAGS, "tag_id", "0", follows_changes=False)


@dataclass(frozen=True, slots=True)
class EmbeddingSpace:
    """What turns stored embeddings of a model into bits: the means of its languages, and that of queries."""

    model: int
    means: LanguageMeans
    query_mean: Floats

    @staticmethod
    def of(manifest: Manifest) -> EmbeddingSpace:
        """Return the space of a model's passages."""
        passages, queries = load_means(manifest)
        key = model_number(manifest.name, manifest.checksum)
        return EmbeddingSpace(key, LanguageMeans(passages), LanguageMeans(queries).centre)

    @property
    def dim(self) -> int:
        return len(self.query_mean)

    @property
    def basis(self) -> int:
        """Return a number that differs where the same embeddings give other bits."""
        parts = (np.array([CODING, self.dim]), self.means.centre, self.means.means, self.query_mean)
        digest = blake2b(b"".join(part.tobytes() for part in parts), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1

    def bit_rows(self, stored: Sequence[bytes]) -> BitRows:
        """Return the bits of embeddings as the database has them."""
        rows = BitRows.empty(len(stored), self.dim)
        for start in range(0, len(stored), AT_ONCE):
            some = centred(stored[start : start + AT_ONCE], self.dim)
            groups = self.means.groups(some)
            coded = BitRows.of(self.means.less_means(some, groups), groups, self.query_mean)
            rows[start : start + len(some)] = coded
        return rows
