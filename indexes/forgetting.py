"""Takes deleted documents out of the indexes: they are rewritten, where a deletion otherwise only marks."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from indexes.embedding_segments import packed_segments
from indexes.merging import lock_writers, purge_deleted
from indexes.packing import rewrite_without
from indexes.segments import DOCUMENTS, VOCABULARY, delete_from_segments, stored_terms
from models import Form, Model, PackedEmbeddings
from utils.sql import among
from utils.terms import FIELD, KIND_BITS, TEXT

FORMS_AT_ONCE = 20_000


def forget_words(session: Session) -> tuple[int, int]:
    """Rewrite the segments that have deleted documents, and drop forms that no document has any more; commits.

    Returns the numbers of segments and of forms. Writers wait meanwhile.
    """
    lock_writers(session)
    segments = purge_deleted(session, DOCUMENTS)
    forms = _unused_forms(session)
    if forms:
        delete_from_segments(session, VOCABULARY, forms)
        for start in range(0, len(forms), FORMS_AT_ONCE):
            session.execute(delete(Form).where(among(Form.id, forms[start : start + FORMS_AT_ONCE])))
    segments += purge_deleted(session, VOCABULARY)
    session.commit()
    return segments, len(forms)


def _unused_forms(session: Session) -> list[int]:
    """Return the forms that are in no segment, neither in a text nor in another field."""
    terms = stored_terms(session, DOCUMENTS)
    used = terms[np.isin(terms & KIND_BITS, (TEXT, FIELD))] & ~KIND_BITS
    forms = np.array(session.execute(select(Form.id)).scalars().all(), np.int64)
    return np.setdiff1d(forms, used).tolist()  # type: ignore[no-any-return]


def forget_packed(session: Session, document: int, folder: Path) -> int:
    """Rewrite the segments of packed embeddings that have a document, remove the files made of them, and commit.

    Returns the number of segments. Every process makes its file anew, and so does a packer that is at work.
    """
    lock_writers(session)
    rewritten = 0
    for model in session.execute(select(Model)).scalars().all():
        holding = [each for each in packed_segments(session, model.id) if (each.keys == document).any()]
        for segment in holding:
            rewrite_without(session, model.id, segment, document, model.dim)
        if holding:
            new_epoch = {"epoch": secrets.randbits(62)}
            session.execute(update(PackedEmbeddings).where(PackedEmbeddings.model_id == model.id).values(new_epoch))
        rewritten += len(holding)
    session.commit()
    if rewritten:
        for path in folder.glob("embeddings-*.index"):
            path.unlink(missing_ok=True)
    return rewritten
