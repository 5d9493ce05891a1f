"""Small collections with a known answer, and a semantic side that is ready at once."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from encoders.lazy import LazyEncoder
from indexing.documents import NewDocument, write_documents
from indexing.embedding import embed
from search.semantic import Semantic, model_of
from tests.fakes import HashedWords

HOUSE = (
    NewDocument("rent", "חוזה שכירות", "מה לבדוק בדירה לפני שחותמים על החוזה.", ("דיור", "זכויות"), "he"),
    NewDocument("union", "זכויות עובדים", "עובדים מתארגנים יחד וזכויותיהם נשמרות.", ("עבודה", "זכויות"), "he"),
    NewDocument("soup", "מרק עדשים", "עדשים כתומות, בצל וכמון בסיר אחד.", ("בישול",), "he"),
    NewDocument("bread", "Sourdough bread", "Flour, water and patience make good bread.", ("baking",), "en"),
    NewDocument("cache", "A small cache", "A cache keeps what was used last close at hand.", ("computing",), "en"),
)


def ready_side(encoder: HashedWords | None = None) -> Semantic:
    """Return a semantic side whose encoder is loaded."""
    kept = encoder or HashedWords()
    side = Semantic(LazyEncoder(lambda: kept, kept.name), model_of(kept))
    assert side.lazy.load(10)
    return side


def off_side() -> Semantic:
    return Semantic(LazyEncoder(None, "none"))


def fill(session: Session, documents: Iterable[NewDocument] = HOUSE, collection: str = "house") -> Semantic:
    """Write and embed documents, and return a side that can search them."""
    write_documents(session, collection, list(documents))
    side = ready_side()
    assert side.lazy.encoder is not None
    embed(session, side.lazy.encoder)
    return side
