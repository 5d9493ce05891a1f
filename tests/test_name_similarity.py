"""Names in other words are found; names that only look alike are not."""

from __future__ import annotations

import pytest

from utils.hebrew import forms
from utils.name_similarity import NameIndex, root, typos

NAMES = (
    "manage budgets", "manage staff", "food safety rules", "road safety", "java", "javascript", "account manager",
    "accountant", "execute feasibility study", "ניהול תקציב", "ניהול צוות", "nurse", "purse",
)  # fmt: skip
WORDINGS = NameIndex(enumerate(NAMES))


def best(name: str) -> tuple[str, float]:
    found = WORDINGS.similar(name, 0.0)
    place = max(found, key=lambda each: found[each])
    return NAMES[place], found[place]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("budgets manage", "manage budgets"), ("managing a budget", "manage budgets"),
        ("mange budgets", "manage budgets"), ("staff managed", "manage staff"),
        ("rules of food safety", "food safety rules"), ("feasibility ftudy executed", "execute feasibility study"),
        ("ניהול תקציבים", "ניהול תקציב"), ("בניהול צוות", "ניהול צוות"), ("javasript", "javascript"),
    ],
)  # fmt: skip
def test_other_words_for_the_same_are_as_good_as_the_same(written: str, name: str) -> None:
    assert best(written) == (name, pytest.approx(1.0, abs=1e-5))


def test_a_name_without_one_of_its_words_is_alike_but_less() -> None:
    assert 0.6 < WORDINGS.similar("feasibility study", 0.6)[NAMES.index("execute feasibility study")] < 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("java", "javascript"), ("account manager", "accountant"), ("nurse", "purse"), ("food safety", "road safety"),
     ("ניהול צוות", "ניהול תקציב")],
)  # fmt: skip
def test_other_words_that_look_alike_stay_apart(one: str, other: str) -> None:
    assert NAMES.index(other) not in WORDINGS.similar(one, 0.7)


@pytest.mark.parametrize("name", ["", " ", "--", "🙂", "\ud800", "a" * 10_000, "x y " * 2_000])
def test_any_name_can_be_asked(name: str) -> None:
    assert all(0 <= likeness <= 1.00001 for likeness in WORDINGS.similar(name, 0.0).values())
    assert NameIndex([(1, name)]).numbers.tolist() == [1]
    assert NameIndex([]).similar(name, 0.0) == {}


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [("study", "study", 0), ("ftudy", "study", 1), ("stduy", "study", 1), ("stdy", "study", 1), ("studyy", "study", 1),
     ("sutdies", "study", 2)],
)  # fmt: skip
def test_typos_are_counted_up_to_a_bound(one: str, other: str, count: int) -> None:
    assert typos(one, other, 1) == count


@pytest.mark.parametrize(
    ("one", "other"),
    [("planning", "plan"), ("managed", "managing"), ("budgets", "budget"), ("ספרים", "ספר"), ("וספר", "ספר")],
)
def test_forms_of_a_word_share_a_root(one: str, other: str) -> None:
    assert root(forms(one)[0]) == root(forms(other)[0])
