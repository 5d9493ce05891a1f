"""Cells of a table: no spreadsheet runs them, and what a line holds comes back as it was."""

from __future__ import annotations

import csv
import io

import pytest

from utils.cells import csv_line, harmless


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_is_written_as_text(cell: str) -> None:
    assert harmless(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["שלום", "a=b", "", 7, -0.5, None])
def test_what_is_no_formula_stays(cell: object) -> None:
    assert harmless(cell) == cell


def test_a_line_is_read_back_as_it_was() -> None:
    cells = ["א,ב", 'of "quotes"', "two\nlines", "5"]
    assert next(csv.reader(io.StringIO(csv_line(cells), newline=""))) == cells
