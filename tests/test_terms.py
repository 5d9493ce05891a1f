"""Terms: the same number for the same form, the kind in the lowest bits, and no overlong words."""

from __future__ import annotations

from random import Random

from utils.terms import (
    FIELD,
    FILTER,
    LONGEST_FORM,
    column_number,
    filter_term,
    forget_terms,
    gram_terms,
    in_columns,
    index_forms,
    text_term,
    text_terms,
)


def test_a_form_has_one_number_whoever_asks_and_two_free_bits() -> None:
    numbers = text_terms("שלומ olam שלומ")[0].tolist()
    assert numbers[0] == numbers[2] == text_term("שלומ") != numbers[1]
    assert all(0 <= number < 2**63 and number % 4 == 0 for number in numbers)
    forget_terms()
    assert text_term("שלומ") == numbers[0]


def test_a_text_gives_the_numbers_of_its_words_and_where_they_stand() -> None:
    random = Random(7)
    alphabet = "abcxyzאבגתשםן0179#+." + chr(0x1F600) + chr(0x4E2D)
    for count in (1, 2, 300):
        words = ["".join(random.choices(alphabet, k=random.randint(1, LONGEST_FORM))) for _ in range(count)]
        text = " ".join(words)
        terms, starts, ends = text_terms(text)
        assert terms.tolist() == [text_term(word) for word in words]
        assert [text[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)] == words
    assert [len(part) for part in text_terms("")] == [0, 0, 0]


def test_columns_and_filters_are_told_from_text() -> None:
    haifa = text_terms("haifa")[0]
    author, city = (in_columns(haifa, column_number(name)) for name in ("author", "city"))
    assert author[0] != city[0]
    assert {author[0] % 4, city[0] % 4} == {FIELD}
    assert not {author[0], city[0]} & {haifa[0] | kind for kind in range(4)}
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


def test_grams_are_the_same_in_a_batch_as_alone() -> None:
    forms = ["a", "ab", "abc", "abcd", "ספר", "aaaaaaa", ""]
    terms, counts = gram_terms(forms)
    assert counts.tolist() == [1, 1, 2, 3, 2, 6, 1]
    ends = counts.cumsum().tolist()
    for form, count, end in zip(forms, counts.tolist(), ends, strict=True):
        assert gram_terms([form])[0].tolist() == terms[end - count : end].tolist()
    assert set(gram_terms(["_abc"])[0]) & set(gram_terms(["abcd"])[0])
    assert all(term % 4 == FILTER and term > 0 for term in terms.tolist())
