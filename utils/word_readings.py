"""How a folded Hebrew form may be read: as a word of its own, or as a word behind prefix letters.

Every reading has a probability, estimated from the frequencies of words. A form f is read as prefix p and base b as far
as freq(b) · ratio(p), how often that is expected in a text, exceeds the estimate of f as a word of its own: what stands
behind ה, ב, ל and מ, which no prefixed form does, and what freq(f) is more than any base explains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

from utils.hebrew import normalise, stem
from utils.inflections import inflected
from utils.spelling_variants import spelling_variants


class Frequencies(Protocol):
    """Frequencies of folded forms, and the ratio freq(prefix + word) / freq(word) by prefix."""

    @property
    def ratios(self) -> Mapping[str, float]: ...

    def get(self, form: str) -> float: ...


# The order of Hebrew prefixes: ו, then a relative pronoun, then a preposition or the article.
CONJUNCTION = ("ו",)
RELATIVES = ("ש", "כש", "לכש")
PREPOSITIONS = ("ה", "ב", "ל", "מ", "כ", "מה")
SIMPLE_PREFIXES = (*CONJUNCTION, *RELATIVES, *PREPOSITIONS)
PREFIX_LETTERS = frozenset("והבלמשכ")
RUNS = tuple(
    conjunction + relative + preposition
    for conjunction in ("", *CONJUNCTION)
    for relative in ("", *RELATIVES)
    for preposition in ("", *PREPOSITIONS)
    if relative != "לכש" or preposition in ("", "ה")  # the others are not in use
)[1:]
# Prefixes that stand before anything, other prefixes included, by their first letter.
_PARTICLES = {particle[0]: particle for particle in (*CONJUNCTION, *RELATIVES)}

# Prefixes that stand before a word of its own beginning with this letter, and hardly before another prefix.
_WITNESSES = {"ה": "הבל", "ב": "הבלמ", "ל": "הבלמ", "מ": "הבל", "ו": "הבלמש", "ש": "הבלמ", "כ": "הבלמ"}
_OTHER_WITNESSES = "הבלמ"
# The share of words of their own that begin with the letter: how likely an unknown form is one.
_INITIALS = {"ו": 0.01, "ה": 0.09, "ב": 0.06, "ל": 0.05, "מ": 0.14, "ש": 0.07, "כ": 0.05}
_INFINITIVE = 0.2  # what ל + ה says: להעיר is "to remark" more often than "to" + the noun העיר
_LAMED = 0.7  # how likely ל + ה… is the base that begins with ה, if that is a word of its own
_UNKNOWN = 1e-8  # the frequency of a word that is not in the list
_NOISE = 0.003  # of freq(f) is seen behind any prefix by mistake
# A form this much more frequent than its bases explain is a word of its own. Ratios vary by 5 between words, and
# that of the article by 10: some nouns are hardly ever without it.
_UNEXPLAINED, _UNEXPLAINED_ARTICLE = 30.0, 60.0
_MOST_BY_WITNESSES = 3.0  # times its own frequency: what the frequencies behind other prefixes say of a base
_LEAST_PROBABILITY = 0.02

# Pronouns and particles, which take no preposition or article: הלך is not "the to-you".
_BARE = frozenset(
    normalise(word)
    for word in """
    לך לו לה לי לנו לכם לכן להם להן בו בה בי בך בנו בכם בהם בהן את אתה אתם אתן אני אנחנו הוא היא הם הן לא של אל על עד
    כי גם אבל או ולא אך אף שלו שלה שלי שלהם שלך אותו אותה אותי אותם היה היו הייתה היתה איך איפה
    רק כבר יותר כן מאוד
    """.split()
)

_HEBREW = re.compile("[א-ת]+")
_BY_RULES_OWN = 0.6  # without frequencies: the probability of the form itself, and of a two-letter base
_BY_RULES_SHORT = 0.2


class Readings:
    """The readings of forms, with their probabilities; by rules alone where `frequencies` is None."""

    def __init__(self, frequencies: Frequencies | None) -> None:
        self._estimates = _Estimates(frequencies) if frequencies else None
        self._frequency: Callable[[str], float] | None = frequencies.get if frequencies else None
        self._bases = lru_cache(maxsize=4_096)(self._estimates.bases if self._estimates else _bases_by_rules)
        self._prefixed = lru_cache(maxsize=1_024)(self._read_back)
        self._spellings = lru_cache(maxsize=1_024)(lambda form: spelling_variants(form, self._frequency))
        self._inflections = lru_cache(maxsize=1_024)(lambda form: inflected(form, self._frequency))

    def frequency(self, form: str) -> float:
        """Return the share of a form among all words of its language, 0 if it is rare or there is no table."""
        return self._frequency(form) if self._frequency else 0.0

    def bases(self, form: str) -> dict[str, float]:
        """Return the words that a form may be, itself included, with probabilities that sum to at most 1."""
        return dict(self._bases(form))

    def prefixed(self, form: str) -> dict[str, float]:
        """Return what stands for prefixes + this word, with the probability that it is read so where it occurs."""
        return dict(self._prefixed(form))

    def spellings(self, form: str) -> dict[str, float]:
        """Return full and defective spellings of a form, with weights below 1."""
        return dict(self._spellings(form))

    def inflections(self, form: str) -> dict[str, float]:
        """Return forms that may be inflections of the same word, at most 60, with weights of .1 to .5."""
        return dict(self._inflections(form))

    def with_prefixes(self, form: str) -> list[str]:
        """Return what could stand for prefixes + this word: `bases` tells how likely each is."""
        if not _is_hebrew_word(form):
            return []
        # A vav that begins a word is doubled behind a prefix: ועדה, הוועדה.
        is_doubled = form[0] == "ו" and form[:2] != "וו"
        doubled = [f"{run}ו{form}" for run in RUNS if run[-1] in "הבלמכ"] if is_doubled else []
        return [run + form for run in RUNS] + doubled

    def probability(self, form: str, base: str) -> float:
        """Return the probability that a form is prefixes + this word, 0 if it is small."""
        probability = self._bases(form).get(base, 0.0)
        return probability if probability >= _LEAST_PROBABILITY else 0.0

    def _read_back(self, form: str) -> dict[str, float]:
        probabilities = {candidate: self.probability(candidate, form) for candidate in self.with_prefixes(form)}
        return {candidate: probability for candidate, probability in probabilities.items() if probability}


class _Estimates:
    """Probabilities of readings from the frequencies of words."""

    def __init__(self, frequencies: Frequencies) -> None:
        self._get = frequencies.get
        self._ratios = {prefix: frequencies.ratios[prefix] for prefix in SIMPLE_PREFIXES}
        self._analysis = lru_cache(maxsize=4_096)(self._analyse)
        self._own = lru_cache(maxsize=4_096)(self._own_frequency)

    def bases(self, form: str) -> dict[str, float]:
        if not _is_hebrew_word(form):
            return {form: 1.0}
        return self._analysis(form, 0)[1]

    def _analyse(self, form: str, level: int) -> tuple[float, dict[str, float]]:
        """Return the frequency of a form, and its bases with their probabilities."""
        seen = self._get(form)
        if form[0] not in PREFIX_LETTERS or len(form) < 3:
            return max(seen, _UNKNOWN), {form: 1.0}
        if form.startswith("לה"):
            return max(seen, _UNKNOWN * _INITIALS["ל"]), self._behind_lamed(form)
        parts = self._parts(form, level)
        expected = sum(part[0] for part in parts)
        most_expected = sum(part[1] for part in parts)
        limit = _UNEXPLAINED_ARTICLE if form[0] == "ה" else _UNEXPLAINED
        excess = (seen / (limit * most_expected)) ** 3 if most_expected else 1.0
        unexplained = max(seen * excess / (1 + excess), _UNKNOWN * _INITIALS[form[0]])
        witnessed = self._witnessed(form) if seen else 0.0
        is_witnessed = witnessed >= unexplained
        own, other = (witnessed, expected) if is_witnessed else (unexplained, most_expected)
        total = own + other
        probabilities = {form: own / total}
        for least, most, bases in parts:
            share = (least if is_witnessed else most) / total
            for base, probability in bases.items():
                probabilities[base] = probabilities.get(base, 0.0) + probability * share
        return max(seen, min(total, _UNKNOWN)), probabilities

    def _behind_lamed(self, form: str) -> dict[str, float]:
        """Return the bases of ל + ה…: it stands before no article, so the base is a word that begins with ה.

        A noun (להסכם) or a verb, of which the form is the infinitive (להגדיל, הגדיל).
        """
        bases = [base for base in _bases_behind(form[1:]) if base[0] == "ה"]
        seen = self._get(form)
        noun = min(1.0, self._witnessed(form) / seen) if seen else 0.0  # להקה, which takes the article
        probabilities = {base: (1 - noun) * _LAMED * self._analysis(base, 0)[1][base] for base in bases}
        return {form: 1 - sum(probabilities.values())} | probabilities

    def _parts(self, form: str, level: int) -> list[tuple[float, float, dict[str, float]]]:
        """Return the readings behind one prefix: two estimates of the form's frequency, and the bases of the rest."""
        parts = []
        particle = _PARTICLES.get(form[0], "")
        rest = form[len(particle) :]
        if particle and form.startswith(particle) and len(rest) > 1 and level <= (particle != "ו"):
            frequency, probabilities = self._analysis(rest, _level_behind(particle, rest))
            expected = frequency * self._ratios[particle]
            parts.append((expected, expected, probabilities))
        for prefix in PREPOSITIONS:
            if form.startswith(prefix):
                ratio = self._ratios[prefix]
                for base in _bases_behind(form[len(prefix) :]):
                    own, most = self._own(base, prefix)
                    parts.append((ratio * own, ratio * most, {base: 1.0}))
        return parts

    def _own_frequency(self, base: str, prefix: str) -> tuple[float, float]:
        """Return the frequency of a base as a word of its own, as seen and as expected from its other prefixes."""
        frequency, probabilities = self._analysis(base, 0)
        own = frequency * probabilities[base]
        if prefix == "מה":  # a noun that is rare without the article is rare behind מ too, and not behind מה
            return own, max(own, probabilities[base] * self._get("ה" + base) / self._ratios["ה"])
        witnesses = [letter for letter in _WITNESSES.get(base[0], _OTHER_WITNESSES) if letter != prefix]
        seen = sum(self._get(letter + base) / self._ratios[letter] for letter in witnesses) / len(witnesses)
        return own, max(own, probabilities[base] * min(seen, _MOST_BY_WITNESSES * own))

    def _witnessed(self, form: str) -> float:
        """Return the frequency of a form as a word of its own, estimated from the form behind prefixes."""
        noise = _NOISE * self._get(form)
        witnesses = _WITNESSES[form[0]]
        if form[0] == "ו":  # few words begin with it, and behind a prefix they are spelt with two: two are no proof
            doubled = [self._get(letter + form) + self._get(f"{letter}ו{form}") for letter in witnesses]
            seen = [
                max(0.0, both - noise) / self._ratios[letter] for letter, both in zip(witnesses, doubled, strict=True)
            ]
            return max(sorted(seen)[-3], self._get("הו" + form) / self._ratios["ה"])
        seen = [max(0.0, self._get(letter + form) - noise) / self._ratios[letter] for letter in witnesses]
        if form[0] == "ה":
            seen[2] *= _INFINITIVE
        return max(sum(seen) / len(seen), seen[0])


