"""What the real e5 makes of the sample collection: suggested queries hold, meaning finds, nonsense does not."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app import create_app
from config import ROOT
from runtime import runtime_of
from search.evaluation import QUESTIONS, read_questions
from tests.conftest import closed, settings_for

pytestmark = pytest.mark.model
SUGGESTED: list[dict[str, str]] = json.loads((ROOT / "data" / "sample-queries.json").read_text(encoding="utf-8"))
LATIN, HEBREW = "abcdefghijklmnopqrstuvwxyz", "אבגדהוזחטיכלמנסעפצקרשת"
RIGHT = {
    'צה"ל': {"he-gershayim", "he-idf-founding"},
    "שלולית": {"he-rain-poem"},
    "פרישה לגמלאות": {"he-grandpa-clock"},
    "הונאה ברשת": {"he-package-waiting"},
    "לחסוך מים במקלחת": {"he-every-drop"},
    "dog scared of fireworks": {"en-dog-fireworks"},
    "metal detector": {"en-lost-hammer"},
    "mould on a bedroom wall": {"en-black-corner"},
}
# What the documents say in other words.
SAID_OTHERWISE = {
    "insomnia": "en-awake-at-night",
    "procrastination": "en-tomorrow-certainly",
    "phishing message": "en-parcel-waiting",
    "dog afraid of loud noises": "en-dog-fireworks",
    "backup copies": "en-photos-gone",
    "ראייה מטושטשת מקרוב": "he-arms-too-short",
    "קשיי קריאה": "he-dancing-letters",
    "נכישת נחש": "he-snake-path",
    "כלב שמפחד מרעש": "he-dog-fireworks",
    "גיבוי תמונות": "he-photos-gone",
}
# Asked in one language of documents in the other.
ACROSS = {
    "gold coins found by divers": "he-caesarea-gold",
    "national bird of Israel": "he-hoopoe",
    "shakshuka recipe": "he-shakshuka",
    "how to read a payslip": "he-payslip",
    "Herzl and the first Zionist congress": "he-herzl-basel",
    "a day of a member of parliament": "he-knesset-member",
    "כלב שמפחד מזיקוקים": "en-dog-fireworks",
    "חימום מים בשמש": "en-solar-water",
    "תיקון בגדים קרועים": "en-visible-mending",
}
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def ask(sample: Path, e5_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Ask the API over the sample collection, its model loaded."""
    folder = tmp_path_factory.mktemp("quality")
    shutil.copy(sample, folder)
    model: dict[str, Any] = {
        "semantic_model": "e5-small",
        "models_dir": e5_folder.parent,
        "rate_limit": "100000/minute",
    }
    app = create_app(settings_for(f"sqlite:///{folder / 'matmon.db'}", folder, **model))
    client = app.test_client()

    def asked(text: str, mode: str, **more: object) -> dict[str, Any]:
        answer: dict[str, Any] = client.get("/api/search", query_string={"q": text, "mode": mode, **more}).get_json()
        assert mode in ("text", "tags") or answer["semantic"]["state"] == "ready"
        return answer

    assert runtime_of(app).semantic.lazy.load(60)
    yield asked
    closed(app)


def first(answer: dict[str, Any], most: int = 3) -> list[str]:
    return [hit["id"] for hit in answer["hits"][:most]]


def test_every_suggested_query_is_looked_into() -> None:
    assert {one["q"] for one in SUGGESTED if one["mode"] != "tags"} == set(RIGHT)


@pytest.mark.parametrize("suggested", SUGGESTED, ids=lambda one: one["q"])
def test_a_suggested_query_shows_what_its_note_says(ask: Ask, suggested: dict[str, str]) -> None:
    answer = ask(suggested["q"], suggested["mode"])
    if suggested["mode"] == "tags":
        tag = suggested["q"].removeprefix("tag:")
        assert len(answer["hits"]) >= 3
        assert all(tag in hit["tags"] for hit in answer["hits"])
    else:
        right = RIGHT[suggested["q"]]
        assert set(first(answer, max(3, len(right)))) & right == right
    if (suggested["mode"], suggested["lang"]) == ("semantic", "he"):
        assert [hit["why"]["words"] for hit in answer["hits"] if hit["id"] in right] == [[]] * len(right)


def test_the_question_that_claims_two_languages_finds_both(ask: Ask) -> None:
    assert {"en-dog-fireworks", "he-dog-fireworks"} <= set(first(ask("dog scared of fireworks", "semantic")))


@pytest.mark.parametrize("text", SAID_OTHERWISE)
def test_meaning_finds_what_is_said_in_other_words(ask: Ask, text: str) -> None:
    assert SAID_OTHERWISE[text] in first(ask(text, "semantic"))
    assert SAID_OTHERWISE[text] in first(ask(text, "hybrid"), 10)


@pytest.mark.parametrize("text", ACROSS)
def test_a_question_in_one_language_finds_the_document_in_the_other(ask: Ask, text: str) -> None:
    assert ACROSS[text] in first(ask(text, "semantic"), 10)
    assert ACROSS[text] in first(ask(text, "semantic", language=ACROSS[text][:2]))


@pytest.mark.parametrize("letters", [LATIN, HEBREW], ids=["latin", "hebrew"])
@pytest.mark.parametrize(("words", "share"), [(2, 0.85), (1, 0.7)])
def test_nonsense_has_no_meaning(ask: Ask, letters: str, words: int, share: float) -> None:
    """Measured with five seeds: nothing is found for 90 % of pairs of random words, for 78 % of single ones."""
    chance = random.Random(7)
    typed = [
        " ".join("".join(chance.choices(letters, k=chance.randint(5, 9))) for _ in range(words)) for _ in range(40)
    ]
    nothing = [text for text in typed if not ask(text, "semantic")["hits"]]
    assert len(nothing) >= share * len(typed), sorted(set(typed) - set(nothing))


def test_one_nonsense_word_does_not_hide_the_exact_one(ask: Ask) -> None:
    assert first(ask("שלולית", "hybrid"), 1) == first(ask("שלולית", "text"), 1) == ["he-rain-poem"]
    assert "en-lost-hammer" in first(ask("metal detector qwxzvk", "hybrid"))


def shares(ask: Ask, kind: str) -> tuple[float, float]:
    """Return for how many questions of a kind an answer is among the first three, and how many find nothing close."""
    asked = [question for question in read_questions(QUESTIONS) if question.kind == kind]
    answers = [ask(question.text, "hybrid") for question in asked]
    right = [bool(set(first(one)) & set(question.relevant)) for one, question in zip(answers, asked, strict=True)]
    nothing = [one["weak"] or not one["hits"] for one in answers]
    return sum(right) / len(asked), sum(nothing) / len(asked)


@pytest.mark.parametrize(
    ("kind", "least"),
    [("he", 0.85), ("en", 0.75), ("en, answered in Hebrew", 0.65), ("keywords", 0.9), ("misspelt", 0.8)],
)
def test_questions_as_people_type_them_are_answered(ask: Ask, kind: str, least: float) -> None:
    right, nothing = shares(ask, kind)
    assert right >= least
    assert nothing <= 0.4  # most of what is called weak though it is an answer is in another language


@pytest.mark.parametrize("kind", ["no answer: other subjects", "no answer: random letters"])
def test_what_the_collection_does_not_have_is_said(ask: Ask, kind: str) -> None:
    assert shares(ask, kind)[1] >= 0.85
