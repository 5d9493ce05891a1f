"""Documents with an embedding are counted anew after each write, unless counting takes long, or too long."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import State, model_number
from operations import health
from operations.health import embedded_count
from tests.collections import HOUSE, fill
from tests.fakes import HashedWords

MODEL = model_number(HashedWords.manifest.name, HashedWords.manifest.checksum)


@pytest.fixture(autouse=True)
def nothing_counted() -> None:
    health._COUNTS.clear()


def test_each_write_is_counted(session: Session) -> None:
    fill(session, HOUSE[:2])
    assert embedded_count(session, MODEL) == 2
    fill(session, HOUSE)
    assert embedded_count(session, MODEL) == 5
    assert embedded_count(session, None) == 0


def test_a_count_that_took_long_holds_for_a_while(session: Session) -> None:
    fill(session, HOUSE[:2])
    assert embedded_count(session, MODEL) == 2
    ((key, (count, *_)),) = health._COUNTS._values.items()
    health._COUNTS.set(key, replace(count, rests_s=3_600.0))
    fill(session, HOUSE)
    assert embedded_count(session, MODEL) == 2
    health._COUNTS.set(key, replace(count, rests_s=3_600.0, made_at=time.monotonic() - 3_601))
    assert embedded_count(session, MODEL) == 5


@pytest.mark.parametrize("database", ["pgvector", "postgresql"], indirect=True)
def test_what_cannot_be_counted_in_time_is_told_as_it_was(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(session, HOUSE[:2])
    assert embedded_count(session, MODEL) == 2
    fill(session, HOUSE)
    monkeypatch.setattr(health, "_embedded_now", slow)
    assert embedded_count(session, MODEL) == 2
    assert session.query(State).count() == 1, "the session goes on"


def slow(session: Session, _model: int) -> int:
    session.execute(text("SET LOCAL statement_timeout = 20"))
    return int(session.execute(text("SELECT count(*) FROM pg_sleep(5)")).scalar_one())
