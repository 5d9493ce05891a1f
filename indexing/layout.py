"""How the columns of a file are read: by the options, by their names, and by the first rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from indexing.column_names import ALIASES, known_columns, words_of_name
from indexing.html_text import MARKUP
from indexing.rows import FileUnusable, Row
from indexing.tag_cells import column_separator

SAMPLE_ROWS, SAMPLE_CHARACTERS = 500, 2_000_000
MOST_LAYOUTS = 1_000  # of JSON rows with different fields
LONGEST_TITLE = 120  # characters on average, of a column that may be the title
_NO_TITLE = re.compile(
    r"\b(?:author|by|date|time|email|mail|phone|city|town|country|address|publisher|status|type|price|creator|owner)\b|"
    r"מחבר|תאריך|טלפון|דוא|עיר|יישוב|כתובת|סוג|מחיר|סטטוס|יוצר|מו״ל|הוצאה"
)
_WORDS = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Options:
    """How a file is read; `more_body` are further columns of the text, `records` the path of a list in JSON.

    `sheet` is the name of a sheet of a spreadsheet; with `folder_tags` the folders of a file are tags of its document.

    Without `guesses` the mapping names every field's column, and no other column is one. An ID that is not `sure_id`
    is no ID if several rows have it.
    """

    collection: str = "documents"
    mapping: Mapping[str, str] = field(default_factory=dict)
    tag_separator: str | None = None
    drop: frozenset[str] = frozenset()
    private: bool = False  # makes the collection private before anything is written
    more_body: tuple[str, ...] = ()
    encoding: str = ""
    records: str = ""
    sheet: str = ""
    folder_tags: bool = False
    sync: bool = False  # deletes what the file no longer has
    guesses: bool = True
    sure_id: bool = True


@dataclass(frozen=True, slots=True)
class Layout:
    """The column of each field; `html` are columns of markup, and an ID that is only guessed must turn out unique."""

    options: Options
    columns: Mapping[str, str]
    tag_separator: str | None = None
    html: frozenset[str] = frozenset()
    id_is_guessed: bool = False
    identity: str = "row"  # of a row without an ID: `row`, all of it, or `text`, its title and body
    _of_rows: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict, compare=False)

    def columns_of(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return {field: column} for a row: rows of JSON may have different fields."""
        names = tuple(row)
        if (found := self._of_rows.get(names)) is not None:
            return found
        found = {meaning: column for meaning, column in self.columns.items() if column in row}
        used = set(found.values()) | {*self.options.mapping.values(), *self.options.more_body, *self.options.drop}
        known = known_columns(name for name in names if name not in used) if self.options.guesses else {}
        if self.identity == "text":
            known = meanings(list(names), Options())
        found |= {meaning: name for meaning, name in known.items() if meaning not in {**found, **self.options.mapping}}
        if "id" not in self.columns and self.identity != "text":
            found.pop("id", None)
        if len(self._of_rows) < MOST_LAYOUTS:
            self._of_rows[names] = found
        return found

    def field_of(self, column: str) -> str:
        """Return the field of a column, `-` if it is left out, or an empty string if it is kept beside."""
        if column in self.options.drop:
            return "-"
        if column in self.options.more_body:
            return "body"
        return next((meaning for meaning, name in self.columns.items() if name == column), "")

    def without_id(self) -> Layout:
        columns = {meaning: column for meaning, column in self.columns.items() if meaning != "id"}
        return Layout(self.options, columns, self.tag_separator, self.html)


def api_layout(options: Options) -> Layout:
    """Return the layout of a document sent to the API: the fields' own names, and an ID that follows from the text."""
    return Layout(options, dict(options.mapping), options.tag_separator, identity="text")


