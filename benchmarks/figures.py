"""A measured figure, the bar it is held against, and the table they are written in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
WORK = ROOT / "build" / "bench"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement; `bar` is a limit such as `>= 0.93`, empty where there is none."""

    name: str
    value: float
    unit: str = ""
    bar: str = ""

    @property
    def is_met(self) -> bool:
        if not self.bar:
            return True
        sign, limit = self.bar.split()
        return self.value >= float(limit) if sign == ">=" else self.value <= float(limit)


def table(figures: Iterable[Figure]) -> str:
    lines = ["| what | measured | target | |", "|---|---|---|---|"]
    for one in figures:
        mark = "" if not one.bar else "met" if one.is_met else "**missed**"
        lines.append(f"| {one.name} | {one.value:g} {one.unit} | {one.bar} | {mark} |")
    return "\n".join(lines)


def run_part(module: str) -> list[Figure]:
    """Run one part in a process of its own, so that none pays for another's memory; returns its figures."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}"], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE
    )
    return [Figure(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def tell(figures: Sequence[Figure]) -> None:
    """Print a part's figures for `run_part`, and a table for who runs the part alone."""
    print(table(figures), file=sys.stderr)
    print(json.dumps([asdict(one) for one in figures]))


def flask(instance: Path, *arguments: str, **environment: str) -> str:
    """Run a flask command against an instance folder and return what it printed."""
    given = os.environ | {"INSTANCE_DIR": str(instance)} | environment
    command = [sys.executable, "-m", "flask", "--app", "app", *arguments]
    return subprocess.run(command, cwd=ROOT, env=given, check=True, stdout=subprocess.PIPE, text=True).stdout
