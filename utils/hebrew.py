"""Splits Hebrew and English text into normalized words that know their place in the original."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

# Bump it when the same text would give other terms: stored terms are then rebuilt.
ANALYSIS_VERSION = 2
_SPACES = "\u05be\u05c0\u05c3\u05c6-\u2010\u2011\u2012\u2013\u2014\u2015\u2212_"
_DOUBLE = "\u05f4\u201c\u201d\u201e\u201f\u2033\uff02\u00ab\u00bb"
_SINGLE = "\u05f3\u2018\u2019\u201a\u201b\u2032\uff07\u00b4`"
_FINALS = dict(zip("ךםןףץς", "כמנפצσ", strict=True))
_LIGATURES = {"\u05f0": "וו", "\u05f1": "וי", "\u05f2": "יי"}  # Yiddish; NFKD leaves them as they are
_SEPARATORS = {"\u066b": ".", "\u066c": ","}  # of decimals and thousands among Arabic digits

# Stop words: function words, question words included.
HEBREW_STOP_WORDS = frozenset(
    """
    אבל או אולי אותה אותו אותי אותך אותם אותן אותנו אז אחרי אי איזה איזו אילו איך איפה אין אינה אינו אינם אינן
    איננו אך אכן אל אלא אלה אלו אליה אליו אליהם אם אמנם אנחנו אני אף אפילו אצל אשר את אתה אתם אתן
    באיזה באיזו בגלל בה בהם בהן בו בי בין בכך בלי במה במי בעוד בעבור בשביל בתוך גם דרך
    האם הוא היא היה היו הייתה היתה היכן הם הן הנה הרי ואת ואם ועם וכן ולא
    זאת זה זו זהו זוהי זולת חוץ טרם יותר יש ישנה ישנו ישנם כאשר כאלה כאן כבר כדי כזה כזו כיצד כי כך
    ככה כל כלל כלומר כמה כמו כמובן כן כפי לא לאחר לאיזה לאיזו לאן לה להיות להם להן לו לי לך לכם לכן למה למי
    למרות לנו לפי לפיכך לפני לפחות מאוד מאז מאיזה מאיזו מאין מאיפה מאשר מבלי מדוע מדי מה מהו מהי מהם מהן מול
    מי מיהו מיהי מכיוון מלבד ממה ממי ממנה ממנו ממש מן מפני מתוך מתי נגד נו עבור עד עדיין על עליה עליו עליהם עם
    פה פחות צריך רק ש שאר שבו שבה שהוא שהיא שהם שהיה שלה שלהם שלו שלי שלך שלנו של שם תוך תחת
    """.split()
)

ENGLISH_STOP_WORDS = frozenset(
    """
    a about after all also am an and any are as at be because been before being but by can could did do does doing
    for from had has have having he her here hers him his how i if in into is it its itself just me more most my no
    nor not of off on once only or other our out over own same she should so some such than that the their them then
    there these they this those through to too under until up very was we were what when where which while who whom
    whose why will with would you your
    """.split()
)


class Word(NamedTuple):
    """A word of a text: its folded form, and its half-open range of characters in the original."""

    form: str
    start: int
    end: int


def _deleted(code: int) -> bool:
    """Marks that change how a letter is read but not which letter it is, and invisible characters."""
    character = chr(code)
    return unicodedata.category(character) in ("Mn", "Cf") or (unicodedata.category(character) == "Cc" and code > 31)


class _Folds(dict[int, str]):
    """The result of NFKD and lower case per character; filled on demand, bounded by Unicode."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        # New Tai Lue vowels and two Vedic signs were marks in Unicode 6: SQLite's tokenizer splits words there.
        if character in _SPACES or code == 0 or 0x19B0 <= code <= 0x19C9 or 0x1CF2 <= code <= 0x1CF3:
            folded = " "
        elif character in _DOUBLE:
            folded = '"'
        elif character in _SINGLE:
            folded = "'"
        elif unicodedata.category(character) == "Nd":
            folded = str(unicodedata.digit(character))
        else:
            folded = "" if _deleted(code) else _OTHERS.get(character, character)
        self[code] = folded
        return folded


