"""Former releases of the site, out of the history: for each migration the last code that did not know the next."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from config import ROOT

# Several commands of one release in one process: importing its packages takes longer than most commands.
COMMANDS = """
import json, sys
from flask.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["flask", "--app", "app", *arguments]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


@dataclass(frozen=True, slots=True)
class Release:
    """A former release: its newest migration, and where its code lies."""

    revision: str
    root: Path

    def run(self, environ: Mapping[str, str], *commands: tuple[str, ...]) -> None:
        """Run flask commands in a process of this release's own, one after another."""
        ran = subprocess.run(
            [sys.executable, "-c", COMMANDS, json.dumps(commands)],
            cwd=self.root,
            env=dict(environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{self.revision}: {ran.stdout}{ran.stderr}"


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout


def former_revisions() -> list[str]:
    """Return every migration but the newest, the first one first."""
    found = ScriptDirectory(str(ROOT / "migrations")).walk_revisions()
    return [one.revision for one in found][:0:-1]


def commit_of(revision: str) -> str:
    """Return the last commit before the next migration was added; the present one where that is not committed yet."""
    script = ScriptDirectory(str(ROOT / "migrations"))
    (following,) = (one for one in script.walk_revisions() if one.down_revision == revision)
    path = Path(following.path).relative_to(ROOT)
    added = git("log", "--diff-filter=A", "--format=%H", "--", str(path)).decode().split()
    return f"{added[-1]}^" if added else "HEAD"


def release(revision: str, folder: Path) -> Release:
    """Return a former release with its code in the folder; skips the test where the history does not have it."""
    try:
        if git("rev-parse", "--is-shallow-repository").strip() == b"true":
            pytest.skip("the clone is shallow: former releases are in the history")
        packed = git("archive", "--format=tar", commit_of(revision))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"former releases are in git's history, which is not here: {error}")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return Release(revision, folder)
