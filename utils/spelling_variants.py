"""Full and defective spellings of a Hebrew word: ניסיון and נסיון, תוכנית and תכנית, וועדה and ועדה."""

from __future__ import annotations

from collections.abc import Callable, Iterator

MATRES = "וי"
_ONE, _DOUBLED, _TWO = 0.6, 0.7, 0.35
_SHORT = 0.5  # the factor of words of four letters: אומן and אמן are two words more often than one
_LEAST_LETTERS = 3  # that are no mater lectionis, and of the shorter spelling of a word at all
_MOST = 24
# Endings that are always spelt in full: בריאת is no spelling of בריאות, nor ילדם of ילדים.
_ENDINGS = ("ות", "ית", "ימ", "ינ", "ונ")


def spelling_variants(form: str, frequency: Callable[[str], float] | None) -> dict[str, float]:
    """Return the spellings with one or two ו or י more or fewer, the likeliest first, with weights below 1.

    With frequencies, a spelling that is unknown is left out.
    """
    if not all("א" <= letter <= "ת" for letter in form) or _consonants(form) < _LEAST_LETTERS:
        return {}
    found: dict[str, float] = {}
    for once, weight in _changed_once(form):
        found[once] = max(weight, found.get(once, 0.0))
    for once in list(found):
        for twice, _ in _changed_once(once):
            if twice != form and len(twice) != len(form):
                found.setdefault(twice, _TWO)
    known = {
        variant: weight * (_SHORT if min(len(variant), len(form)) < 5 and weight < _DOUBLED else 1)
        for variant, weight in found.items()
        if _is_possible(variant, form, frequency)
    }
    return dict(sorted(known.items(), key=lambda item: -item[1])[:_MOST])


def _consonants(form: str) -> int:
    return sum(letter not in MATRES for letter in form)


def _is_possible(variant: str, form: str, frequency: Callable[[str], float] | None) -> bool:
    if min(len(variant), len(form)) <= _LEAST_LETTERS and not _is_doubled(variant, form):
        return False  # ספר, סופר and סיפר are three words
    if any(variant.endswith(ending) != form.endswith(ending) for ending in _ENDINGS):
        return False
    return frequency(variant) > 0 if frequency else abs(len(variant) - len(form)) < 2


def _is_doubled(variant: str, form: str) -> bool:
    """Whether two spellings differ in a doubled vav or yod only."""
    return _single(variant) == _single(form)


def _single(form: str) -> str:
    return form.replace("וו", "ו").replace("יי", "י")


def _changed_once(form: str) -> Iterator[tuple[str, float]]:
    """Yield the spellings with one mater lectionis more or fewer, never the last letter."""
    for place in range(len(form) - 1):
        letter = form[place]
        if letter in MATRES and (place or form[1] == letter):
            shorter = form[:place] + form[place + 1 :]
            yield shorter, _DOUBLED if _is_doubled(shorter, form) else _ONE
        for mater in MATRES:
            longer = form[: place + 1] + mater + form[place + 1 :]
            yield longer, _DOUBLED if _is_doubled(longer, form) else _ONE
