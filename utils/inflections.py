"""Forms that may be inflections of the same Hebrew or English word, by their endings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

MOST_INFLECTIONS = 60
_PLURAL, _POSSESSIVE, _UNCERTAIN = 0.5, 0.3, 0.2
_SHORT = 0.6  # the factor of stems of three letters, of which a third have a second word with the ending
_LEAST_STEM = 3

# Folded endings: ם is מ and ן is נ. Gender, number and the construct state first, then adjectives, then possessives and
# persons of verbs.
_NUMBER = ("", "ה", "ת", "ות", "ימ", "י")
_ADJECTIVE = ("י", "ית", "יות", "יימ")
_ABSTRACT = ("ות", "ויות", "ותי")
_PERSON = (
    "ו", "מ", "נ", "כ", "נו", "המ", "הנ", "יו", "יה", "יהמ", "יהנ", "ינו", "יכ", "תו", "תה", "תי", "תמ", "תנ", "תנו",
    "תכ", "ותיו", "ותיה", "ותיהמ", "ותיהנ", "ותינו", "ותי", "ותיכ",
)  # fmt: skip
_GROUPS = ((_NUMBER, _PLURAL), (_ADJECTIVE, _PLURAL), (_ABSTRACT, _POSSESSIVE), ((*_NUMBER, *_PERSON), _POSSESSIVE))

_ENGLISH = re.compile(r"[a-z]{3,}")
_VOWELS = "aeiou"


def inflected(form: str, frequency: Callable[[str], float] | None) -> dict[str, float]:
    """Return candidates with weights of .1 to .5, the likeliest first; with frequencies, known Hebrew forms only."""
    if all("א" <= letter <= "ת" for letter in form):
        found = _hebrew(form)
        if frequency:
            found = {candidate: weight for candidate, weight in found.items() if frequency(candidate) > 0}
    else:
        found = _english(form) if _ENGLISH.fullmatch(form) else {}
    found.pop(form, None)
    return dict(sorted(found.items(), key=lambda item: -item[1])[:MOST_INFLECTIONS])


def _hebrew(form: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for endings, weight in _GROUPS:
        for ending in endings:
            stem = form.removesuffix(ending) if ending else form
            if stem == form and ending:
                continue
            if len(stem) < _LEAST_STEM and not (ending == "ה" and len(stem) == _LEAST_STEM - 1):
                continue
            certainty = weight * (_SHORT if len(stem) <= _LEAST_STEM else 1)
            for other in _NUMBER if len(stem) < _LEAST_STEM else endings:
                candidate = stem + other
                if len(candidate) >= _LEAST_STEM:
                    found[candidate] = max(certainty, found.get(candidate, 0.0))
    return found


def _english(form: str) -> dict[str, float]:
    found: dict[str, float] = {}
    stems = list(_english_stems(form))
    if len(stems) > 1 and form.endswith(("ing", "ed", "s")):
        stems = stems[1:]  # the form is an inflection itself, which has none
    for stem, certainty in stems:
        for candidate, weight in _english_forms(stem):
            found[candidate] = max(weight * certainty, found.get(candidate, 0.0))
    return found


def _english_stems(form: str) -> Iterator[tuple[str, float]]:
    """Yield the words that a form may be inflected from, itself first."""
    yield form, 1.0
    if form.endswith("ies") and len(form) > 4:
        yield form[:-3] + "y", 1.0
    elif form.endswith("es") and len(form) > 4:
        yield form[:-2], 0.8
    if form.endswith("s") and not form.endswith(("ss", "us", "is")) and len(form) > 3:
        yield form[:-1], 1.0
    for ending in ("ing", "ed", "er", "ers"):
        stem = form.removesuffix(ending)
        if stem == form or len(stem) < 3 or not any(letter in "aeiouy" for letter in stem):
            continue
        yield stem, 0.8
        yield stem + "e", 0.8
        if stem[-1] == stem[-2] and stem[-1] not in _VOWELS:
            yield stem[:-1], 0.8
        if ending != "ing" and stem[-1] == "i":
            yield stem[:-1] + "y", 0.8


def _english_forms(stem: str) -> Iterator[tuple[str, float]]:
    """Yield the inflections of a word: plural, -ing, -ed, -er."""
    yield stem, _PLURAL
    ends_in_y = stem.endswith("y") and stem[-2:-1] not in _VOWELS
    if ends_in_y:
        yield stem[:-1] + "ies", _PLURAL
    elif stem.endswith(("s", "x", "z", "ch", "sh")):
        yield stem + "es", _PLURAL
    else:
        yield stem + "s", _PLURAL
    bases = [stem.removesuffix("e")]
    if len(stem) < 7 and stem[-1] not in _VOWELS + "wxy" and stem[-2:-1] in _VOWELS and stem[-3:-2] not in _VOWELS:
        bases.append(stem + stem[-1])
    for base in bases:
        past = base[:-1] + "i" if ends_in_y else base
        yield base + "ing", 0.4
        yield past + "ed", 0.4
        yield past + "er", _UNCERTAIN
        yield past + "ers", _UNCERTAIN
