"""Importing large files of other kinds into SQLite: a table of 100 MB, a spreadsheet of 50 MB, a zip of 2,000 files."""

from __future__ import annotations

import csv
import json
import random
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.figures import WORK, Figure, flask, tell
from tests.office_files import MAIN, PACKAGE, RELATIONS, docx, epub, pdf

LETTERS = "אבגדהוזחטיכלמנסעפצקרשת"
TABLE_BYTES, SHEET_BYTES, FILES = 100_000_000, 50_000_000, 2_000
SHEET = "xl/worksheets/sheet1.xml"
TEXTS = "xl/sharedStrings.xml"


def words(chance: random.Random) -> list[str]:
    return ["".join(chance.choices(LETTERS, k=chance.randint(2, 8))) for _ in range(40_000)]


def rows(chance: random.Random) -> Iterator[list[str]]:
    """Yield an ID, a title, a text of 60 words and four tags, without end."""
    vocabulary, number = words(chance), 0
    while True:
        number += 1
        title, body = (" ".join(chance.choices(vocabulary, k=count)) for count in (5, 60))
        yield [str(number), title, body, "; ".join(chance.choices(vocabulary[:500], k=4))]


def make_table(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "title", "body", "tags"))
        for row in rows(random.Random(1)):
            writer.writerow(row)
            if file.tell() > TABLE_BYTES:
                return


def make_sheet(path: Path) -> None:
    """Write a workbook whose texts are shared, as Excel writes it."""
    header, columns = ["id", "title", "body", "tags"], "ABCD"
    parts = path.with_name("texts.xml")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, parts.open("w", encoding="utf-8") as texts:
        texts.write(f'<sst xmlns="{MAIN}">')
        with archive.open(SHEET, "w") as sheet:
            sheet.write(f'<worksheet xmlns="{MAIN}"><sheetData>'.encode())
            count = 0
            for number, row in enumerate(rows(random.Random(2)), 1):
                cells = ""
                for column, text in zip(columns, header if number == 1 else row, strict=True):
                    texts.write(f"<si><t>{text}</t></si>")
                    cells += f'<c r="{column}{number}" t="s"><v>{count}</v></c>'
                    count += 1
                sheet.write(f'<row r="{number}">{cells}</row>'.encode())
                if texts.tell() > SHEET_BYTES * 2.7:  # deflated, letters at random take this share
                    break
            sheet.write(b"</sheetData></worksheet>")
        texts.write("</sst>")
        texts.close()
        archive.write(parts, TEXTS)
        listed = '<sheets><sheet name="s" sheetId="1" r:id="a"/></sheets>'
        archive.writestr("xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">{listed}</workbook>')
        related = f'<Relationship Id="a" Type="{RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
        archive.writestr("xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{PACKAGE}">{related}</Relationships>')
    parts.unlink()


def make_zip(path: Path) -> None:
    """Write texts, Markdown, pages, documents of Word, books and PDFs in turn, of 2,000 words and more."""
    chance = random.Random(3)
    vocabulary = words(chance)

    def text(count: int) -> str:
        return " ".join(chance.choices(vocabulary, k=count))

    makers: dict[str, Callable[[], str | bytes]] = {
        "txt": lambda: text(2_000),
        "md": lambda: f"# {text(4)}\n\n{text(2_000)}",
        "html": lambda: f"<html><head><title>{text(4)}</title></head><body><p>{text(2_000)}</p></body></html>",
        "docx": lambda: docx([text(100) for _ in range(20)], text(4)),
        "epub": lambda: epub(text(3), [text(5_000) for _ in range(8)]),
        "pdf": lambda: pdf(" ".join(chance.choices(("sea", "water", "book", "page", "tree"), k=800)), "a title"),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(FILES):
            suffix = list(makers)[number % len(makers)]
            archive.writestr(f"folder {number % 20}/file {number}.{suffix}", makers[suffix]())


MAKERS = {"a table of 100 MB": ("t.csv", make_table), "a spreadsheet of 50 MB": ("s.xlsx", make_sheet),
          "a zip of 2,000 files": ("z.zip", make_zip)}  # fmt: skip


def measured(name: str) -> list[Figure]:
    """Import one file in processes of their own; peaks are of the largest of them."""
    file, make = MAKERS[name]
    instance = WORK / "files"
    shutil.rmtree(instance, ignore_errors=True)
    instance.mkdir(parents=True)
    path = instance / file
    make(path)
    flask(instance, "db", "upgrade")
    began = time.monotonic()
    flask(instance, "import", str(path))
    wall, peak = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    size = path.stat().st_size
    shutil.rmtree(instance)
    return [
        Figure(f"{name}: peak of the importing process", round(peak), "MB", "<= 200"),
        Figure(f"{name}: its size", round(size / 1e6), "MB"),
        Figure(f"{name}: by the clock", round(wall), "s"),
    ]


def main() -> None:
    """Measure each file in a process of its own, since the peak of children is kept for good."""
    if len(sys.argv) > 1:
        tell(measured(sys.argv[1]))
        return
    figures: list[Figure] = []
    for name in MAKERS:
        command = [sys.executable, "-m", "benchmarks.files", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        figures += [Figure(**row) for row in json.loads(done.stdout.splitlines()[-1])]
    tell(figures)


if __name__ == "__main__":
    main()
