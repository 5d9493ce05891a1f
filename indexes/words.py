"""The words of documents on their way into the index: title, body, other fields, and what filters ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from indexes.segments import DOCUMENTS, delete_from_segments, write_segment
from indexes.vocabulary import add_forms
from models import number, tag_key, tag_number
from utils.postings import MOST_DOCUMENTS, Postings, postings_of
from utils.terms import FIELD, TITLE, column_terms, filter_term, index_forms, text_terms

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
        texts = [("", own_id), *(("", key) for key in dict.fromkeys(map(tag_key, tags)))]
        texts += [(name.strip().lower(), text) for name, value in (columns or {}).items() for text in _texts(value)]
        fields = tuple((name, folded) for name, text in texts if (folded := " ".join(index_forms(text))))
        names = sorted({name for name, _ in fields if name})
        filters = (collection, language_key(language), *map(tag_number, tags), *map(column_key, names))
        return cls(" ".join(index_forms(title)), " ".join(index_forms(body)), fields, filters)

    def __reduce__(self) -> tuple[object, ...]:
        """Unpickle five times as fast: by default each slot is set by name."""
        return DocumentWords, (self.title, self.body, self.fields, self.filters)


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
        words = [own for _, own in part]
        titles, texts = [split(own.title) for own in words], [split(own.body) for own in words]
        lengths = np.array([len(title) + len(body) for title, body in zip(titles, texts, strict=True)])
        title_lengths = np.minimum([len(title) for title in titles], 0xFFFF)
        folded = list(chain.from_iterable(chain.from_iterable(zip(titles, texts, strict=True))))
        terms = text_terms(folded)
        postings = document_postings(words, terms, lengths, np.array([len(title) for title in titles]))
        add_forms(session, dict(zip(terms.tolist(), folded, strict=True)) | _field_forms(words))
        keys = np.array([key for key, _ in part], np.int64)
        write_segment(session, DOCUMENTS, keys, lengths, title_lengths, postings)


def split(folded: str) -> list[str]:
    return folded.split(" ") if folded else []


def _field_forms(words: Sequence[DocumentWords]) -> dict[int, str]:
    folded = list({form for own in words for _, text in own.fields for form in split(text)})
    return dict(zip(text_terms(folded).tolist(), folded, strict=True))


def document_postings(
    words: Sequence[DocumentWords], terms: NDArray[np.int64], lengths: NDArray[np.int64], titles: NDArray[np.int64]
) -> Postings:
    """Return the postings of documents; `terms` are those of titles and bodies, one document after another."""
    owners = np.repeat(np.arange(len(words)), lengths)
    places = np.arange(len(terms)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    in_title = places < np.repeat(titles, lengths)
    # A gap after the title: no phrase begins there and ends in the body.
    text = terms, owners, places + ~in_title
    title = terms[in_title] | TITLE, owners[in_title], places[in_title]
    parts = [text, title, *_field_occurrences(words), _filter_occurrences(words)]
    return postings_of(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _field_occurrences(words: Sequence[DocumentWords]) -> list[Occurrences]:
    """Return the occurrences of words in other fields: of any of them, and of each named column."""
    parts: list[Occurrences] = []
    for owner, own in enumerate(words):
        position = 0
        for name, text in own.fields:
            folded = split(text)
            positions = np.arange(position, position + len(folded))
            owners = np.full(len(folded), owner)
            parts.append((text_terms(folded) | FIELD, owners, positions))
            if name:
                parts.append((column_terms(name, folded), owners, positions))
            position += len(folded) + 1
    return parts


def _filter_occurrences(words: Sequence[DocumentWords]) -> Occurrences:
    keys = [filter_term(key) for own in words for key in dict.fromkeys(own.filters)]
    owners = np.repeat(np.arange(len(words)), [len(dict.fromkeys(own.filters)) for own in words])
    return np.array(keys, np.int64), owners, np.zeros(len(keys), np.int64)


def unindex_words(session: Session, keys: Sequence[int]) -> None:
    """Remove documents from the index; those that it does not have are ignored."""
    delete_from_segments(session, DOCUMENTS, keys)
