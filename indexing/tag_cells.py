"""Reads the tags of a document: lists, objects with a name, `<a><b>`, `#a #b`, or text with a separator."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from indexing.column_names import without_marks
from indexing.rows import RowRefused

MOST_TAGS, LONGEST_TAG = 200, 200
LONGEST_CELL = 65_536  # characters of a cell that is read as a list
SEPARATORS = (";", "|", "\n", "،", "、", ",")  # in this order: a tag may have a comma
_NAMES = ("name", "title", "label", "tag", "value", "text", "שם")
_ANGLES = re.compile(r"(?:\s*<[^<>]{1,200}>\s*)+")
_HASHES = re.compile(r"#[^\s#]+(?:[\s,;]+#[^\s#]+)*[\s,;]*")
_BRACES = re.compile(r"\{[^{}:]*\}")


def field_tags(value: object, separator: str | None) -> tuple[str, ...]:
    """Return a row's distinct tags; raises RowRefused for too many or too long ones."""
    parts = listed_tags(value) if isinstance(value, list | dict) else split_tags(cell_text(value), separator)
    named = [" ".join(without_marks(part).split()) for part in parts]
    kept = tuple(dict.fromkeys(name for name in named if name))
    if len(kept) > MOST_TAGS:
        raise RowRefused("bad_document.tags", most=MOST_TAGS)
    if any(len(name) > LONGEST_TAG for name in kept):
        raise RowRefused("bad_document.tag", most=LONGEST_TAG)
    return kept


def cell_text(value: object) -> str:
    return "" if value is None else str(value).replace("\0", "").strip()


def listed_tags(value: list[Any] | Mapping[str, Any]) -> list[str]:
    """Return the names in a list; of an object its name, or the keys whose value holds."""
    if isinstance(value, Mapping):
        name = next((value[key] for key in _NAMES if value.get(key)), None)
        if name is None:
            return [str(key) for key, holds in value.items() if holds]
        return listed_tags(name) if isinstance(name, list | dict) else [cell_text(name)]
    parts: list[str] = []
    for part in value:
        parts += listed_tags(part) if isinstance(part, list | dict) else [cell_text(part)]
    return parts


def split_tags(given: str, separator: str | None) -> list[str]:
    """Return the tags of a cell; without a separator, the first of SEPARATORS that it contains parts them."""
    if (listed := list_in_text(given)) is not None:
        return listed
    return given.split(separator or next((mark for mark in SEPARATORS if mark in given), ","))


def list_in_text(given: str) -> list[str] | None:
    """Return the tags of a cell that shows by its own signs where each begins, or None."""
    if given[:1] in "[{(" and len(given) <= LONGEST_CELL:
        value = _literal(given)
        if isinstance(value, list | dict):
            return listed_tags(value)
        if isinstance(value, tuple | set):
            return listed_tags(list(value))
        return _braced(given) if _BRACES.fullmatch(given) else None
    if given[:1] == "<" and _ANGLES.fullmatch(given):
        return re.findall("<([^<>]+)>", given)
    if given[:1] == "#" and _HASHES.fullmatch(given):
        return re.findall(r"#([^\s#,;]+)", given)
    return None


def _braced(given: str) -> list[str]:
    """Return the elements of an array as PostgreSQL writes it."""
    return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^,]+)', given[1:-1])]


def _literal(given: str) -> Any:
    """Return the list or object of a cell in JSON or Python, or None."""
    if given[-1:] not in "]})":
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(given)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            continue
    return None


def column_separator(cells: Iterable[object]) -> str | None:
    """Return a column's separator: the first of SEPARATORS that a fifth of the cells with any of them has."""
    texts = [text for cell in cells if isinstance(cell, str) and (text := cell.strip())]
    plain = [text for text in texts if list_in_text(text) is None]
    parted = [text for text in plain if any(mark in text for mark in SEPARATORS)]
    return next((mark for mark in SEPARATORS if sum(mark in text for text in parted) * 5 >= max(len(parted), 1)), None)