_OTHERS = _FINALS | _LIGATURES | _SEPARATORS
_FOLDS = _Folds()
# What most texts are made of, with one character for each: letters that lower case alone changes, and these.
_USUAL = [(character, _FOLDS[ord(character)]) for character in "ךםןףץ-_`\u05be–—\u05f3\u05f4‘’“”"]
_UNUSUAL = re.compile(rf"[^\t\n\r !-~א-ת•₪€§©{''.join(dict(_USUAL)).replace('-', '')}]")
# In this order: an acronym's gershayim, a geresh after a Hebrew letter, an English possessive, an apostrophe inside
# an English word, a comma between thousands. The mark comes first and its lookbehind after it, so that the search
# jumps from mark to mark: four times as fast.
_REMOVED = re.compile(
    r"""["',](?:(?<=[א-ת]")(?=[א-ת])|(?<=[א-ת]')'*|(?<=[a-z]')s(?![a-z])|(?<=[a-z]')(?=[a-z])"""
    r"""|(?<=\d,)(?=\d{3}(?!\d)))"""
)
_WORD = re.compile(r"\d+(?:\.\d+)+|[^\W_]+(?:\+\+|\#(?!\w))?")

# Dotted abbreviations: single letters (U.S.A., ת.ז, הת.ז.), degrees, and, where a dot ends it, up to three letters
# beside a single one (Dr.h.c.), unless it ends like a domain or a file. Searched for only where a dot is between
# letters: the search jumps from dot to dot.
_PREFIXES = "ו?(?:כש|לכש|ש)?(?:[בלהמכ]|מה)?"
_LETTER = r"[^\W\d_]"
_DEGREE = (
    r"(?:ph|psy|ed|th|pharm|jur)\.d|ll\.[bmd]"
    r"|[bmd]\.(?:arch|econ|ed|eng|litt|mus|pharm|phil|sc|soc|tech|th)(?:\.[a-z])?"
)
_NO_FILE = (
    r"(?!(?:ai|app|be|cc|co|com|cs|de|dev|edu|eu|fr|go|gov|hs|il|int|io|js|kt|ly|md|me|mk|net|org|pl|py|rb|rs|sh|so"
    r"|ts|tv|uk|us)\b)"
)
_DOT_BETWEEN = re.compile(rf"\.(?<={_LETTER}\.)(?={_LETTER})")
_DOTTED = re.compile(
    rf"(?<![\w.])(?:{_PREFIXES})(?:{_LETTER}(?:\.{_LETTER})+|{_DEGREE}|{_LETTER}{{2,3}}(?:\.{_LETTER})+(?=\.)"
    rf"|{_LETTER}(?:\.{_LETTER})*\.{_NO_FILE}{_LETTER}{{2,3}}(?=\.))(?!\w|\.\w)"
)

# A word with Hebrew prefix letters before a digit or a Latin letter: group 1 is what stands behind them.
_GLUED = re.compile("[0-9a-z](?<=[א-ת].)")
_GLUED_WORD = re.compile(rf"(?:{_PREFIXES}(?=[0-9a-z]))?({_WORD.pattern})")


def _fold(text: str) -> str:
    if _UNUSUAL.search(text) is None:
        folded = text.lower()
        for character, replacement in _USUAL:
            folded = folded.replace(character, replacement)
        return folded
    # NFKD would split the acute into a space and a combining accent.
    return unicodedata.normalize("NFKD", text.replace("\u00b4", "'")).lower().translate(_FOLDS)


class _CharacterFolds(dict[str, str]):
    """The same for one character, NFKD and lower case included."""

    def __missing__(self, character: str) -> str:
        self[character] = folded = _fold(character)
        return folded


_CHARACTER_FOLDS = _CharacterFolds()


def normalise(text: str) -> str:
    """Return the text without niqqud, with quotes, dashes, digits, case and final letters folded."""
    return _REMOVED.sub("", _fold(text))


def normalise_with_offsets(text: str) -> tuple[str, Sequence[int]]:
    """Return the normalized text and, for each of its characters, the place in `text` that it came from."""
    folded, places = _fold_with_offsets(text)
    removed = [match.span() for match in _REMOVED.finditer(folded)]
    return (_without(folded, removed), _kept(places, removed)) if removed else (folded, places)


def _fold_with_offsets(text: str) -> tuple[str, Sequence[int]]:
    if _UNUSUAL.search(text) is None:
        return _fold(text), range(len(text))
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        replacement = _CHARACTER_FOLDS[character]
        folded.append(replacement)
        if len(replacement) == 1:
            places.append(place)
        else:
            places.extend([place] * len(replacement))
    return "".join(folded), places


