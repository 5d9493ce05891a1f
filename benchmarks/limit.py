"""A hard memory limit for a command, as a small host sets it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from benchmarks.figures import ROOT

TOOL = ROOT.parent / "shared" / "tools" / "with-memory-limit"
# Inside a systemd scope a small program runs the command and writes down what its control group counted.
WATCH = """
import json, pathlib, subprocess, sys, threading
group = pathlib.Path("/sys/fs/cgroup") / pathlib.Path("/proc/self/cgroup").read_text().strip().split("::/")[1]
def stat(file, key):
    return int(dict(line.split() for line in (group / file).read_text().splitlines())[key])
child, peak, done = subprocess.Popen(sys.argv[2:]), 0, threading.Event()
while child.poll() is None and not done.wait(0.05):
    peak = max(peak, stat("memory.stat", "anon"))
found = {"peak_anonymous_mb": round(peak / 2**20, 1), "oom_kills": stat("memory.events", "oom_kill")}
pathlib.Path(sys.argv[1]).write_text(json.dumps(found))
"""


def limited(command: list[str], report: Path, limit: str = "512M") -> list[str]:
    """Return the command under the limit; `report` gets peak_anonymous_mb and oom_kills. Raises RuntimeError."""
    if TOOL.exists() and os.geteuid() == 0:
        return [str(TOOL), limit, "--json", str(report), "--", *command]
    if shutil.which("systemd-run"):
        scope = ["systemd-run", "--user", "--scope", "--quiet", "-p", f"MemoryMax={limit}", "-p", "MemorySwapMax=0"]
        return [*scope, sys.executable, "-c", WATCH, str(report), *command]
    raise RuntimeError("no hard memory limit can be set here: it takes systemd-run")
