"""A clock that jumps while the site runs, a day ahead and an hour back.

A small library before the C library's own says another time of day to the site's processes, and leaves the clock alone
that nobody sets. (libfaketime 0.9.10 would do, but for Python's sleep, which it then refuses.)
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

from benchmarks.fault_place import MODEL, standing
from benchmarks.figures import Figure
from benchmarks.load import GOOD, QUIET_S, Load, under_load
from tests.servers import Server

JUMPS = {"a day ahead": 86_400, "an hour back": -3_600, "right again": 0}
LIBRARY = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile long *ahead;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
  real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  const char *path = getenv("CLOCK_AHEAD");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *seen = file < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
  ahead = seen == MAP_FAILED ? 0 : seen;
}
int clock_gettime(clockid_t id, struct timespec *at) {
  if (!real) begin();
  int result = real(id, at);
  if (!result && ahead && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += *ahead;
  return result;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
"""


class Browser:
    """A visitor with a cookie, who keeps searches."""

    def __init__(self, site: Server) -> None:
        self._site, self._cookie = site, ""

    def keep(self, word: str) -> int:
        body = json.dumps({"address": f"/text?q={word}", "name": word})
        return self._asked("POST", body)[0]

    def kept(self) -> int:
        return len(self._asked("GET")[1].get("searches", []))

    def _asked(self, method: str, body: str | None = None) -> tuple[int, dict[str, list[object]]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._site.port, timeout=60)
        headers = {"Content-Type": "application/json", "Cookie": self._cookie}
        try:
            connection.request(method, "/api/searches", body, headers)
            answer = connection.getresponse()
            if given := answer.getheader("Set-Cookie"):
                self._cookie = given.split(";")[0]
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def with_a_clock_that_jumps(folder: Path) -> list[Figure]:
    """Return how the site fares; where there is no C compiler, that alone."""
    library = compiled(folder)
    if library is None:
        return [Figure("clock: jumps that could be tried (there is no C compiler)", 0, "", f">= {len(JUMPS)}")]
    ahead = folder / "ahead"
    ahead.write_bytes(bytes(8))
    faked = {"LD_PRELOAD": str(library), "CLOCK_AHEAD": str(ahead)}
    with standing(folder, MODEL | faked) as place, under_load(place.site) as load:
        browser, figures = Browser(place.site), []
        time.sleep(QUIET_S)
        for number, (name, jump) in enumerate(JUMPS.items()):
            browser.keep(f"before{number}")
            seen_before, before = clock_of(place.site), browser.kept()
            with ahead.open("r+b") as file:
                file.write(jump.to_bytes(8, sys.byteorder, signed=True))
            figures += seen(name, load, browser, before)
            moved = clock_of(place.site) - seen_before
            figures.append(Figure(f"clock {name}: moved, as the site's answers say", round(moved / 3600), "h"))
        load.over.set()
        time.sleep(1)
        figures.append(Figure("clock: acknowledged writes that are not there", place.lost(load), "", "<= 0"))
    return figures


def compiled(folder: Path) -> Path | None:
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    made = folder / "clock.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-x", "c", "-o", str(made), "-", "-ldl"]
    subprocess.run(command, input=LIBRARY, text=True, check=True)
    return made


def seen(name: str, load: Load, browser: Browser, before: int) -> list[Figure]:
    began = time.monotonic()
    time.sleep(2 * QUIET_S)
    failed = [one for one in load.since(began) if one.status not in GOOD]
    return [
        Figure(f"clock {name}: requests that failed", len(failed), "", "<= 0"),
        Figure(f"clock {name}: kept searches that a browser lost", before - browser.kept(), "", "<= 0"),
    ]


def clock_of(site: Server) -> float:
    """Return the time of day as the site's own process has it."""
    return parsedate_to_datetime(site.ask("/livez").headers["Date"]).timestamp()
