"""Marks and passages: every matching word, wherever it stands, and the passage that has most of the query."""

from __future__ import annotations

from random import Random

import pytest

from search.marks import BLOCK, matches_in
from search.matcher import QueryMatcher
from search.query import parse_text
from search.results import Segment
from search.snippets import PassageSearch, best_start, marked_document
from tests.marks import matcher_of

FILLER = "Nothing of note stands here. "


def marked(query: str, text: str) -> list[str]:
    return [text[match.start : match.end] for match in matches_in(text, matcher_of(parse_text(query)))]


def passage(query: str, text: str) -> str:
    search = PassageSearch(matcher_of(parse_text(query)))
    search.read(text)
    return "".join(segment.text for segment in search.passage)


@pytest.mark.parametrize(
    ("query", "text", "words"),
    [
        ("water", "later that day, water", ["water"]),
        ("night", "light, right, a night", ["night"]),
        ("lock", "a clock", []),
        ("ילדים", "הילדים שיחקו עם ילדי השכנים", ["הילדים"]),
        ("berry", "berries and a berry", ["berries", "berry"]),
        ("שלום", "שָׁלוֹם לכולם", ["שָׁלוֹם"]),
        ('צה"ל', "חיילי צה״ל", ["צה״ל"]),
        ("אם", "מיםאם אם", ["אם"]),
    ],
)
def test_a_word_is_marked_if_it_is_a_form_of_the_query_and_only_then(query: str, text: str, words: list[str]) -> None:
    assert marked(query, text) == words


def test_the_common_words_of_a_phrase_are_marked_in_the_phrase_alone() -> None:
    assert marked('"state of the art"', "the state of the art of the house") == ["state", "of", "the", "art"]


def test_a_phrase_may_have_a_prefix_before_its_first_word() -> None:
    search = PassageSearch(QueryMatcher({}, (("חוק", "הכנסת"),)))
    search.read("נקבע בחוק הכנסת")
    assert [segment.text for segment in search.passage if segment.found] == ["בחוק", "הכנסת"]


@pytest.mark.parametrize("offset", range(-30, 31, 3))
def test_a_phrase_across_the_border_of_two_blocks_is_marked(offset: int) -> None:
    text = ("ab " * BLOCK)[: BLOCK + offset].rstrip() + " to be or not to be " + "cd " * 50
    assert marked('"to be or not to be"', text) == "to be or not to be".split()
    assert "to be or not to be" in passage('"to be or not to be"', text)


def test_the_passage_is_the_one_with_most_words_of_the_query_wherever_it_stands() -> None:
    text = "An otter. " + FILLER * 1_000 + "An otter by the river bank. " + FILLER * 100 + "A river."
    assert "otter by the river" in passage("otter river", text)


def test_the_words_of_a_phrase_apart_in_every_block_do_not_hide_the_phrase() -> None:
    text = ("The river and the otter. " + FILLER * 20) * 400 + "An otter river at last. " + FILLER * 20
    assert "otter river at last" in passage('"otter river"', text)


@pytest.mark.parametrize("offset", range(-80, 81, 20))
def test_a_passage_across_the_border_of_two_blocks_is_found(offset: int) -> None:
    before = "A river. " + (FILLER * 200)[: BLOCK + offset].rsplit(" ", 1)[0]
    text = f"{before} An otter rests where it can, by a river. {FILLER * 9} An otter."
    assert "otter rests where it can, by a river" in passage("otter river", text)


def test_the_passage_of_a_text_in_blocks_scores_as_much_as_any_of_the_whole() -> None:
    random = Random(5)
    vocabulary = ["otter", "river", "otters", "dives", *"abcdefghijklmnopqrstuvwxyz" * 6]
    matcher = matcher_of(parse_text('otter river dives "river otter"'))
    for _ in range(40):
        text = " ".join(random.choices(vocabulary, k=6_000))
        search = PassageSearch(matcher)
        search.read(text)
        assert search.score == best_start(matches_in(text, matcher), matcher)[1]


def test_a_phrase_comes_before_more_words() -> None:
    text = "A river where an otter dives. " + FILLER * 300 + "The otter river flows."
    assert "otter river flows" in passage('"otter river" dives', text)


def test_a_typed_form_comes_before_a_related_one_and_the_earliest_of_equals_first() -> None:
    text = "Otters first. " + FILLER * 20 + "One otter here. " + FILLER * 20 + "One otter there."
    assert "otter here" in passage("otter", text)


def test_forms_of_one_word_count_once() -> None:
    matcher = QueryMatcher({"otter": 1.0, "otters": 0.8, "river": 0.5}, word_of={"otters": "otter"})
    assert matcher.score(["otter", "otters"]) == 1.0
    assert matcher.best_possible() == 1.5


def test_a_text_in_pieces_gives_the_passage_and_the_ellipses_of_the_whole() -> None:
    search = PassageSearch(matcher_of(parse_text("otter river")))
    search.read("An otter. ", is_last=False)
    assert search.passage == (Segment("An "), Segment("otter", found=True), Segment(". "), Segment(" …"))
    assert not search.is_done
    search.read("The otter's river.", at=10)
    assert search.is_done
    assert "".join(segment.text for segment in search.passage) == "… The otter's river."


def test_a_passage_is_about_240_characters_and_starts_and_ends_with_whole_words() -> None:
    shown = passage("needle", FILLER * 300 + "A needle. " + FILLER * 300).strip("… ")
    assert 150 < len(shown) <= 240
    assert FILLER.startswith(shown.split()[0]) or shown.split()[0] in FILLER.split()
    assert shown.split()[-1] in FILLER.split()


def test_all_matches_of_a_long_document_are_marked_and_the_best_passage_has_a_number() -> None:
    body = "otter " + FILLER * 500 + "otter " + FILLER * 500 + "otter river " + FILLER * 10
    marks = marked_document("The otter", body, matcher_of(parse_text("otter river")))
    assert (marks.matches, marks.in_body, marks.best) == (5, 4, 3)
    assert "".join(segment.text for segment in marks.body) == body
    assert [segment.text for segment in marks.body if segment.found] == ["otter", "otter", "otter", "river"]


def test_without_a_match_there_is_no_passage_and_no_number() -> None:
    marks = marked_document("Title", FILLER, matcher_of(parse_text("otter")))
    assert (marks.matches, marks.best) == (0, 0)
    assert passage("otter", FILLER) == ""
    assert not QueryMatcher({})
