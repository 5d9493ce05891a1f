"""The index of tags where there are more than are ranked: the commonest are among them, and by name all are there."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from search import tag_index
from search.tag_index import tag_page
from tests.documents import document, write


@pytest.fixture
def many(session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Fifty tags of which ten are ranked: the last by name is the commonest, in two collections."""
    monkeypatch.setattr(tag_index, "MOST_RANKED", 10)
    monkeypatch.setattr(tag_index, "MOST_COUNTED", 40)
    names = [f"tag {n:02}" for n in range(50)]
    write(session, *(document(name, "", "", name, "tag 49") for name in names[:30]), collection="one")
    write(session, *(document(name, "", "", name, "tag 49") for name in names[30:]), collection="two")
    return session


def names(session: Session, **asked: object) -> list[str]:
    return [facet.tag for facet in tag_page(session, **asked).tags]  # type: ignore[arg-type]


def test_the_commonest_is_first_however_late_its_name(many: Session) -> None:
    assert tag_page(many).tags[0].count == 50
    for asked in ({}, {"prefix": "tag"}, {"collection": "two"}, {"collection": "two", "prefix": "t"}):
        assert names(many, **asked)[0] == "tag 49", asked
    assert tag_page(many, collection="two").tags[0].count == 20
    assert names(many, prefix="zzz") == names(many, collection="none") == []


def test_a_rare_prefix_is_whole_and_a_common_one_is_cut_and_says_so(many: Session) -> None:
    assert names(many, prefix="tag 1") == [f"tag 1{n}" for n in range(10)]
    found = tag_page(many, prefix="tag")
    assert (found.total, found.total_is_exact, found.listed, found.is_cut) == (40, False, 10, True)
    assert names(many, prefix="tag", page=2, limit=10) == []
    assert not tag_page(many, prefix="tag 1").is_cut


def test_by_name_every_page_is_there(many: Session) -> None:
    pages = [names(many, by="name", page=page, limit=20) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [20, 20, 10, 0]
    assert [name for page in pages for name in page] == [f"tag {n:02}" for n in range(50)]
    assert names(many, by="name", collection="two", limit=3) == ["tag 30", "tag 31", "tag 32"]
