"""What `flask check database` says of the index of embeddings: which one serves, why, and what a build left undone."""

from __future__ import annotations

from collections.abc import Iterator

from console import semantic
from findings import Finding, ok, remark, wrong
from models import db
from search.index_choice import Serving
from utils.memory import MB
from vector_commands import WHY, serving_now, tables_told

# Where `auto` would have pgvector and cannot: searches go on in memory, which the collection has outgrown.
HINDERED = frozenset({"no_extension", "old_extension", "not_built", "incomplete"})


def index_findings() -> Iterator[Finding]:
    if semantic().is_off:
        return
    serving = serving_now()
    if serving.serves is None:
        yield remark("no model is there, so that no index of embeddings serves")
        return
    yield found(serving)
    for line in tables_told(db.session()):
        unfinished = not line.endswith(", indexed")
        yield (remark if unfinished else ok)(f"embeddings for pgvector: {line.strip()}")


def found(serving: Serving) -> Finding:
    """Return which index serves; wrong where another was demanded."""
    where = "in memory" if serving.serves == "memory" else "by pgvector"
    rows = "" if serving.rows is None else f" ({serving.rows:,} rows)"
    size = "" if serving.nbytes is None else f", {serving.nbytes / MB:.0f} MB in the database"
    said = f"embeddings are searched {where}{rows}{size}, since {WHY[serving.why]} (VECTOR_INDEX={serving.wanted})"
    if serving.is_refused:
        return wrong(said, "searches are served from memory until that is mended, or set VECTOR_INDEX=auto")
    return remark(said) if serving.why in HINDERED else ok(said)
