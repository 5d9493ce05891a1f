"""The flask command as an operator runs it: another process, settings from the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config import ROOT, Settings
from tests.forked import forking
from tests.processes import popen

PEAK = (
    "import resource, subprocess, sys; ended = subprocess.run(sys.argv[1:]);"
    " print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(ended.returncode)"
)


def environment(settings: Settings) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": settings.database_url,
        "INSTANCE_DIR": str(settings.instance_dir),
        "SECRET_KEY": settings.secret_key,
        "ADMIN_TOKEN": settings.admin_token,
        "SEMANTIC_MODEL": settings.semantic_model,
        "MODELS_DIR": str(settings.models_dir),
        "PYTHONIOENCODING": "utf-8",
    }


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "flask", "--app", "app", *map(str, arguments)]


def run(settings: Settings, *arguments: str | Path, under: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, under another program where one is given."""
    if not under:
        return forking().ended(environment(settings), [*map(str, arguments)])
    return subprocess.run(
        [*under, *command(*arguments)],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def start(settings: Settings, *arguments: str | Path, log: Path = Path(os.devnull)) -> subprocess.Popen[bytes]:
    with log.open("ab") as file:
        where: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": file}
        return popen(command(*arguments), cwd=ROOT, env=environment(settings), **where)


def peak_rss_mb(settings: Settings, *arguments: str | Path) -> float:
    """Run a command to its good end and return its peak; a small process in between counts it alone."""
    ended = subprocess.run(
        [sys.executable, "-c", PEAK, *command(*arguments)],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=True,
    )
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return int(ended.stdout.split()[-1]) / unit
