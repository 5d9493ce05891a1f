"""A search query, parsed once from a request: any input is valid, and a query can be written as a URL."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import urlencode

from indexes.filters import Filter, outside
from indexes.words import language_key
from models import number, tag_number
from utils.hebrew import content_forms, forms, normalise
from utils.terms import LONGEST_FORM, filter_term

MODES = ("hybrid", "text", "tags", "semantic")
SORTS = ("score", "newest", "title")
LONGEST_TEXT = 1_000  # characters of a query that are used; a pasted page is cut, not refused
MOST_FORMS = 48
MOST_TAGS = 20
PAGE_LIMIT, MOST_LIMIT, LAST_PAGE = 10, 100, 10_000
LAST_VERSION = 2**53 - 1

_QUOTES = str.maketrans("“”„‟«»״＂", '""""""""')
# An operator is `tag:` or a column's name; an address (http://…) and a time (10:30) have neither.
_PART = re.compile(
    r"""(?<!\S)(-?)(?:(tag|תגית|תג):|([^\W\d]\w*):(?!//))?(?:"([^"]*(?:"\S[^"]*)*)"(?!\S)|(\S+))""", re.IGNORECASE
)


class Args(Protocol):
    """The part of werkzeug's MultiDict that is used here."""

    def get(self, key: str, /) -> str | None: ...
    def getlist(self, key: str, /) -> list[str]: ...


def url_parameters(values: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters that a URL needs: no empty ones, and not the first page."""
    return {
        name: value for name, value in values.items() if value not in ("", None, []) and (name, value) != ("page", 1)
    }


@dataclass(frozen=True, slots=True)
class Query:
    """One search; `text` is as typed, with its operators."""

    text: str = ""
    mode: str = "hybrid"
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    collection: str = ""
    language: str = ""
    sort: str = "score"
    page: int = 1
    limit: int = PAGE_LIMIT
    since: int = 0  # only documents written after this data version
    hidden: tuple[int, ...] = ()  # collections that whoever asks must not read; `search` sets it
    most: int = 0  # documents that are ranked, if other than usual: an export wants more

    @classmethod
    def from_args(cls, args: Args, mode: str = "hybrid") -> Query:
        """Return the query of a URL; what cannot be parsed takes its default."""
        given = args.get("mode") or ""
        return cls(
            text=clean_text(args.get("q") or "")[:LONGEST_TEXT],
            mode=given if given in MODES else mode,
            tags=clean_names(args.getlist("tag")),
            not_tags=clean_names(args.getlist("not_tag")),
            collection=clean_text(args.get("collection") or "")[:64],
            language=clean_text(args.get("language") or "")[:16].lower(),
            sort=sort if (sort := args.get("sort") or "") in SORTS else "score",
            page=within(args.get("page"), 1, LAST_PAGE, 1),
            limit=within(args.get("limit"), 1, MOST_LIMIT, PAGE_LIMIT),
            since=within(args.get("since"), 0, LAST_VERSION, 0),
        )

    def parts(self) -> QueryParts:
        return parse_text(self.text)

    def all_tags(self) -> tuple[str, ...]:
        """Return the required tags, including those typed as operators."""
        return tuple(dict.fromkeys((*self.tags, *self.parts().tags)))[:MOST_TAGS]

    def all_not_tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.not_tags, *self.parts().not_tags)))[:MOST_TAGS]

    def filter(self) -> Filter:
        """Return the filter of the search: tags, collection, language, version, and what may be read."""
        having = "{column} IN (SELECT document_id FROM document_tag WHERE tag_id = %d)"
        tags, not_tags = [list(map(tag_number, names)) for names in (self.all_tags(), self.all_not_tags())]
        conditions = [having % tag for tag in tags]
        conditions += [(having % tag).replace(" IN ", " NOT IN ", 1) for tag in not_tags]
        values: dict[str, object] = {}
        required, others = list(tags), []
        if self.collection:
            conditions.append("{column} IN (SELECT id FROM document WHERE collection_id = :collection_id)")
            values["collection_id"] = number("collection", self.collection)
            required.append(number("collection", self.collection))
        if self.language:
            conditions.append("{column} IN (SELECT id FROM document WHERE language = :language)")
            values["language"] = self.language
            required.append(language_key(self.language))
        if self.hidden:
            conditions.append(outside(self.hidden))
        if self.since:
            others.append("SELECT id FROM document WHERE version > :since")
            values["since"] = self.since
        terms, not_terms = (tuple(map(filter_term, keys)) for keys in (required, not_tags))
        conditions += [f"{{column}} IN ({statement})" for statement in others]
        return Filter(tuple(conditions), values, terms, not_terms, tuple(others))

    def is_empty(self) -> bool:
        """True if the query has neither text nor tags."""
        return not self.text.strip() and not self.tags and not self.not_tags

    def is_ranked(self) -> bool:
        """Return whether there is text to rank documents by."""
        return bool(self.parts().wanted())

    def order(self) -> str:
        """Return the order of the hits: what cannot be ranked is listed newest first."""
        return "newest" if self.sort == "score" and not self.is_ranked() else self.sort

    def args(self, **changes: object) -> dict[str, object]:
        """Return the URL's parameters with changes applied, without those at their default."""
        values: dict[str, object] = {
            "q": self.text,
            "tag": list(self.tags),
            "not_tag": list(self.not_tags),
            "collection": self.collection,
            "language": self.language,
            "sort": "" if self.sort == "score" else self.sort,
            "page": "" if self.page == 1 else self.page,
            "limit": "" if self.limit == PAGE_LIMIT else self.limit,
            "since": self.since or "",
        }
        return url_parameters(values | changes)

    def address(self, **changes: object) -> str:
        return urlencode(self.args(**changes), doseq=True)

    def with_tag(self, tag: str) -> Query:
        """Return the query narrowed to a tag, on its first page."""
        tags = self.tags if tag in self.tags else (*self.tags, tag)
        return replace(self, tags=tags, page=1)

    def without_tag(self, tag: str) -> Query:
        return replace(
            self,
            tags=tuple(name for name in self.tags if name != tag),
            not_tags=tuple(name for name in self.not_tags if name != tag),
            page=1,
        )


@dataclass(frozen=True, slots=True)
class QueryParts:
    """The parsed text of a query; phrases and words are as typed.

    `columns` are (name, value) of what may be operators. Only the documents' columns can tell, so until
    `for_columns` has decided they are among the words as well.
    """

    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    not_words: tuple[str, ...] = ()
    not_phrases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    not_tags: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    not_columns: tuple[tuple[str, str], ...] = ()

    def for_columns(self, names: Container[str]) -> QueryParts:
        """Return the query for documents with these columns, in lower case: operators on others are words."""
        columns = tuple(column for column in self.columns if column[0].lower() in names)
        not_columns = tuple(column for column in self.not_columns if column[0].lower() in names)
        operators, not_operators = {as_typed(*column) for column in columns}, {as_typed(*c) for c in not_columns}
        return replace(
            self,
            words=tuple(word for word in self.words if word not in operators),
            not_words=tuple(word for word in self.not_words if word not in not_operators),
            columns=columns,
            not_columns=not_columns,
        )

    def wanted(self) -> str:
        """Return the text without operators and exclusions, as an encoder gets it."""
        return " ".join((*self.words, *self.phrases))

    def forms(self) -> list[str]:
        """Return the distinct folded words, without stop words unless there are no others."""
        distinct = dict.fromkeys(form[:LONGEST_FORM] for form in forms(self.wanted()))
        return content_forms(list(distinct))[:MOST_FORMS]

    def exact(self) -> list[list[str]]:
        """Return the folded words of each phrase, in order."""
        return [phrase_forms for phrase in self.phrases if (phrase_forms := forms(phrase))]

    def not_exact(self) -> list[list[str]]:
        return [phrase_forms for phrase in self.not_phrases if (phrase_forms := forms(phrase))]


def as_typed(name: str, value: str) -> str:
    """Return a column's operator as it is typed."""
    return f"{name}:{value}" if value and not re.search(r"\s", value) else f'{name}:"{value}"'


def parse_text(text: str) -> QueryParts:
    """Parse any text into its parts; a quote inside an acronym (as in Hebrew) does not start a phrase."""
    parts: dict[str, list[Any]] = {name: [] for name in QueryParts.__slots__}
    for minus, tag, column, phrase, word in _PART.findall(text.translate(_QUOTES)):
        excluded, value = "not_" if minus else "", (phrase or word).strip()
        has_letters = bool(normalise(value).strip())
        if column:
            parts[f"{excluded}words"].append(as_typed(column, value))
            if has_letters:
                parts[f"{excluded}columns"].append((column, value))
            continue
        kind = "tags" if tag else "phrases" if phrase else "words"
        if has_letters or kind == "words":
            parts[excluded + kind].append(value)
    return QueryParts(**{name: tuple(values) for name, values in parts.items()})


def clean_text(text: str) -> str:
    """Return text without nulls and lone surrogates, which databases reject."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode().strip()


def clean_names(given: Sequence[str]) -> tuple[str, ...]:
    names = dict.fromkeys(clean_text(name)[:200] for name in given[:MOST_TAGS])
    return tuple(name for name in names if name)


def within(given: str | None, low: int, high: int, default: int) -> int:
    try:
        return min(max(int(given or default), low), high)
    except ValueError:
        return default


def of_mapping(values: Mapping[str, str | list[str]], mode: str = "hybrid") -> Query:
    """Return the query of a plain mapping; repeated parameters are lists."""
    from werkzeug.datastructures import MultiDict

    return Query.from_args(MultiDict(values), mode)
