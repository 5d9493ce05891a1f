"""Damage inside a stored segment, which no database notices: a search says so, and everything else goes on."""

from __future__ import annotations

from random import Random

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from indexes.segments import forget_segments
from indexing.documents import NewDocument, write_documents
from models import SegmentBlock
from search.ranking_cache import forget_rankings

TEXTS = [NewDocument(str(number), f"title {number}", f"common word{number} and more words") for number in range(40)]

ADDRESSES = ("/api/search?q=common&mode=text", '/api/search?q="common+word3"&mode=text', "/text?q=words+common&lang=en")


def damage(session: Session, chance: Random) -> None:
    """Change some bytes of each stored block, or cut it."""
    for block in session.execute(select(SegmentBlock)).scalars():
        data = bytearray(block.postings)
        for _ in range(chance.randint(1, 20)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        session.execute(update(SegmentBlock).where(SegmentBlock.id == block.id).values(postings=bytes(data)))
    session.commit()
    forget_segments()
    forget_rankings()


@pytest.mark.parametrize("seed", range(12))
def test_a_search_in_a_damaged_index_is_answered_or_says_that_the_database_is_damaged(
    app: Flask, session: Session, seed: int
) -> None:
    write_documents(session, "house", TEXTS)
    damage(session, Random(seed))
    client = app.test_client()
    for address in ADDRESSES:
        answer = client.get(address)
        assert answer.status_code in (200, 503), answer.get_data(as_text=True)
        if answer.status_code == 503:
            assert "damaged" in answer.get_data(as_text=True)
    assert client.get("/api/documents/3?collection=house").status_code == 200
