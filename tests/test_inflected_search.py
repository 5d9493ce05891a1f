"""Words are found in their inflected forms, behind prefix letters too, however many other forms are spelled alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from search import interpretation
from tests.documents import document, found, write
from utils.word_frequencies import read_frequencies
from utils.word_readings import Readings, current_readings, use_readings

WRITTEN = (
    ("עוגה", "עוגות לעוגות בעוגות העוגות ועוגות שהעוגות מהעוגות כעוגות"),
    ("עוגות", "עוגה לעוגה העוגה בעוגה"),
    ("ילדה", "ילדות לילדות הילדות והילדות שילדות"),
    ("דירה", "דירות הדירות בדירות לדירת"),
    ("ספר", "ספרים לספרים בספרים הספרים מהספרים והספרים"),
    ("מתכון", "מתכונים למתכונים המתכונים מתכוני"),
    ("שנה", "שנים לשנים השנים בשנים"),
    ("חוק", "חוקים החוקים והחוקים בחוקי"),
    ("בקשה", "בקשות הבקשות לבקשת ובקשות"),
    ("ועדה", "ועדות הוועדות ועדת"),
    ("כלכלי", "כלכלית הכלכלית כלכליים הכלכליים"),
    ("city", "cities"),
)


@pytest.fixture(params=["rules", "table"])
def few_similar(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As few forms that are spelled alike are looked for as in a large collection, and others come before."""
    monkeypatch.setattr(interpretation, "FEWEST_SIMILAR", 0)
    monkeypatch.setattr(interpretation, "SIMILAR_POSTINGS", 0)
    before = current_readings()
    if request.param == "table":
        frequencies = read_frequencies(request.getfixturevalue("hebrew_words"))
        use_readings(Readings(frequencies))
    yield
    use_readings(before)


@pytest.mark.model
@pytest.mark.usefixtures("few_similar")
@pytest.mark.parametrize(("word", "texts"), WRITTEN)
def test_a_word_is_found_in_its_inflections_behind_prefixes(session: Session, word: str, texts: str) -> None:
    write(session, *(document(text, text) for text in texts.split()), document("other", "אחר"))
    assert set(texts.split()) - set(found(session, word)) == set()