def _without(text: str, removed: Sequence[tuple[int, int]]) -> str:
    """Return a text without some ranges of characters, given in order."""
    starts = [0, *(end for _, end in removed)]
    ends = [*(start for start, _ in removed), len(text)]
    return "".join([text[start:end] for start, end in zip(starts, ends, strict=True)])


def _kept(places: Sequence[int], removed: Sequence[tuple[int, int]]) -> list[int]:
    kept = list(places)
    for start, end in reversed(removed):
        del kept[start:end]
    return kept


def _dots(folded: str) -> list[tuple[int, int]]:
    """Return the ranges of the dots inside abbreviations."""
    if _DOT_BETWEEN.search(folded) is None:
        return []
    inside = (range(*match.span()) for match in _DOTTED.finditer(folded))
    return [(place, place + 1) for places in inside for place in places if folded[place] == "."]


def forms(text: str) -> list[str]:
    """Return the folded words of a text in order, stop words included.

    Dots inside abbreviations (U.S.A., ת.ז.) and prefix letters before digits or Latin letters (ב80) are left out.
    """
    folded = normalise(text)
    if dots := _dots(folded):
        folded = _without(folded, dots)
    # findall returns group 1 where there is one.
    return (_WORD if _GLUED.search(folded) is None else _GLUED_WORD).findall(folded)


def words(text: str) -> list[Word]:
    """Return the words of a text with their places; niqqud, quotes and prefix letters of a word belong to it."""
    folded, places = normalise_with_offsets(text)
    if dots := _dots(folded):
        folded, places = _without(folded, dots), _kept(places, dots)
    pattern, group = (_WORD, 0) if _GLUED.search(folded) is None else (_GLUED_WORD, 1)
    if isinstance(places, range):
        return [Word(match.group(group), *match.span()) for match in pattern.finditer(folded)]
    placed = [
        Word(match.group(group), places[match.start()], places[match.end() - 1] + 1)
        for match in pattern.finditer(folded)
    ]
    return placed if _UNUSUAL.search(text) is None else [_with_its_marks(word, text) for word in placed]


def _with_its_marks(word: Word, text: str) -> Word:
    """Return a word with the niqqud under its last letter."""
    end = word.end
    while end < len(text) and _CHARACTER_FOLDS[text[end]] == "":
        end += 1
    return word if end == word.end else word._replace(end=end)


def is_stop_word(form: str) -> bool:
    return form in _FOLDED_STOPS


def content_forms(all_forms: list[str]) -> list[str]:
    """Return the words that are not stop words; all of them if there are no others."""
    return [form for form in all_forms if form not in _FOLDED_STOPS] or all_forms


_PREFIX = re.compile(r"^ו?(?:כש|לכש|ש)?(?:[בלה]|מה)?(?=.{3})")


@lru_cache(maxsize=4_096)
def stem(form: str) -> str:
    """Return a folded word without its Hebrew prefix letters or its English plural ending."""
    if "א" <= form[0] <= "ת":
        return _PREFIX.sub("", form, count=1)
    return _singular(form)


def _singular(form: str) -> str:
    if len(form) < 4 or not form.endswith("s") or form.endswith(("ss", "us", "is")):
        return form
    if form.endswith("ies") and len(form) > 4:
        return form[:-3] + "y"
    return form[:-1]


_AT_THE_END = {folded: final for final, folded in _FINALS.items() if final != "ς"}


def with_final_letter(form: str) -> str:
    """Return a folded word as it is written: its last letter in its final form."""
    return form[:-1] + _AT_THE_END.get(form[-1], form[-1]) if len(form) > 1 else form


def stripped(text: str) -> str:
    """Return the text without niqqud and invisible characters, otherwise unchanged."""
    return "".join(c for c in unicodedata.normalize("NFC", text) if c.isspace() or not _deleted(ord(c)))


_HEBREW_LETTERS = re.compile("[\u05d0-\u05ea\ufb1d-\ufb4f]+")
_OTHER_LETTERS = re.compile("[^\\W\\d_\u0590-\u05ff\ufb1d-\ufb4f]+")


def is_hebrew(text: str) -> bool:
    """Whether most letters at the beginning of a text are Hebrew, so that it runs right to left."""
    beginning = text[:400]
    hebrew, others = (sum(map(len, letters.findall(beginning))) for letters in (_HEBREW_LETTERS, _OTHER_LETTERS))
    return hebrew > others


_FOLDED_STOPS = frozenset(normalise(word) for word in HEBREW_STOP_WORDS | ENGLISH_STOP_WORDS)
