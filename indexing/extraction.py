"""Has files that are no plain text read by a process of its own, which writes their rows to a temporary file.

What a hostile file can do there is bounded: memory, time and bytes. No library for such files is loaded here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO

from indexing.layout import Options
from indexing.rows import FileUnusable, Row, row_of_line

SHEETS, REFERENCES = ("xlsx", "xlsm", "ods"), ("bib", "ris")
EXTRACTED = frozenset(
    (*SHEETS, *REFERENCES, "zip", "html", "htm", "xhtml", "md", "markdown", "pdf", "docx", "odt", "epub")
)  # and folders
SHEETS_LINE = b'{"sheets": '  # how the first line of the rows of a workbook begins
STORED = ".rows"  # how the file of rows ends
LOOK_EVERY_S = 0.5
MOST_S = 3_600
ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def extracted(
    path: Path, options: Options, most_rows: int = 0, on_wait: Callable[[], None] = lambda: None
) -> Iterator[Path]:
    """Make a file of the rows of another, or of the first ones, and delete it in the end; raises FileUnusable.

    `on_wait` is called twice a second meanwhile; if it raises, the reading ends.
    """
    with _file_of_rows(path) as file:
        stored = Path(file.name)
        chosen = {
            "encoding": options.encoding, "records": options.records, "sheet": options.sheet,
            "folder_tags": options.folder_tags, "most_rows": most_rows,
        }  # fmt: skip
        with TemporaryFile() as errors:
            command = [sys.executable, "-m", "indexing.extractor", str(path.absolute()), json.dumps(chosen)]
            process = subprocess.Popen(  # noqa: S603 - no shell, and this interpreter
                command, cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL, stdout=file, stderr=errors
            )
            try:
                _wait(process, on_wait)
            finally:
                process.kill()
                process.wait()
            if process.returncode:
                raise FileUnusable("extraction", reason=_last_words(process.returncode, errors))
        yield stored


def stored_rows(file: IO[bytes]) -> Iterator[Row]:
    """Yield the rows of a file of rows; raises FileUnusable if the file that it was made of is."""
    for line in file:
        if not line.startswith(SHEETS_LINE):
            yield row_of_line(line)


def stored_sheets(path: Path) -> list[str]:
    """Return the names of the sheets of the workbook that a file of rows was made of; none if it was another file."""
    with path.open("rb") as file:
        line = file.readline()
    names: list[str] = json.loads(line)["sheets"] if line.startswith(SHEETS_LINE) else []
    return names


def _file_of_rows(path: Path) -> IO[bytes]:
    """Create the file beside the one that is read, or among temporary ones if that is not allowed."""
    try:
        return NamedTemporaryFile(dir=path.absolute().parent, prefix=f"{path.name}.", suffix=STORED)
    except OSError:
        return NamedTemporaryFile(suffix=STORED)


def _environment() -> dict[str, str]:
    """Return what the process needs of the environment; secrets are not among it."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME") if name in os.environ}
    return kept | {"PYTHONUTF8": "1"}


def _wait(process: subprocess.Popen[bytes], on_wait: Callable[[], None]) -> None:
    for _ in range(int(MOST_S / LOOK_EVERY_S)):
        try:
            process.wait(LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            on_wait()
        else:
            return


def _last_words(status: int, errors: IO[bytes]) -> str:
    """Return why the process ended: the last line that it wrote, or the signal that ended it."""
    errors.seek(max(errors.seek(0, os.SEEK_END) - 2_000, 0))
    lines = errors.read().decode("utf-8", "replace").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), f"its reader ended with {status}")
