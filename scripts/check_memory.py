#!/usr/bin/env python3
"""Look at the running site's memory: python scripts/check_memory.py [--json] [--watch S] [--pid N | --url URL].

Ends with 0 where all is well, 1 above 80 % of the limit, 2 above 95 %, 3 where no running site was found, and with 64
after a command line that cannot be understood. Needs none of the site's settings.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
OWN_PYTHON = ROOT / ".venv" / "bin" / "python"
sys.path.insert(0, str(ROOT))

try:
    import psutil  # noqa: F401 - the one thing needed that is not Python's own
except ModuleNotFoundError:
    # A machine's own Python seldom has it; the site's has. The mark keeps it from starting itself for ever.
    if OWN_PYTHON.exists() and "MATMON_OWN_PYTHON" not in os.environ:
        os.environ["MATMON_OWN_PYTHON"] = "1"
        os.execv(OWN_PYTHON, [str(OWN_PYTHON), *sys.argv])  # noqa: S606 - the site's own interpreter
    print("psutil is missing: pip install -r requirements.txt", file=sys.stderr)
    sys.exit(69)  # unavailable, as sysexits.h has it: 1 to 3 tell of the site

from operations.processes import NotRunning, instance_folder, running, site_of_process
from operations.report import VERDICTS, MemoryReport, NotAnswered, of_address, of_running

CODES = {"fine": 0, "high": 1, "critical": 2}
NOT_FOUND, MISUSED = 3, 64
BAR = 30
CLEAR = "\x1b[H\x1b[2J\x1b[3J"
PARTS = {
    "application": "Python, libraries, the rest",
    "model": "model",
    "index": "index of embeddings",
    "caches": "caches",
}


class Parser(argparse.ArgumentParser):
    """Ends with 64 after a misunderstanding: 2 says that memory is short."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(MISUSED, f"{self.prog}: {message}\n")


