"""The terms of a text: what is counted, and what bounds them."""

from __future__ import annotations

from tests.shared import shared_rows
from utils.bm25 import unpack
from utils.hebrew import content_forms, forms, grams, stem
from utils.terms import LONGEST_FORM, MOST_BYTES, gram_id, stem_id, terms


def test_stems_and_grams_are_counted_over_all_texts() -> None:
    found = terms("הבית בבית", "בית")
    assert found.stems == {"בית": 3}
    assert found.grams["בית_"] == 3
    assert found.grams["_הבי"] == 1
    assert found.lengths == (3, sum(found.grams.values()), 0) == (3, 8, 0)


def test_stop_words_are_left_out_of_each_text_by_itself() -> None:
    assert terms("מי הוא", "ראש הממשלה").stems == {"מי": 1, "הוא": 1, "ראש": 1, "ממשלה": 1}


def test_an_empty_text_has_no_terms() -> None:
    found = terms("", " !")
    assert (found.stems, found.grams, found.ids, found.packed()) == ({}, {}, {}, b"")


def test_packed_terms_hold_both_fields() -> None:
    found = terms("שלום שלום עולם")
    counts = {stem_id(term): count for term, count in found.stems.items()}
    counts |= {gram_id(term): count for term, count in found.grams.items()}
    assert unpack(found.packed()) == counts == found.ids


def test_terms_are_those_of_the_analysis_on_real_texts() -> None:
    for row in shared_rows("he_docs.jsonl")[::29]:
        words = content_forms(forms(row["title"])) + content_forms(forms(row["body"]))
        found = terms(row["title"], row["body"])
        assert set(found.stems) == {stem(word[:LONGEST_FORM]) for word in words}
        assert set(found.grams) == {gram for word in words for gram in grams(word[:LONGEST_FORM])}
        assert found.lengths[:2] == (len(words), sum(found.grams.values()))
        assert tuple(map(list, found.fields)) == tuple(map(list, (found.stems, found.grams, found.titles)))
        assert unpack(found.packed()) == found.ids


def test_a_run_of_letters_without_end_is_cut() -> None:
    assert list(terms("א" * 10_000).stems) == ["א" * LONGEST_FORM]


def test_the_terms_of_a_very_long_text_are_bounded_and_the_commonest_stay() -> None:
    found = terms(" ".join(["שכיח"] * 9 + [f"מילה{number}" for number in range(100_000)]))
    assert found.stems[stem("שכיח")] == 9
    for counts in (found.stems, found.grams):
        assert sum(len(term.encode()) + 8 for term in counts) <= MOST_BYTES
