"""What a collection takes on the disk: bytes a document by table and index."""

from __future__ import annotations

from sqlalchemy import create_engine, text

from benchmarks.growth_vectors import dialect_of

# By pages: their bytes, `pgsize`, come out wrong above 2 GB.
SQLITE = "SELECT name, pageno * page_size FROM dbstat, pragma_page_size() WHERE aggregate = TRUE"
POSTGRESQL = """
SELECT relname, CASE relkind WHEN 'i' THEN pg_relation_size(oid) ELSE pg_table_size(oid) END
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')
"""
WHOLE_SQLITE = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
WHOLE_POSTGRESQL = "SELECT pg_database_size(current_database())"


def bytes_each(url: str, documents: int) -> dict[str, float]:
    """Return {table or index: bytes a document}, largest first, the whole under an empty name; below 1 left out."""
    engine = create_engine(url)
    is_postgresql = dialect_of(engine) == "postgresql"
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(POSTGRESQL if is_postgresql else SQLITE))]
        whole = connection.execute(text(WHOLE_POSTGRESQL if is_postgresql else WHOLE_SQLITE)).scalar_one()
    engine.dispose()
    found.append(("", whole))
    in_order = sorted(found, key=lambda pair: -pair[1])
    return {name: size / documents for name, size in in_order if size >= documents}