def main() -> int:
    """Show what the command line asks for and return the exit status."""
    asked = arguments()
    try:
        code = watched(asked) if asked.watch else shown(asked)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def arguments() -> argparse.Namespace:
    parser = Parser(
        description="Show the running site's memory, by process and by part.", epilog=(__doc__ or "").split("\n\n")[1]
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pid", type=whole, help="one of the server's processes")
    which.add_argument("--url", help="a site elsewhere, by its address")
    parser.add_argument("--limit", type=above_zero, metavar="MB", help="what the memory is held against")
    parser.add_argument("--watch", type=above_zero, metavar="SECONDS", help="look again and again, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="for programs; with --watch one line a look")
    return parser.parse_args()


def whole(given: str) -> int:
    if not given.isascii() or not given.isdigit() or int(given[:20]) < 1:
        raise argparse.ArgumentTypeError(f"{given!r} is not a process's number")
    return int(given[:20])


def above_zero(given: str) -> float:
    try:
        found = float(given)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e9:
        raise argparse.ArgumentTypeError(f"{given!r} is not a number above 0")
    return found


def look(asked: argparse.Namespace) -> MemoryReport:
    """Return the report asked for; raises NotRunning or NotAnswered."""
    if asked.url:
        return of_address(asked.url, asked.limit)
    found = site_of_process(asked.pid) if asked.pid else running(instance_folder(ROOT))
    return of_running(found, asked.limit)


def shown(asked: argparse.Namespace) -> int:
    """Print one report and return its exit status."""
    try:
        report = look(asked)
    except (NotRunning, NotAnswered) as error:
        return missing(asked, error)
    print(json.dumps(report.as_json(), indent=2) if asked.json else "\n".join(lines(report)))
    return CODES[report.level]


def missing(asked: argparse.Namespace, error: Exception) -> int:
    if asked.json:
        print(json.dumps({"error": str(error)}), flush=True)
    else:
        print(f"No running site was found: {error}", file=sys.stderr, flush=True)
    return NOT_FOUND


def watched(asked: argparse.Namespace) -> int:
    """Look again and again; Ctrl-C ends it with the status of the last look."""
    show = drawn if sys.stdout.isatty() and not asked.json else plain
    code = NOT_FOUND
    try:
        while True:
            code = looked(asked, show)
            time.sleep(asked.watch)
    except KeyboardInterrupt:
        return code


def looked(asked: argparse.Namespace, show: Callable[[MemoryReport, argparse.Namespace], None]) -> int:
    try:
        report = look(asked)
    except (NotRunning, NotAnswered) as error:
        return missing(asked, error)
    show(report, asked)
    return CODES[report.level]


def drawn(report: MemoryReport, asked: argparse.Namespace) -> None:
    when = time.strftime("%H:%M:%S")
    print(CLEAR + "\n".join([*lines(report), "", f"{when}, again every {asked.watch:g} s; Ctrl-C ends it"]), flush=True)


def plain(report: MemoryReport, asked: argparse.Namespace) -> None:
    when = time.strftime("%Y-%m-%dT%H:%M:%S")
    if asked.json:
        print(json.dumps({"at": when} | report.as_json()), flush=True)
    else:
        print(f"{when}  {used(report)}  {report.level}  {model(report) or 'model unknown'}", flush=True)


def lines(report: MemoryReport) -> Iterator[str]:
    """Yield the report for a reader."""
    filled = min(round(report.share * BAR), BAR)
    yield f"Matmon, {clean(report.of)}"
    yield f"Memory   {used(report)}  [{'#' * filled}{'.' * (BAR - filled)}]  by {clean(report.counted_by)}"
    yield f"Verdict  {VERDICTS[report.level]}"
    yield from (f"         - {one}" for one in report.advice)
    yield from processes(report)
    yield from parts(report)
    yield from told(report)
    yield from (f"Unseen   {clean(one)}" for one in report.unseen)


def used(report: MemoryReport) -> str:
    return f"{report.used_mb:.1f} MB of {report.limit_mb:.0f} MB  {report.share:.1%}"


def processes(report: MemoryReport) -> Iterator[str]:
    yield ""
    yield f"{'process':<10}{'pid':>9}{'RSS':>10}{'PSS':>10}{'USS':>10}{'anonymous':>12}   MB"
    for one in report.processes:
        rss, pss, uss, anonymous = map(cell, one.kinds.values())
        yield f"{clean(one.role):<10}{one.pid:>9}{rss:>10}{pss:>10}{uss:>10}{anonymous:>12}"
    if report.group:
        limit = cell(report.group["limit_mb"])
        own = f"{cell(report.group['used_mb'])} MB, limit {limit}, anonymous {cell(report.group['anonymous_mb'])}"
        yield f"The control group counts {own}"
    yield ""


def cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def parts(report: MemoryReport) -> Iterator[str]:
    for name, value in (report.own or {}).get("parts", {}).items():
        yield f"{PARTS.get(name, clean(name)):<30}{value:>9.1f} MB{value / report.limit_mb:>8.1%} of the limit"


def told(report: MemoryReport) -> Iterator[str]:
    """Yield what the app says of its model, index, caches, connections and guard."""
    if report.own is None:
        return
    yield ""
    yield f"Model    {model(report)}"
    for name, held in report.own["index"].items():
        yield f"Index    {clean(name)}: {clean(flat(held))}"
    for name in ("caches", "pool"):
        yield f"{name.capitalize():<9}{clean(flat(report.own[name])) or '-'}"
    guard = report.own["guard"]
    state = flat(guard.get("counts") or {}) if guard.get("on") else "not at work"
    yield f"Guard    {clean(state)}"


def model(report: MemoryReport) -> str:
    """Return the model's state in words; empty where the app was not asked."""
    if report.own is None:
        return ""
    found = report.own["model"]
    words = [f"{found.get('name')}: {found.get('state')}"]
    for name, unit, said in (
        ("cost_mb", "MB", "added"), ("unused_s", "s", "unused for"), ("given_back_in_s", "s", "unloads in"),
    ):  # fmt: skip
        if found.get(name) is not None:
            words.append(f"{said} {found[name]} {unit}")
    return clean(", ".join(words))


def flat(held: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in held.items())


def clean(text: object) -> str:
    """Return a text without what could steer a terminal: some of it comes from another machine."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


if __name__ == "__main__":
    sys.exit(main())