def mapping_of(pairs: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return {field: column} of pairs such as `title=name`, and further columns of the body; raises FileUnusable."""
    mapping: dict[str, str] = {}
    more_body: list[str] = []
    for pair in pairs:
        name, mark, column = pair.partition("=")
        if not mark:
            raise FileUnusable("map.pair", pair=pair)
        if name in mapping and name != "body":
            raise FileUnusable("map.twice", field=name, first=mapping[name], second=column)
        if name in mapping:
            more_body.append(column)
        else:
            mapping[name] = column
    return mapping, tuple(more_body)


def meanings(columns: list[str], options: Options) -> dict[str, str]:
    """Return {field: column} by the fields' own names; raises FileUnusable if a mapped column does not exist."""
    folded = {name.strip().lower(): name for name in reversed(columns)}
    mapping = {
        meaning: folded[alias] for meaning, names in ALIASES.items() for alias in reversed(names) if alias in folded
    }
    check_mapping(columns, options)
    return mapping | dict(options.mapping)


def check_mapping(columns: Sequence[str], options: Options) -> None:
    for meaning in options.mapping:
        if meaning not in ALIASES:
            raise FileUnusable("map.field", field=meaning, fields=", ".join(ALIASES))
    for column in (*options.mapping.values(), *options.more_body):
        if column not in columns:
            raise FileUnusable("map.column", column=column, columns=", ".join(columns))


def layout_of_rows(sample: Sequence[Row], options: Options) -> Layout:
    """Return how rows like these are read; raises FileUnusable if none of them could have a title or a body."""
    rows = readable_rows(sample)
    columns = list(dict.fromkeys(name for fields in rows for name in fields))
    check_mapping(columns, options)
    found = field_columns(rows, columns, options) if options.guesses else dict(options.mapping)
    if not {"title", "body"} & found.keys():
        raise FileUnusable("header", columns=", ".join(columns))
    is_sure = ("id" in options.mapping and options.sure_id) or words_of_name(found.get("id", "")) in ("id", "מזהה")
    bodies = {found.get("body", ""), *options.more_body}
    tags = [fields.get(found.get("tags", "")) for fields in rows]
    return Layout(
        options, found, options.tag_separator or column_separator(tags),
        frozenset(name for name in bodies if is_markup([fields.get(name) for fields in rows])),
        id_is_guessed="id" in found and not is_sure,
    )  # fmt: skip


def readable_rows(sample: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the fields of the rows that could be read; raises FileUnusable, with the first reason, if none could."""
    rows = [row.fields for row in sample if row.fields]
    if not rows:
        first = next((row.refusal for row in sample if row.refusal), None)
        line = next((row.line for row in sample if row.refusal), 0)
        raise FileUnusable("nothing.row", line=line, reason=first) if first else FileUnusable("nothing")
    return rows


def field_columns(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], options: Options) -> dict[str, str]:
    """Return {field: column} by the mapping, the columns' names and, for the title, their values."""
    taken = {*options.mapping.values(), *options.more_body, *options.drop}
    found = known_columns(name for name in columns if name not in taken) | dict(options.mapping)
    if "title" not in found and "body" in found and (title := likeliest_title(rows, {*found.values(), *taken})):
        found["title"] = title
    return found


def likeliest_title(rows: Sequence[Mapping[str, Any]], taken: set[str]) -> str:
    """Return the first column of short texts that differ from row to row, or an empty string."""
    if len(rows) < 3:
        return ""
    for name in rows[0]:
        texts = [text for fields in rows if isinstance(text := fields.get(name), str) and text.strip()]
        is_text = sum(_WORDS.search(text) is not None and "://" not in text for text in texts) >= 0.9 * len(rows)
        is_short = sum(map(len, texts)) <= LONGEST_TITLE * len(texts)
        if name in taken or _NO_TITLE.search(words_of_name(name)) or not is_text or not is_short:
            continue
        if len(set(texts)) >= 0.95 * len(rows):
            return name
    return ""


def is_markup(cells: Sequence[object]) -> bool:
    """Whether a fifth of a column's texts have HTML."""
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    return bool(texts) and sum(MARKUP.search(text) is not None for text in texts) * 5 >= len(texts)
