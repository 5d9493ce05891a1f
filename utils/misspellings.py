"""What a misspelt word may have been meant for: forms one slip of the hand or of the ear away, and other keyboards."""

from __future__ import annotations

from collections.abc import Iterator

HEBREW, LATIN = "אבגדהוזחטיכלמנסעפצקרשת", "abcdefghijklmnopqrstuvwxyz"
# How likely each slip is, in comparison.
SOUND, DOUBLED, SILENT, EXCHANGED = 0.9, 0.9, 0.85, 0.85
MISSING, REPLACED = 0.7, 0.6
FIRST = 0.8  # the factor of slips in the first letter, which are rare
TWO_SOUNDS = 0.8  # the factor of a second letter of the same sound
SHORTEST = 3  # letters of a word that any slip can be in; shorter ones have too many neighbours
_SILENT = "ויאהe"  # letters that are left out or put in without changing how the word sounds
_ALIKE: dict[str, str] = {}
for _sounds in ("טת", "כקח", "אעה", "וב", "סשצ", "cks", "sz", "aei", "iy", "ou", "fv", "gj"):
    for _letter in _sounds:
        _ALIKE[_letter] = _ALIKE.get(_letter, "") + _sounds.replace(_letter, "")

# The keys of a Hebrew keyboard (SI 1452) under those of a Latin one.
_LATIN_KEYS = "qwertyuiopasdfghjkl;'zxcvbnm,./"
_HEBREW_KEYS = "/'קראטוןםפשדגכעיחלךף,זסבהנמצתץ."
_TO_HEBREW = str.maketrans(_LATIN_KEYS, _HEBREW_KEYS)
_TO_LATIN = str.maketrans(_HEBREW_KEYS, _LATIN_KEYS)


def slips(form: str) -> dict[str, float]:
    """Return the forms that a folded word may be a slip of, with weights to 1; most of them are no words."""
    alphabet = HEBREW if "א" <= form[:1] <= "ת" else LATIN
    if len(form) < SHORTEST or not all(letter in alphabet for letter in form):
        return {}
    found: dict[str, float] = {}
    for candidate, place, weight in (*_edits(form, alphabet), *_two_sounds(form)):
        likely = weight if place else FIRST * weight
        if candidate != form and likely > found.get(candidate, 0.0):
            found[candidate] = likely
    return found


def _edits(form: str, alphabet: str) -> Iterator[tuple[str, int, float]]:
    """Yield (form, place, weight) of forms one letter exchanged, replaced, put in or left out away."""
    for place in range(len(form) + 1):
        before, letter, after = form[:place], form[place : place + 1], form[place + 1 :]
        beside = form[place - 1 : place] + letter
        for other in alphabet:
            yield before + other + letter + after, place, _of_letter(other, beside)
        if not letter:
            continue
        yield before + after, place, _of_letter(letter, form[place - 1 : place] + after[:1])
        if after:
            yield before + after[0] + letter + after[1:], place, EXCHANGED
        if letter == "ב":
            yield before + "וו" + after, place, SOUND
        if letter == "ו" == after[:1]:
            yield before + "ב" + after[1:], place, SOUND
        for other in alphabet:
            yield before + other + after, place, SOUND if other in _ALIKE.get(letter, "") else REPLACED


def _of_letter(letter: str, beside: str) -> float:
    """Return the weight of a letter that is missing or too much beside these."""
    return DOUBLED if letter in beside else SILENT if letter in _SILENT else MISSING


def _two_sounds(form: str) -> Iterator[tuple[str, int, float]]:
    """Yield forms of which two letters have another letter of the same sound."""
    for one in range(len(form)):
        for other in range(one + 1, len(form)):
            for first in _ALIKE.get(form[one], ""):
                for second in _ALIKE.get(form[other], ""):
                    meant = form[:one] + first + form[one + 1 : other] + second + form[other + 1 :]
                    yield meant, one, TWO_SOUNDS * SOUND


def on_other_keyboard(word: str) -> str:
    """Return what a word as it was typed would be on the other of a Hebrew and a Latin keyboard."""
    typed = word.lower()
    if any("א" <= letter <= "ת" for letter in typed):
        return typed.translate(_TO_LATIN)
    return typed.translate(_TO_HEBREW)
