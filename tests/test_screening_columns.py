"""A screening is narrowed and sorted by columns of any name, and a name is never read as an expression."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from sqlalchemy.orm import Session

from indexing.documents import NewDocument, write_documents
from models import db
from tests.collections import ready_side
from tests.screened import JOBS, found, ranked

NAMES = (
    "city",
    "home town",
    "עיר",
    "שם מלא",
    "a.b",
    'a"b',
    "a'b",
    "a\\b",
    "$",
    "$x",
    "$.city",
    "[1]",
    "7",
    "x[0]",
    "",
    "%s",
    ":a",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_of_any_name_narrows_and_sorts(session: Session, name: str) -> None:
    write_documents(session, "jobs", list(JOBS))
    values = {"noa": ("Acre", "12"), "dan": ("Haifa", "3"), "lia": ("Acre", "7.5")}
    people = [
        NewDocument(own_id, own_id, "", ("SQL",), extra={name: city, f"{name}#": years})
        for own_id, (city, years) in values.items()
    ]
    write_documents(session, "people", [*people, NewDocument("avi", "avi", "", ("SQL",))])
    one = ranked(session, ready_side())

    def ids(**asked: str) -> list[str]:
        return [result.id for result in found(session, one, urlencode({"lang": "en"} | asked))]

    if name:  # a parameter without a name cannot be asked for
        assert set(ids(**{name: "Acre"})) == {"noa", "lia"}
        assert ids(**{name: "nowhere"}) == []
    assert ids(**{f"min_{name}#": "5", "sort": f"{name}#"}) == ["lia", "noa"]
    assert ids(sort=f"-{name}#")[:3] == ["noa", "lia", "dan"]
    assert ids(sort=f"-{name}")[0] == "dan"
    assert len(ids(sort=name)) == 4
    db.session.rollback()