def _level_behind(particle: str, rest: str) -> int:
    """Return which particles may follow: 0 all of them, 1 all but ו, 2 none; 0 too where `rest` begins with none."""
    if rest[0] not in _PARTICLES:
        return 0
    return 1 if particle in CONJUNCTION else 2


def _bases_behind(rest: str) -> list[str]:
    """Return what a preposition or article may stand before: the rest, and that with its doubled vav single."""
    bases = [rest, rest[1:]] if rest.startswith("וו") else [rest]
    return [base for base in bases if len(base) > 1 and base not in _BARE]


def _is_hebrew_word(form: str) -> bool:
    return _HEBREW.fullmatch(form) is not None


def _bases_by_rules(form: str) -> dict[str, float]:
    """Return the readings by the regular expression of prefixes, and two-letter bases behind one letter."""
    if not _is_hebrew_word(form):
        return {form: 1.0}
    base = stem(form)
    if base != form:
        return {form: _BY_RULES_OWN, base: 1 - _BY_RULES_OWN}
    if len(form) == 3 and form[0] in PREFIX_LETTERS:
        return {form: 1 - _BY_RULES_SHORT, form[1:]: _BY_RULES_SHORT}
    return {form: 1.0}


class _Current:
    """The readings that this process uses: by rules alone until a table of frequencies is read."""

    readings = Readings(None)


def current_readings() -> Readings:
    return _Current.readings


def use_readings(readings: Readings) -> None:
    """Read the words of queries in this process by these readings from now on."""
    _Current.readings = readings
