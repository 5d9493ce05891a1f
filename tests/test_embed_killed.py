"""flask embed, killed outright: what was committed stays, and the next run does the rest and no more."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config import Settings
from indexing.documents import NewDocument, write_documents
from models import Change, Embedding
from tests import commands
from tests.conftest import settings_for
from tests.waiting import until

DOCUMENTS = 120
BODY = "הדיירים רשאים לבקש מן הוועד פירוט של הוצאות הניקיון והגינון, והוועד ישיב בתוך שבועיים. " * 3


def embedded(session: Session) -> dict[tuple[int, int], bytes]:
    session.rollback()
    rows = session.execute(select(Embedding.document_id, Embedding.window, Embedding.vector))
    return {(row[0], row[1]): bytes(row[2]) for row in rows}


def test_a_killed_embed_goes_on_where_it_was(settings: Settings, session: Session, e5_folder: Path) -> None:
    write_documents(session, "house", [NewDocument(str(n), f"דירה {n}", f"{n} {BODY}") for n in range(DOCUMENTS)])
    with_model = settings_for(
        settings.database_url, settings.instance_dir, semantic_model=e5_folder.name, models_dir=e5_folder.parent
    )
    process = commands.start(with_model, "embed")
    try:
        until(lambda: embedded(session), "the first batch")
    finally:
        process.kill()
    assert process.wait() == -9
    kept = embedded(session)
    assert 0 < len({document for document, _ in kept}) < DOCUMENTS
    ended = commands.run(with_model, "embed")
    assert ended.returncode == 0, ended.stderr
    everything = embedded(session)
    assert len({document for document, _ in everything}) == DOCUMENTS
    assert {place: everything[place] for place in kept} == kept
    written = select(func.count()).select_from(Change).group_by(Change.document_id)
    assert set(session.execute(written).scalars()) == {1}  # none of them twice
