"""All results of a search as a file: CSV for a spreadsheet, or JSON Lines, which an import reads back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from flask import Response, abort, stream_with_context
from flask_babel import gettext

from indexing.export import FIELDS, TooManyColumns, columns_of_documents, csv_cell, joined_tags, rows_of_documents
from models import db
from search.query import Query
from search.results import Ranked
from search.search import whole_ranking
from utils.cells import MARK, csv_line
from web.current import semantic, settings

FORMS = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}


def exported_search(query: Query, form: str) -> Response:
    """Return every document that a search finds, best first and at most EXPORT_LIMIT, written while it is read."""
    ranked = whole_ranking(db.session(), query, semantic(), settings().export_limit)
    try:
        lines = csv_rows(ranked) if form == "csv" else lines_of_json(ranked)
    except TooManyColumns:
        abort(422, gettext("The documents have too many columns for a table: download them as JSON."))
    headers = {"Content-Disposition": f'attachment; filename="matmon.{form}"'}
    return Response(stream_with_context(lines), content_type=FORMS[form], headers=headers)


def csv_rows(ranked: Sequence[Ranked]) -> Iterator[str]:
    """Return the lines of a table with a column for each field that a document has; raises TooManyColumns."""
    numbers = [item.document for item in ranked]
    return _csv_rows(ranked, [*FIELDS, *columns_of_documents(db.session(), numbers)])


def _csv_rows(ranked: Sequence[Ranked], names: Sequence[str]) -> Iterator[str]:
    yield MARK + csv_line(["rank", "score", *names])
    places = {item.document: place for place, item in enumerate(ranked, 1)}
    for number, row in rows_of_documents(db.session(), list(places)):
        cells = row | {"tags": joined_tags(row.get("tags", []))}
        place = places[number]
        score = round(ranked[place - 1].score, 4)
        yield csv_line([place, score, *(csv_cell(cells.get(name, "")) for name in names)])


def lines_of_json(ranked: Sequence[Ranked]) -> Iterator[str]:
    for _, row in rows_of_documents(db.session(), [item.document for item in ranked]):
        yield json.dumps(row, ensure_ascii=False) + "\n"
