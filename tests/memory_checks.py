"""The script that looks at a site's memory, run as an operator runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from config import ROOT

SCRIPT = ROOT / "scripts" / "check_memory.py"


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(SCRIPT), *arguments]


def environ(instance: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "INSTANCE_DIR": str(instance), **more}


def check(instance: Path, *arguments: str, cwd: Path = Path("/")) -> subprocess.CompletedProcess[str]:
    """Run the script from a folder that is not the project's."""
    run = command(*arguments)
    ended = subprocess.run(run, cwd=cwd, env=environ(instance), capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


def report(instance: Path, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(check(instance, "--json", *arguments).stdout)
    return found
