"""Terms: the same number for the same form, the kind in the lowest bits, and no overlong words."""

from __future__ import annotations

from utils.terms import (
    FIELD,
    FILTER,
    LONGEST_FORM,
    column_terms,
    filter_term,
    forget_terms,
    index_forms,
    text_term,
    text_terms,
)


def test_a_form_has_one_number_whoever_asks_and_two_free_bits() -> None:
    numbers = text_terms(["שלומ", "olam", "שלומ"]).tolist()
    assert numbers[0] == numbers[2] == text_term("שלומ") != numbers[1]
    assert all(0 <= number < 2**63 and number % 4 == 0 for number in numbers)
    forget_terms()
    assert text_term("שלומ") == numbers[0]


def test_columns_and_filters_are_told_from_text() -> None:
    author, city = column_terms("author", ["haifa"]), column_terms("city", ["haifa"])
    assert author[0] != city[0]
    assert {author[0] % 4, city[0] % 4} == {FIELD}
    assert filter_term(text_term("haifa")) % 4 == FILTER


def test_overlong_words_are_cut_and_stop_words_stay() -> None:
    assert index_forms("the " + "x" * 500) == ["the", "x" * LONGEST_FORM]
    assert index_forms("") == []


def test_a_word_is_next_to_itself_behind_prefix_letters() -> None:
    numbers = sorted((text_term(form), form) for form in ["בבית", "ספר", "הבית", "ים", "בית", "מהבית", "הים", "הספר"])
    places = {form: place for place, (_, form) in enumerate(numbers)}
    for forms in (["בית", "בבית", "הבית", "מהבית"], ["ים", "הים"], ["ספר", "הספר"]):
        of_word = [places[form] for form in forms]
        assert max(of_word) - min(of_word) == len(forms) - 1


def test_words_with_the_same_ending_have_different_numbers() -> None:
    endings = [f"{first}{second}gether" for first in "abcdefghij" for second in "klmnopqrst"]
    assert len({text_term(form) for form in endings}) == len(endings)
