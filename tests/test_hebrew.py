"""The analysis of Hebrew and English: which spellings meet, which words part, and where they stood."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.shared import shared_rows
from utils.hebrew import (
    Word,
    content_forms,
    forms,
    is_hebrew,
    is_stop_word,
    normalise,
    normalise_with_offsets,
    stem,
    stripped,
    with_final_letter,
    words,
)
from utils.terms import LONGEST_FORM, index_forms

SPELLINGS = [
    pytest.param("שָׁלוֹם", "שלום", id="niqqud"),
    pytest.param("בְּרֵאשִׁ֖ית", "בראשית", id="cantillation"),
    pytest.param("\ufb2aלום", "שלום", id="shin with its dot in one character"),
    pytest.param("\ufb4fהים", "אלהים", id="the ligature alef-lamed"),
    pytest.param("\ufb21\ufb28", "את", id="wide letters"),
    pytest.param("מִ\ufb31ַיִת", "מבית", id="bet with its dagesh in one character"),
    pytest.param("צה״ל", "צהל", id="gershayim"),
    pytest.param('צה"ל', "צהל", id="typewriter quotes"),
    pytest.param("צה”ל", "צהל", id="right quotes"),
    pytest.param("צה“ל", "צהל", id="left quotes"),
    pytest.param("צה„ל", "צהל", id="low quotes"),
    pytest.param("צה‟ל", "צהל", id="reversed quotes"),
    pytest.param("צה″ל", "צהל", id="a double prime"),
    pytest.param("צה＂ל", "צהל", id="wide quotes"),
    pytest.param("צה''ל", "צהל", id="two apostrophes"),
    pytest.param("צה׳׳ל", "צהל", id="two gereshes"),
    pytest.param("צַהַ״ל", "צהל", id="a pointed acronym"),
    pytest.param("צה\u200f״\u200eל", "צהל", id="bidi marks beside gershayim"),
    pytest.param("ג׳ירפה", "גירפה", id="geresh"),
    pytest.param("ג'ירפה", "גירפה", id="an apostrophe for a geresh"),
    pytest.param("ג’ירפה", "גירפה", id="a curly geresh"),
    pytest.param("ג´ירפה", "גירפה", id="an acute for a geresh"),
    pytest.param("רח׳", "רח", id="a geresh at the end"),
    pytest.param("1,000", "1000", id="thousands"),
    pytest.param("1,234,567", "1234567", id="millions"),
    pytest.param("Haifa", "haifa", id="case"),
    pytest.param("café", "cafe", id="accents"),
    pytest.param("ＡＢＣ", "abc", id="wide Latin letters"),
    pytest.param("John's", "john", id="a possessive"),
    pytest.param("don’t", "dont", id="an apostrophe inside an English word"),
    pytest.param("של\u200bום", "שלום", id="a zero-width space"),
    pytest.param("של\u00adום", "שלום", id="a soft hyphen"),
    pytest.param("\u202bשלום\u202c", "שלום", id="bidi embedding"),
    pytest.param("\u2067שלום\u2069", "שלום", id="bidi isolates"),
    pytest.param("\ufeffשלום", "שלום", id="a byte order mark"),
    pytest.param("ΟΔΟΣ", "οδοσ", id="a final sigma"),
    pytest.param("הײם", "היים", id="a Yiddish double yod"),
    pytest.param("װאָס", "וואס", id="a Yiddish double vav, pointed"),
    pytest.param("ױך", "ויך", id="a Yiddish vav yod"),
    pytest.param("ייִדיש", "יידיש", id="a yod with hiriq"),
    pytest.param("\ufb1fד", "ייד", id="a pointed double yod in one character"),
    pytest.param("ציװי", "ציווי", id="a double vav inside a Hebrew word"),
    pytest.param("\u0668\u0660", "80", id="Arabic digits"),
    pytest.param("\u06f1\u06f2\u066b\u06f5", "12.5", id="Persian digits and a decimal separator"),
    pytest.param("\u0661\u066c\u0660\u0660\u0660", "1000", id="Arabic thousands"),
    pytest.param("\u0967\u096f\u096a\u096e", "1948", id="Devanagari digits"),
]

ABBREVIATIONS = [
    ("U.S.A.", "USA"),
    ("U.S.A", "USA"),
    ("u.s.", "us"),
    ("Ph.D.", "PhD"),
    ("Ph.D", "PhD"),
    ("M.Sc.", "MSc"),
    ("B.Ed", "BEd"),
    ("LL.B.", "LLB"),
    ("D.Phil.", "DPhil"),
    ("Dr.h.c.", "Drhc"),
    ("e.g.", "eg"),
    ("i.e.", "ie"),
    ("p.m.", "pm"),
    ("w.r.t.", "wrt"),
    ("J.R.R.", "JRR"),
    ("ת.ז.", 'ת"ז'),
    ("ת.ז", 'ת"ז'),
    ("הת.ז.", 'הת"ז'),
    ("בת.ד", 'בת"ד'),
    ("א.ב.", 'א"ב'),
    ("ת.נ.צ.ב.ה", 'תנצב"ה'),
    ("ח.פ.", 'ח"פ'),
]

GLUED = [
    ("ב80", "80"),
    ("ה7.10", "7.10"),
    ("ב1,000", "1000"),
    ("שב2019", "2019"),
    ("ומה80", "80"),
    ("ב\u0668\u0660", "80"),
    ("בC#", "c#"),
    ("וC++", "c++"),
    ("לPython", "python"),
    ("שבCNN", "cnn"),
    ("כשהBBC", "bbc"),
    ("הiPhone5", "iphone5"),
    ("הU.S.A", "usa"),
    ("לCafé", "cafe"),
    ("א80", "א80"),
]

PARTED = [
    pytest.param("בית־ספר", ["בית", "ספר"], id="maqaf"),
    pytest.param("בית-ספר", ["בית", "ספר"], id="hyphen"),
    pytest.param("1948–1967", ["1948", "1967"], id="en dash"),
    pytest.param("הלך—ושב", ["הלכ", "ושב"], id="em dash"),
    pytest.param("אמר׃ כך׀ וכך", ["אמר", "ככ", "וככ"], id="sof pasuq and paseq"),
    pytest.param("שלום\u00a0עולם", ["שלומ", "עולמ"], id="no-break space"),
    pytest.param("שלום\u202fעולם\u2009טוב", ["שלומ", "עולמ", "טוב"], id="narrow spaces"),
    pytest.param("snake_case", ["snake", "case"], id="underscore"),
    pytest.param('אמר "שלום" והלך', ["אמר", "שלומ", "והלכ"], id="quotes round a word"),
    pytest.param('"צה"ל"', ["צהל"], id="quotes round an acronym"),
    pytest.param('ת"א-חיפה', ["תא", "חיפה"], id="an acronym before a dash"),
    pytest.param("מלך עם ארץ סוף ון", ["מלכ", "עמ", "ארצ", "סופ", "ונ"], id="final letters"),
    pytest.param("3.14", ["3.14"], id="a decimal stays one word"),
    pytest.param("גרסה 1.2.3.", ["גרסה", "1.2.3"], id="a version stays one word"),
    pytest.param("3. שלוש", ["3", "שלוש"], id="a full stop is no decimal point"),
    pytest.param("1,00", ["1", "00"], id="two digits are no thousands"),
    pytest.param("1,0000", ["1", "0000"], id="four digits are no thousands"),
    pytest.param("C++ ו-C#", ["c++", "ו", "c#"], id="C++ and C#"),
    pytest.param("(C++)", ["c++"], id="C++ in brackets"),
    pytest.param("C#7", ["c", "7"], id="a hash before a letter is none of the word"),
    pytest.param("Node.js, example.com", ["node", "js", "example", "com"], id="names of programs and hosts"),
    pytest.param("see x.com. Or t.co.", ["see", "x", "com", "or", "t", "co"], id="hosts of one letter"),
    pytest.param("www.a.b.com", ["www", "a", "b", "com"], id="single letters inside a host"),
    pytest.param("a.py", ["a", "py"], id="a file"),
    pytest.param(".NET and ASP.NET", ["net", "and", "asp", "net"], id="a dot before a name"),
    pytest.param("The end.He left. I stay", ["the", "end", "he", "left", "i", "stay"], id="ends of sentences"),
    pytest.param("סוף. א. ב.", ["סופ", "א", "ב"], id="letters of a list"),
    pytest.param("U.S.-based U.S.dollar", ["us", "based", "u", "s", "dollar"], id="what follows an abbreviation"),
    pytest.param("ב-C++ וב-80", ["ב", "c++", "וב", "80"], id="a prefix with a hyphen is a word"),
    pytest.param("5ק״מ", ["5קמ"], id="letters behind a number are no prefix"),
    pytest.param("", [], id="nothing"),
    pytest.param("!? … \U0001f600", [], id="marks and an emoji"),
    pytest.param("\0\x01\ud800", [], id="nulls, controls and a lone surrogate"),
]

STEMS = [
    ("ושבבית", "בית"),
    ("כשהילדים", "ילדימ"),
    ("והילדים", "ילדימ"),
    ("הילדים", "ילדימ"),
    ("מהבית", "בית"),
    ("לכשיבוא", "יבוא"),
    ("ולבית", "בית"),
    ("בית", "בית"),
    ("הר", "הר"),
    ("בנק", "בנק"),
    ("משפט", "משפט"),
    ("cats", "cat"),
    ("cities", "city"),
    ("ties", "tie"),
    ("glass", "glass"),
    ("status", "status"),
    ("analysis", "analysis"),
    ("gas", "gas"),
    ("2000", "2000"),
]


@pytest.mark.parametrize(("spelling", "plain"), SPELLINGS)
def test_spellings_of_a_word_meet(spelling: str, plain: str) -> None:
    assert forms(spelling) == forms(plain) == [normalise(plain)]


@pytest.mark.parametrize(("text", "found"), PARTED)
def test_a_text_is_parted_into_words(text: str, found: list[str]) -> None:
    assert forms(text) == found


@pytest.mark.parametrize(("dotted", "plain"), ABBREVIATIONS)
def test_a_dotted_abbreviation_is_one_word(dotted: str, plain: str) -> None:
    assert forms(dotted) == forms(plain) == forms(f"({dotted}, {plain})")[:1]
    assert [word.form for word in words(f"אמר {dotted} אז")] == ["אמר", *forms(plain), "אז"]
    assert words(dotted) == [Word(forms(plain)[0], 0, len(dotted.removesuffix(".")))]


@pytest.mark.parametrize(("glued", "form"), GLUED)
def test_a_prefix_before_digits_or_latin_letters_is_left_out(glued: str, form: str) -> None:
    text = f"ראו {glued}, אז"
    assert forms(text) == ["ראו", form, "אז"]
    assert [text[word.start : word.end] for word in words(text)] == ["ראו", glued, "אז"]


@pytest.mark.parametrize(("word", "expected"), STEMS)
def test_prefix_letters_and_plurals_are_stripped(word: str, expected: str) -> None:
    assert [stem(form) for form in forms(word)] == [expected]


@pytest.mark.parametrize(
    ("form", "written"), [("שלומ", "שלום"), ("חיסונ", "חיסון"), ("ספר", "ספר"), ("word", "word"), ("מ", "מ"), ("", "")]
)
def test_a_folded_word_is_shown_with_its_final_letter(form: str, written: str) -> None:
    assert with_final_letter(form) == written


def test_stop_words_are_dropped_where_a_word_is_left() -> None:
    assert content_forms(forms("מה היא זכות השביתה של העובד")) == ["זכות", "השביתה", "העובד"]
    assert content_forms(forms("how do I open the door")) == ["open", "door"]


@pytest.mark.parametrize("text", ["מי הוא", "to be or not to be", "של"])
def test_stop_words_are_kept_where_nothing_else_is_left(text: str) -> None:
    assert content_forms(forms(text)) == forms(text) != []


def test_stop_words_are_known_in_their_folded_form() -> None:
    assert is_stop_word(normalise("אתם"))
    assert not is_stop_word("אתם")


def test_a_pointed_word_is_placed_with_its_points() -> None:
    text = "אמר שָׁלוֹם לָךְ!"
    assert [text[word.start : word.end] for word in words(text)] == ["אמר", "שָׁלוֹם", "לָךְ"]


def test_a_quoted_acronym_is_placed_with_its_quotes() -> None:
    text = '"צה"ל" ו״שב״כ״ בת"א, 1,000 ג׳ירפות'
    placed = [text[word.start : word.end] for word in words(text)]
    assert placed == ['צה"ל', "ו״שב״כ", 'בת"א', "1,000", "ג׳ירפות"]


def test_a_prefixed_word_is_placed_whole() -> None:
    assert list(words("  כשהילדים באו")) == [Word("כשהילדימ", 2, 10), Word("באו", 11, 14)]


def test_one_character_that_becomes_two_keeps_its_place() -> None:
    assert list(words("ﬁx \ufb4fה")) == [Word("fix", 0, 2), Word("אלה", 3, 5)]


def shared_texts() -> Iterator[str]:
    for name, fields in (
        ("he_docs.jsonl", ("title", "body")),
        ("en_docs.jsonl", ("title", "body")),
        ("heq_queries.jsonl", ("text", "answer")),
    ):
        for row in shared_rows(name):
            yield from (row[field] for field in fields)


def test_both_normal_forms_agree_on_real_texts() -> None:
    assert [text for text in shared_texts() if normalise_with_offsets(text)[0] != normalise(text)] == []


def test_words_of_real_texts_are_found_again_at_their_places() -> None:
    for text in list(shared_texts())[::7]:
        found = list(words(text))
        assert [word.form for word in found] == forms(text)
        for before, after in pairwise(found):
            # A fraction in one character is two words at one place.
            assert before.start < before.end <= after.start + 1
        apart = [word for word in found if forms(text[word.start : word.end]) != [word.form]]
        # Only what stands round a number says whether its comma or its hash belongs to it.
        assert [word for word in apart if not any(c.isdigit() for c in word.form)] == []


ALPHABET = (
    "אבהוילםךש" * 3
    + "abSz" * 3
    + "0127" * 2
    + " " * 16
    + "..,,\"\"''-_`#+״׳־–…"
    + "é\u05b8\u05bc\ufb2aײװ\u0668ﬁ\u200f½"
)


@pytest.mark.parametrize("seed", range(20))
def test_words_and_forms_agree_on_any_text(seed: int) -> None:
    chance = random.Random(seed)
    for letters in (ALPHABET, ALPHABET[:-12]):  # with and without characters that become none or two
        for _ in range(100):
            text = "".join(chance.choices(letters, k=chance.randrange(60)))
            placed = words(text)
            assert [word.form for word in placed] == forms(text)
            assert normalise_with_offsets(text)[0] == normalise(text)
            for word in placed:
                # Digits of a number and runs of an abbreviation may need what stands beside them.
                inside = normalise(text[word.start : word.end])
                assert "".join(c for c in word.form if c.isalpha()) in "".join(c for c in inside if c.isalpha())


def test_every_character_is_folded_alone_as_in_a_text() -> None:
    for code in EVERY_CODE:
        text = f"a{chr(code)}ב"
        assert normalise_with_offsets(text)[0] == normalise(text) == normalise(f"{text}é")[:-1], f"{code:X}"


EVERY_CODE = range(0x30000)


def test_no_form_has_a_blank_or_is_empty_or_overlong() -> None:
    for form in index_forms("".join(f"{chr(code)}x " for code in EVERY_CODE) + "x" * 5_000):
        assert not any(c.isspace() or c == "\0" for c in form)
        assert 0 < len(form) <= LONGEST_FORM


def test_stripping_keeps_all_but_points_and_unseen_characters() -> None:
    assert stripped('שָׁלוֹם,\n\u200f"עולם" — Café') == unicodedata.normalize("NFC", 'שלום,\n"עולם" — Café')


@pytest.mark.parametrize(
    ("text", "hebrew"), [("שלום לכם world", True), ("hello world שלום", False), ("", False), ("12", False)]
)
def test_the_direction_follows_most_of_the_letters(text: str, hebrew: bool) -> None:
    assert is_hebrew(text) == hebrew
