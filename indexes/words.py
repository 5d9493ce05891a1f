"""The words of documents on their way into the index: title, body, other fields, and what filters ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from indexes.segments import DOCUMENTS, delete_from_segments, write_segment
from indexes.vocabulary import add_forms
from models import number, tag_key, tag_number
from utils.postings import MOST_DOCUMENTS, Postings, postings_and_firsts
from utils.terms import FIELD, FILTER, KIND_BITS, TITLE, column_number, in_columns, index_forms, text_terms

Occurrences = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]  # terms, documents, positions


def language_key(language: str) -> int:
    return number("language", language)


def column_key(name: str) -> int:
    """Return what tells that a document has a column; names are compared in lower case."""
    return number("column", name.lower())


@dataclass(frozen=True, slots=True)
class DocumentWords:
    """The folded words of a document, joined by blanks, and the keys that filters ask for.

    `fields` are the other texts that are searched, each with the name of its column, or none.
    """

    title: str
    body: str
    fields: tuple[tuple[str, str], ...]
    filters: tuple[int, ...]

    @classmethod
    def of(
        cls,
        title: str,
        body: str,
        own_id: str = "",
        tags: Sequence[str] = (),
        columns: Mapping[str, object] | None = None,
        collection: int = 0,
        language: str = "",
    ) -> DocumentWords:
        # By their keys: another document may have written a tag in another way.
        texts = [("", _folded(own_id)), *(("", _folded_tag(key)) for key in dict.fromkeys(map(tag_key, tags)))]
        for name, value in (columns or {}).items():
            texts += [(name.strip().lower(), _folded(part)) for part in _texts(value)]
        fields = tuple((name, folded) for name, folded in texts if folded)
        names = sorted({name for name, _ in fields if name})
        filters = (collection, language_key(language), *map(tag_number, tags), *map(column_key, names))
        return cls(_folded(title), _folded(body), fields, filters)

    def __reduce__(self) -> tuple[object, ...]:
        """Unpickle five times as fast: by default each slot is set by name."""
        return DocumentWords, (self.title, self.body, self.fields, self.filters)


def _folded(text: str) -> str:
    return " ".join(index_forms(text))


_folded_tag = lru_cache(maxsize=2_048)(_folded)  # documents share their tags


def _texts(value: object) -> Iterable[str]:
    """Yield the texts in a value of a column, nested ones too."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def index_words(session: Session, documents: Mapping[int, DocumentWords]) -> None:
    """Add documents, by key, to the index as one segment, and their forms to the vocabulary."""
    ordered = sorted(documents.items())
    for start in range(0, len(ordered), MOST_DOCUMENTS):
        part = ordered[start : start + MOST_DOCUMENTS]
        indexed = IndexedWords.of([own for _, own in part])
        add_forms(session, indexed.forms)
        keys = np.array([key for key, _ in part], np.int64)
        titles = np.minimum(indexed.titles, 0xFFFF)
        write_segment(session, DOCUMENTS, keys, indexed.lengths, titles, indexed.postings)


@dataclass(frozen=True, slots=True)
class IndexedWords:
    """What a segment has of documents: their postings, the words of each and of its title, and the distinct forms."""

    postings: Postings
    lengths: NDArray[np.int64]
    titles: NDArray[np.int64]
    forms: Mapping[int, str]

    @classmethod
    def of(cls, documents: Sequence[DocumentWords]) -> IndexedWords:
        texts = [(own.title, own.body) for own in documents]
        sizes = np.array([[count_words(title), count_words(body)] for title, body in texts], np.int64).reshape(-1, 2)
        titles, lengths = sizes[:, 0], sizes.sum(1)
        fields = _Fields.of(documents)
        folded = " ".join(filter(None, chain(chain.from_iterable(texts), fields.texts)))
        terms, starts, ends = text_terms(folded)
        in_texts = int(lengths.sum())
        text, title = _text_occurrences(terms[:in_texts], lengths, titles)
        field, column = fields.occurrences(terms[in_texts:])
        # First every word as it is: the first occurrence of a term then tells where its form stands.
        parts = [text, field, title, column, _filter_occurrences(documents)]
        postings, firsts = postings_and_firsts(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        are_forms = firsts < len(terms)
        places = firsts[are_forms]
        numbers = postings.terms[are_forms] & ~KIND_BITS
        ranges = zip(numbers.tolist(), starts[places].tolist(), ends[places].tolist(), strict=True)
        return cls(postings, lengths, titles, {term: folded[start:end] for term, start, end in ranges})


def count_words(folded: str) -> int:
    return folded.count(" ") + 1 if folded else 0


@dataclass(frozen=True, slots=True)
class _Fields:
    """The other fields of documents that have words.

    `owners`, first `positions`, `columns` and `lengths` (fields,); `columns` are numbers of columns, 0 without one.
    """

    texts: Sequence[str]
    owners: NDArray[np.int64]
    positions: NDArray[np.int64]
    columns: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, documents: Sequence[DocumentWords]) -> _Fields:
        names = {name for own in documents for name, _ in own.fields}
        columns = {name: column_number(name) if name else 0 for name in names}
        texts, rows = [], []
        for owner, own in enumerate(documents):
            position = 0
            for name, text in own.fields:
                length = count_words(text)
                texts.append(text)
                rows.append((owner, position, columns[name], length))
                position += length + 1  # a gap: no phrase goes from one field into the next
        return cls(texts, *np.array(rows, np.int64).reshape(-1, 4).T)

    def occurrences(self, terms: NDArray[np.int64]) -> list[Occurrences]:
        """Return their words as those of any field, and as those of their columns."""
        owners, columns = np.repeat(self.owners, self.lengths), np.repeat(self.columns, self.lengths)
        before = np.cumsum(self.lengths) - self.lengths
        positions = np.arange(len(terms)) + np.repeat(self.positions - before, self.lengths)
        named = columns != 0
        in_column = in_columns(terms[named], columns[named])
        return [(terms | FIELD, owners, positions), (in_column, owners[named], positions[named])]


def _text_occurrences(
    terms: NDArray[np.int64], lengths: NDArray[np.int64], titles: NDArray[np.int64]
) -> list[Occurrences]:
    """Return the words of titles and bodies, and those of titles once more; `terms` one document after another."""
    owners = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(len(terms)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    in_title = places < np.repeat(titles, lengths)
    # A gap after the title: no phrase begins there and ends in the body.
    text = terms, owners, places + ~in_title
    return [text, (terms[in_title] | TITLE, owners[in_title], places[in_title])]


def _filter_occurrences(words: Sequence[DocumentWords]) -> Occurrences:
    distinct = [dict.fromkeys(own.filters) for own in words]
    keys = np.array(list(chain.from_iterable(distinct)), np.int64)
    owners = np.repeat(np.arange(len(words)), [len(own) for own in distinct])
    return keys & ~KIND_BITS | FILTER, owners, np.zeros(len(keys), np.int64)


def unindex_words(session: Session, keys: Sequence[int]) -> None:
    """Remove documents from the index; those that it does not have are ignored."""
    delete_from_segments(session, DOCUMENTS, keys)
