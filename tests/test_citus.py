"""What is asked of Citus, where it is and where it is not."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from tests.conftest import Started
from tests.documents import document, write
from utils import citus


def test_one_server_has_no_version_of_it_and_spreads_nothing(session: Session) -> None:
    write(session, document("1", "שלום"))
    assert not citus.is_spread(session)
    if session.get_bind().dialect.name == "postgresql":
        assert citus.citus_version(session) is None
        alone = session.execute(text("SELECT pg_total_relation_size('document')")).scalar_one()
        assert citus.total_bytes(session, "document") == alone > 0


def test_a_cluster_tells_its_servers_and_where_tables_lie(started: Started, tmp_path: Path) -> None:
    with started.cluster().fresh(tmp_path) as url:
        engine = create_engine(url)
        with Session(engine) as session:
            assert write(session, *(document(f"{number}", "שלום") for number in range(20))) == (20, 0, 0)
            assert citus.is_spread(session)
            assert not citus.is_spread(session, "state")
            assert not citus.is_spread(session, "nothing")
            assert citus.total_bytes(session, "document") > 0
        with engine.connect() as connection:
            first, *workers = citus.nodes(connection)
            assert (first.is_coordinator, len(workers)) == (True, 2)
            assert citus.unreachable(connection) == set()
            assert citus.on_workers(connection, "SELECT 7") == {node.address: "7" for node in workers}
            placed = citus.placed(connection)
            assert (placed["document"].kind, placed["document"].column, placed["document"].shards) == (
                "distributed",
                "id",
                2,
            )
            assert (placed["tag"].kind, "state" in placed) == ("reference", False)
            held = citus.held(connection)
            assert set(held) == {node.address for node in workers}
            assert min(nbytes for _, nbytes in held.values()) > 0
        engine.dispose()
