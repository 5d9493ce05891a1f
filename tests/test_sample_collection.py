"""What the sample collection promises, so far as a machine can check it."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[1] / "data"
LANGUAGES = ("he", "en")
KEYS = ["id", "title", "body", "tags", "language", "source", "licence"]
ACRONYM = re.compile(r'(?<![א-ת])[א-ת]+["\u05f4][א-ת](?![א-ת])')
POINT = re.compile("[\u05b0-\u05bc\u05c1\u05c2\u05c7]")
HEBREW_LETTER = re.compile("[א-ת]")

Document = dict[str, Any]


def read(language: str) -> list[Document]:
    text = (DATA / f"sample-{language}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def everything() -> list[Document]:
    return [document for language in LANGUAGES for document in read(language)]


def queries() -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((DATA / "sample-queries.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize(("language", "least", "most"), [("he", 95, 120), ("en", 45, 65)])
def test_each_language_has_its_share(language: str, least: int, most: int) -> None:
    assert least <= len(read(language)) <= most


def test_hebrew_is_most_of_the_collection() -> None:
    assert len(read("he")) > 1.5 * len(read("en"))


def test_text_is_written_as_it_is_read() -> None:
    for language in LANGUAGES:
        assert "\\u" not in (DATA / f"sample-{language}.jsonl").read_text(encoding="utf-8")


def test_every_document_has_the_same_keys_in_order() -> None:
    assert [d["id"] for d in everything() if list(d) != KEYS] == []


def test_ids_are_unique_slugs_with_their_language() -> None:
    ids = [d["id"] for d in everything()]
    assert len(set(ids)) == len(ids)
    slug = re.compile(r"(he|en)(-[a-z0-9]+)+")
    assert [i for i in ids if not slug.fullmatch(i)] == []
    assert [d["id"] for d in everything() if not d["id"].startswith(d["language"])] == []


def test_titles_are_unique() -> None:
    titles = [d["title"] for d in everything()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_file_holds_its_own_language(language: str) -> None:
    for document in read(language):
        assert document["language"] == language
        assert bool(HEBREW_LETTER.search(document["body"])) == (language == "he")


def test_bodies_are_60_to_250_words() -> None:
    assert [d["id"] for d in everything() if not 60 <= len(d["body"].split()) <= 250] == []


def test_bodies_have_one_to_four_paragraphs() -> None:
    assert [d["id"] for d in everything() if len(d["body"].split("\n\n")) > 4] == []


def test_three_to_six_different_tags() -> None:
    for document in everything():
        assert 3 <= len(document["tags"]) <= 6, document["id"]
        assert len(set(document["tags"])) == len(document["tags"]), document["id"]


def test_tags_are_in_the_language_of_the_document() -> None:
    for document in everything():
        for tag in document["tags"]:
            assert bool(HEBREW_LETTER.search(tag)) == (document["language"] == "he"), tag


def test_the_vocabulary_is_small_and_every_tag_is_shared() -> None:
    counts = Counter(tag for d in everything() for tag in d["tags"])
    assert 50 <= len(counts) <= 75
    assert [tag for tag, count in counts.items() if count < 3] == []


@pytest.mark.parametrize("pair", [("בריאות", "רפואה"), ("חינוך", "לימודים"), ("כסף", "חיסכון"), ("health", "medicine")])
def test_tags_close_in_meaning_are_both_in_use(pair: tuple[str, str]) -> None:
    assert set(pair) <= {tag for d in everything() for tag in d["tags"]}


def test_acronyms_are_written_with_both_quote_marks() -> None:
    found = {d["id"]: ACRONYM.findall(d["body"]) for d in read("he")}
    assert sum(bool(words) for words in found.values()) >= 15
    assert sum(any('"' in word for word in words) for words in found.values()) >= 5
    assert sum(any("\u05f4" in word for word in words) for words in found.values()) >= 5


def test_some_documents_are_pointed() -> None:
    assert sum(len(POINT.findall(d["body"])) >= 10 for d in read("he")) >= 5


def test_subjects_appear_in_both_languages() -> None:
    hebrew, english = ({d["id"][3:] for d in read(language)} for language in LANGUAGES)
    assert len(hebrew & english) >= 20


def test_source_and_licence() -> None:
    for document in everything():
        assert document["source"] == "Matmon sample collection"
        assert document["licence"] == "MIT"


def test_ten_queries_in_two_languages() -> None:
    assert Counter(query["lang"] for query in queries()) == {"he": 6, "en": 4}
    assert {query["mode"] for query in queries()} == {"text", "tags", "semantic", "hybrid"}
    assert all(list(q) == ["q", "mode", "lang", "note_he", "note_en"] for q in queries())


def test_tag_queries_name_a_tag_that_exists() -> None:
    tags = {tag for d in everything() for tag in d["tags"]}
    for query in queries():
        assert (query["mode"] == "tags") == query["q"].startswith("tag:")
        if query["mode"] == "tags":
            assert query["q"].removeprefix("tag:") in tags


@pytest.mark.parametrize("phrase", ["נדודי שינה", "פיטורים", "פוטר", "מצבר ריק", "הונאה"])
def test_what_only_meaning_finds_is_not_written(phrase: str) -> None:
    assert [d["id"] for d in read("he") if phrase in d["body"] + d["title"]] == []


def test_english_words_left_for_meaning_to_find() -> None:
    for word in ("insomnia", "procrastinat", "phishing", "jet lag", "food waste"):
        assert [d["id"] for d in read("en") if word in (d["body"] + d["title"]).lower()] == []
