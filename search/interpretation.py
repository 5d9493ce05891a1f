"""What the words of a query mean in a collection: every form that counts as a match, and how much it counts."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from sqlalchemy.orm import Session

from indexes.segments import ListedSegment
from indexes.vocabulary import SimilarForm, known_forms, similar_forms
from search.matcher import QueryMatcher
from search.query import QueryParts
from search.results import Correction
from utils.hebrew import forms as folded_forms
from utils.hebrew import is_hebrew, with_final_letter
from utils.misspellings import on_other_keyboard, slips
from utils.terms import LONGEST_FORM, text_terms
from utils.word_readings import Readings

BASE_WEIGHT = 0.6  # of a word that the typed one may consist of, behind prefix letters
LIKELY_BASE = 0.15  # probability of a base from which on it is looked for behind other prefixes too
RELATED_WEIGHT = 0.5  # of other spellings and inflections, times the certainty of each
COMMON_PREFIXES = ("ה", "ב", "ל", "ו", "מ", "ש")
LIKELY_INFLECTION = 0.25  # weight from which on an inflection is looked for behind prefixes too
INFLECTED_PREFIXES = (*COMMON_PREFIXES, "וה", "שה", "מה", "כ")
LEAST_WEIGHT = 0.02
LONGEST_PREFIX = 4  # letters before a word that may be prefixes
# Forms that are only spelled alike count in the order of documents, never as a match.
MOST_SIMILAR, FEWEST_SIMILAR = 40, 4
SIMILAR_POSTINGS = 600_000  # documents of the collection times similar forms of a word
# What a word that no document has is taken for.
LEAST_CORRECTION, MOST_CORRECTIONS = 0.34, 4
OTHER_KEYBOARD, BEHIND_PREFIX = 0.95, 0.8
SURELY_MEANT = 0.6
# A word so frequent in its language is no slip, unless a likely one of a word that is so many times as frequent.
USUAL, LIKELY_SLIP, USUAL_TIMES = 1e-6, 0.85, 10
SLIP_PREFIXES = tuple("הבלומשכ")
SAME_WORD = 0.5  # probability from which on a form behind prefix letters is that word, for phrases and exclusions


@dataclass(frozen=True, slots=True)
class QueryWord:
    """A word of a query: the forms that are matches, with weights to 1, and those that are merely spelled alike."""

    typed: str
    forms: Mapping[str, float]
    similar: Mapping[str, float] = field(default_factory=dict)
    taken_for: tuple[str, ...] = ()  # the words that it may have been meant for, where no document has it

    @property
    def is_corrected(self) -> bool:
        return bool(self.taken_for)

    @property
    def is_known(self) -> bool:
        """Return whether a document has the word, or surely the one that was meant."""
        return any(not self.taken_for or weight >= SURELY_MEANT for weight in self.forms.values())


@dataclass(frozen=True, slots=True)
class Phrase:
    """Consecutive forms; the first may be any of several, since prefix letters are written with it."""

    first: tuple[str, ...]
    rest: tuple[str, ...]

    @property
    def forms(self) -> tuple[str, ...]:
        return (*self.first, *self.rest)


@dataclass(frozen=True, slots=True)
class Interpretation:
    """The words, phrases and exclusions of a query in one collection."""

    words: tuple[QueryWord, ...]
    phrases: tuple[Phrase, ...] = ()
    not_forms: frozenset[str] = frozenset()
    not_phrases: tuple[Phrase, ...] = ()
    retyped: Mapping[str, str] = field(
        default_factory=dict
    )  # words typed on the wrong keyboard, by how they were typed

    def corrections(self) -> tuple[Correction, ...]:
        """Return the words that no document has, with what was searched in their place."""
        return tuple(
            Correction(word.typed, tuple(map(with_final_letter, word.taken_for)))
            for word in self.words
            if word.is_corrected
        )

    def matcher(self) -> QueryMatcher:
        """Return what to mark in a text."""
        weights: dict[str, float] = {}
        word_of: dict[str, str] = {}
        for word in self.words:
            for form, weight in word.forms.items():
                if weight > weights.get(form, 0.0):
                    weights[form], word_of[form] = weight, word.typed
        phrases = tuple((phrase.first[0], *phrase.rest) for phrase in self.phrases)
        return QueryMatcher(weights, phrases, word_of)


Readable = Callable[[Iterable[str]], set[str]]  # returns those of some forms that a readable document has


def interpret(
    session: Session,
    vocabulary: Sequence[ListedSegment],
    parts: QueryParts,
    documents: int,
    readings: Readings,
    readable: Readable = set,
) -> Interpretation:
    """Return what a query means where there are so many documents; a fixed number of statements."""
    typed = parts.forms()
    phrases = [phrase_of(words, readings) for words in parts.exact()]
    excluded = [[form[:LONGEST_FORM] for form in folded_forms(word)] for word in parts.not_words]
    not_forms = {form for words in excluded if len(words) == 1 for form in same_word(words[0], readings)}
    not_phrases = [phrase_of(words, readings) for words in [*parts.not_exact(), *(w for w in excluded if len(w) > 1)]]
    known = readable(_known(session, [_candidates(word, readings) for word in typed]))
    candidates = {word: possible_forms(word, readings, known.__contains__) for word in typed}
    most = min(MOST_SIMILAR, max(FEWEST_SIMILAR, SIMILAR_POSTINGS // max(documents, 1)))
    similar = similar_forms(session, vocabulary, typed, most)
    shown = readable(other.form for others in similar.values() for other in others)
    similar = {word: [other for other in others if other.form in shown] for word, others in similar.items()}
    words = tuple(_word(word, candidates[word], similar[word], known, readings) for word in typed)
    return Interpretation(words, tuple(phrases), frozenset(not_forms), tuple(not_phrases))


def possible_forms(
    word: str, readings: Readings, known: Callable[[str], bool] = lambda _form: True
) -> dict[str, float]:
    """Return the `known` forms that a word may stand for, or stand in: behind prefix letters, or spelled otherwise.

    Only of known forms is it computed how likely they are read so, which takes the longest.
    """
    weights: dict[str, float] = {}

    def add(form: str, weight: float) -> None:
        if weight >= LEAST_WEIGHT and weight > weights.get(form, 0.0) and known(form):
            weights[form] = weight

    for base, certainty in _targets(word, readings).items():
        add(base, certainty)
        if certainty >= LIKELY_BASE * BASE_WEIGHT:
            for form in filter(known, readings.with_prefixes(base)):
                add(form, certainty * readings.probability(form, base))
    for form, weight in readings.spellings(word).items():
        add(form, RELATED_WEIGHT * weight)
        for prefix in COMMON_PREFIXES if is_hebrew(form) else ():
            add(prefix + form, RELATED_WEIGHT * weight)
    return weights


def _targets(word: str, readings: Readings) -> dict[str, float]:
    """Return the word and the words that it may consist of behind prefix letters, with their weights."""
    bases = {base: BASE_WEIGHT * likely for base, likely in readings.bases(word).items()}
    return bases | {word: 1.0}


@lru_cache(maxsize=2_048)
def _candidates(word: str, readings: Readings) -> frozenset[str]:
    """Return every form that `possible_forms` can return, and some more."""
    candidates = {word}
    for base in _targets(word, readings):
        candidates.update((base, *readings.with_prefixes(base)))
    for form in readings.spellings(word):
        candidates.update((form, *(prefix + form for prefix in COMMON_PREFIXES)))
    candidates.update(_inflected(word, readings))
    return frozenset(candidates)


def _inflected(word: str, readings: Readings) -> Iterator[str]:
    """Yield the inflections of a word, and the likely ones behind the prefixes that they most often have."""
    for form, weight in readings.inflections(word).items():
        yield form
        if weight >= LIKELY_INFLECTION and is_hebrew(form):
            yield from (prefix + form for prefix in INFLECTED_PREFIXES)
            if form[0] == "ו":  # which is doubled behind a prefix
                yield from (f"{prefix}ו{form}" for prefix in INFLECTED_PREFIXES)


def same_word(form: str, readings: Readings) -> list[str]:
    """Return the form, and the forms that are most likely prefix letters and that form."""
    return [form, *(other for other, probability in readings.prefixed(form).items() if probability >= SAME_WORD)]


def phrase_of(words: Sequence[str], readings: Readings) -> Phrase:
    first, *rest = [word[:LONGEST_FORM] for word in words]
    return Phrase(tuple(same_word(first, readings)), tuple(rest))


def _known(session: Session, candidates: Iterable[Iterable[str]]) -> set[str]:
    every = list(dict.fromkeys(form for forms in candidates for form in forms))
    terms = dict(zip(text_terms(" ".join(every))[0].tolist(), every, strict=True))
    return {terms[term] for term in known_forms(session, terms)}


def _word(
    word: str,
    weights: dict[str, float],
    similar: Sequence[SimilarForm],
    known: Container[str],
    readings: Readings,
) -> QueryWord:
    """Return a word with its inflections: those that are looked for, and those among the forms spelled alike."""
    inflections = readings.inflections(word)
    near = (other.form for other in similar)
    for form in dict.fromkeys((*filter(known.__contains__, _inflected(word, readings)), *near)):
        weight = inflections.get(form) or _behind_prefix(form, inflections, readings)
        if form not in weights and weight:
            weights[form] = RELATED_WEIGHT * weight
    return QueryWord(word, weights, {other.form: other.similarity for other in similar})


def _behind_prefix(form: str, inflections: Mapping[str, float], readings: Readings) -> float:
    """Return the weight of a form that is prefix letters and an inflection of the word; 0 if it is not."""
    if not any(form[length:] in inflections for length in range(1, min(LONGEST_PREFIX, len(form)) + 1)):
        return 0.0
    return max((likely * inflections.get(base, 0.0) for base, likely in readings.bases(form).items()), default=0.0)


def corrected(
    session: Session,
    interpretation: Interpretation,
    parts: QueryParts,
    has_documents: Callable[[QueryWord], bool],
    readings: Readings,
    readable: Readable = set,
) -> Interpretation:
    """Return the interpretation with words that no document has taken for those that may have been meant."""
    unknown = {word.typed: word for word in interpretation.words if not has_documents(word)}
    if not unknown:
        return interpretation
    meant = {form: _meant(form, parts) for form in unknown}
    known = readable(_known(session, [_behind_prefixes(candidates) for candidates in meant.values()]))
    words = tuple(
        _taken_for(word, meant[word.typed], known, readings) if word.typed in unknown else word
        for word in interpretation.words
    )
    return replace(interpretation, words=words, retyped=_retyped(words, parts))


def _retyped(words: Iterable[QueryWord], parts: QueryParts) -> dict[str, str]:
    """Return words of the query that were typed on the wrong keyboard, and what they are on the other."""
    taken_for = {word.typed: word.taken_for[:1] for word in words if word.is_corrected}
    found = {}
    for typed in parts.words:
        form, other = folded_forms(typed), on_other_keyboard(typed)
        if len(form) == 1 and taken_for.get(form[0]) == tuple(folded_forms(other)):
            found[typed] = other
    return found


def _behind_prefixes(candidates: Iterable[str]) -> Iterator[str]:
    """Yield the forms, and Hebrew ones behind each prefix letter."""
    for form in candidates:
        yield form
        if is_hebrew(form):
            yield from (prefix + form for prefix in SLIP_PREFIXES)


def _taken_for(word: QueryWord, meant: Mapping[str, float], known: Container[str], readings: Readings) -> QueryWord:
    """Return a word that no document has as the likeliest words that it was meant for, behind prefix letters too.

    A word of the language is taken for another only if that is likely by far: it may be what no document speaks of.
    """
    weights = {form: weight for form, weight in word.similar.items() if weight >= LEAST_CORRECTION}
    written: dict[str, list[str]] = {}
    for form, weight in meant.items():
        written[form] = [other for other in _behind_prefixes([form]) if other in known]
        if written[form]:
            weights[form] = max(weight, weights.get(form, 0.0))
    if (usual := readings.frequency(word.typed)) >= USUAL:
        weights = {
            form: weight
            for form, weight in weights.items()
            if weight >= LIKELY_SLIP and readings.frequency(form) >= USUAL_TIMES * usual
        }
    best = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))[:MOST_CORRECTIONS]
    likely = {form: weight for form, weight in best if weight >= 0.7 * best[0][1]}
    forms = {other: weight for form, weight in likely.items() for other in written.get(form, [form])} | likely
    return QueryWord(word.typed, forms, {**word.similar, **forms}, tuple(likely))


def _meant(form: str, parts: QueryParts) -> dict[str, float]:
    """Return what a form that no document has may have been meant for, whether it is a word or not."""
    meant = slips(form)
    if form[:1] in SLIP_PREFIXES:
        for other, weight in slips(form[1:]).items():
            meant[other] = max(meant.get(other, 0.0), BEHIND_PREFIX * weight)
    for typed in parts.words:
        if folded_forms(typed) == [form] and len(others := folded_forms(on_other_keyboard(typed))) == 1:
            meant[others[0]] = OTHER_KEYBOARD
    return meant
