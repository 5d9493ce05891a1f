#!/usr/bin/env python3
"""Show the memory of the running site: python scripts/check_memory.py [--json] [--watch S] [--pid N | --url URL].

Exits with 0 if all is well, 1 above 80 % of the limit, 2 above 95 %, 3 if no running site was found, and 64 after a
usage error. It needs none of the site's settings.
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
    import psutil  # noqa: F401 - the only dependency
except ModuleNotFoundError:
    # The system's Python seldom has it; that of the site has. The variable prevents an endless restart.
    if OWN_PYTHON.exists() and "MATMON_OWN_PYTHON" not in os.environ:
        os.environ["MATMON_OWN_PYTHON"] = "1"
        os.execv(OWN_PYTHON, [str(OWN_PYTHON), *sys.argv])  # noqa: S606 - the site's own interpreter
    print("psutil is missing: pip install -r requirements.txt", file=sys.stderr)
    sys.exit(69)  # EX_UNAVAILABLE in sysexits.h; 1 to 3 describe the site

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
    """Exits with 64 after a usage error, since 2 means that memory is short."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(MISUSED, f"{self.prog}: {message}\n")


def main() -> int:
    """Print what the command line asks for and return the exit status."""
    options = arguments()
    try:
        code = watch(options) if options.watch else print_report(options, print_once)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def arguments() -> argparse.Namespace:
    parser = Parser(
        description="Show the running site's memory, by process and by part.", epilog=(__doc__ or "").split("\n\n")[1]
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--pid", type=whole, help="one of the server's processes")
    which.add_argument("--url", help="the address of a site on another host")
    parser.add_argument("--limit", type=above_zero, metavar="MB", help="the limit to compare the memory with")
    parser.add_argument("--watch", type=above_zero, metavar="SECONDS", help="repeat until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="print JSON; with --watch one line each time")
    return parser.parse_args()


def whole(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:20]) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a process's number")
    return int(text[:20])


def above_zero(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def report_for(options: argparse.Namespace) -> MemoryReport:
    """Return the report of the site; raises NotRunning or NotAnswered."""
    if options.url:
        return of_address(options.url, options.limit)
    site = site_of_process(options.pid) if options.pid else running(instance_folder(ROOT))
    return of_running(site, options.limit)


def print_report(options: argparse.Namespace, show: Callable[[MemoryReport, argparse.Namespace], None]) -> int:
    """Print one report and return its exit status."""
    try:
        report = report_for(options)
    except (NotRunning, NotAnswered) as error:
        if options.json:
            print(json.dumps({"error": str(error)}), flush=True)
        else:
            print(f"No running site was found: {error}", file=sys.stderr, flush=True)
        return NOT_FOUND
    show(report, options)
    return CODES[report.level]


def watch(options: argparse.Namespace) -> int:
    """Print a report again and again; Ctrl-C ends it with the status of the last one."""
    show = draw if sys.stdout.isatty() and not options.json else print_line
    code = NOT_FOUND
    try:
        while True:
            code = print_report(options, show)
            time.sleep(options.watch)
    except KeyboardInterrupt:
        return code


def print_once(report: MemoryReport, options: argparse.Namespace) -> None:
    print(json.dumps(report.as_json(), indent=2) if options.json else "\n".join(lines(report)))


def draw(report: MemoryReport, options: argparse.Namespace) -> None:
    footer = f"{time.strftime('%H:%M:%S')}, every {options.watch:g} s; Ctrl-C ends it"
    print(CLEAR + "\n".join([*lines(report), "", footer]), flush=True)


def print_line(report: MemoryReport, options: argparse.Namespace) -> None:
    at = time.strftime("%Y-%m-%dT%H:%M:%S")
    if options.json:
        print(json.dumps({"at": at} | report.as_json()), flush=True)
    else:
        print(f"{at}  {used(report)}  {report.level}  {model(report) or 'model unknown'}", flush=True)


def lines(report: MemoryReport) -> Iterator[str]:
    """Yield the lines of a report."""
    filled = min(round(report.share * BAR), BAR)
    yield f"Matmon, {clean(report.of)}"
    yield f"Memory   {used(report)}  [{'#' * filled}{'.' * (BAR - filled)}]  by {clean(report.counted_by)}"
    yield f"Verdict  {VERDICTS[report.level]}"
    yield from (f"         - {advice}" for advice in report.advice)
    yield from processes(report)
    yield from parts(report)
    yield from details(report)
    yield from (f"Unseen   {clean(process)}" for process in report.unseen)


def used(report: MemoryReport) -> str:
    return f"{report.used_mb:.1f} MB of {report.limit_mb:.0f} MB  {report.share:.1%}"


def processes(report: MemoryReport) -> Iterator[str]:
    yield ""
    yield f"{'process':<10}{'pid':>9}{'RSS':>10}{'PSS':>10}{'USS':>10}{'anonymous':>12}   MB"
    for process in report.processes:
        rss, pss, uss, anonymous = map(cell, process.kinds.values())
        yield f"{clean(process.role):<10}{process.pid:>9}{rss:>10}{pss:>10}{uss:>10}{anonymous:>12}"
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


def details(report: MemoryReport) -> Iterator[str]:
    """Yield what the app reports of its model, index, caches, connections and guard."""
    if report.own is None:
        return
    yield ""
    yield f"Model    {model(report)}"
    for name, figures in report.own["index"].items():
        yield f"Index    {clean(name)}: {clean(flat(figures))}"
    for name in ("caches", "pool"):
        yield f"{name.capitalize():<9}{clean(flat(report.own[name])) or '-'}"
    guard = report.own["guard"]
    state = flat(guard.get("counts") or {}) if guard.get("on") else "not running"
    yield f"Guard    {clean(state)}"


def model(report: MemoryReport) -> str:
    """Return the state of the model; empty if the app did not answer."""
    if report.own is None:
        return ""
    figures = report.own["model"]
    words = [f"{figures.get('name')}: {figures.get('state')}"]
    for name, unit, label in (
        ("cost_mb", "MB", "added"), ("unused_s", "s", "unused for"), ("given_back_in_s", "s", "unloads in"),
    ):  # fmt: skip
        if figures.get(name) is not None:
            words.append(f"{label} {figures[name]} {unit}")
    return clean(", ".join(words))


def flat(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())


def clean(text: object) -> str:
    """Return a text without terminal control characters: some of it comes from another machine."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(text))


if __name__ == "__main__":
    sys.exit(main())
