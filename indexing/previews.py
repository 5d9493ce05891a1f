"""Shows how a file would be imported: its columns with examples, the first documents and the rows refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from indexing.documents import NewDocument
from indexing.extraction import STORED, extracted, stored_sheets
from indexing.layout import SAMPLE_ROWS, Layout, Options, check_mapping, field_columns, layout_of_rows, readable_rows
from indexing.parsing import accepted_row, raw_row
from indexing.reading import check_file, file_kind, file_layout, file_sample
from indexing.rows import FileUnusable, Row, RowRefused, readable
from indexing.tag_cells import cell_text

LOOKED_AT = 20  # rows that are shown or refused in a preview
EXAMPLES, LONGEST_EXAMPLE = 3, 120


class PreviewColumn(NamedTuple):
    """A column, the field that it is read as, and values; the field is `-` if it is left out, empty if kept beside."""

    name: str
    field: str
    value: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """How a file is read; `refusal` is why none of it can be imported as it is."""

    columns: list[PreviewColumn] = field(default_factory=list)
    documents: list[NewDocument] = field(default_factory=list)
    refused: list[Row] = field(default_factory=list)
    refusal: FileUnusable | None = None
    tag_separator: str | None = None
    sheets: list[str] = field(default_factory=list)


def check_file_columns(path: Path, options: Options) -> None:
    """Raise FileUnusable if no row could have a title or a body."""
    file_layout(path, options)


def check_can_be_shown(path: Path, options: Options) -> None:
    """Raise FileUnusable if a file is none that can be read, however its columns were chosen."""
    del options
    file_kind(path)
    check_file(path)


def preview(path: Path, options: Options, most: int = 5) -> Preview:
    """Return how the first rows would be read, without writing anything; raises FileUnusable."""
    sample = file_sample(path, options)
    layout = layout_of_rows(sample, options)
    documents, refused = [], []
    for row in sample[:LOOKED_AT]:
        try:
            documents.append(accepted_row(row, layout))
        except RowRefused as error:
            refused.append(Row(row.line, None, error, raw_row(row)))
    columns = preview_columns(readable_rows(sample), layout)
    return Preview(columns, documents[:most], refused, tag_separator=layout.tag_separator)


def preview_or_refusal(path: Path, options: Options) -> Preview:
    """Return the preview of a file, or why it has none, with its columns if they can be read."""
    try:
        with ExitStack() as stack:
            if file_kind(path) == "extracted":  # once for all that is asked of it
                check_file(path)
                path = stack.enter_context(extracted(path, options, most_rows=SAMPLE_ROWS))
            sheets = stored_sheets(path) if path.suffix == STORED else []
            return replace(_preview_or_columns(path, options), sheets=sheets)
    except FileUnusable as error:
        return Preview(refusal=error)


def _preview_or_columns(path: Path, options: Options) -> Preview:
    try:
        return preview(path, options)
    except FileUnusable as error:
        return Preview(columns_in_doubt(path, options), refusal=error)


def columns_in_doubt(path: Path, options: Options) -> list[PreviewColumn]:
    """Return the columns of a file whose rows would have neither a title nor a body; none if it cannot be read."""
    try:
        rows = readable_rows(file_sample(path, options))
        names = list(dict.fromkeys(name for fields in rows for name in fields))
        check_mapping(names, options)
    except FileUnusable:
        return []
    found = field_columns(rows, names, options) if options.guesses else dict(options.mapping)
    return preview_columns(rows, Layout(options, found))


def preview_columns(rows: Sequence[Mapping[str, Any]], layout: Layout) -> list[PreviewColumn]:
    values: dict[str, dict[str, None]] = {}
    for fields in rows:
        for name, value in fields.items():
            examples = values.setdefault(name, {})
            if len(examples) < EXAMPLES and (text := " ".join(readable_cell(value).split())[:LONGEST_EXAMPLE]):
                examples[text] = None
    return [
        PreviewColumn(name, layout.field_of(name), next(iter(examples), ""), tuple(examples))
        for name, examples in values.items()
    ]


def readable_cell(value: object) -> str:
    return readable(value) if isinstance(value, list | dict) else cell_text(value)
