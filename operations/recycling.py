"""A worker that grew for no good reason ends itself between requests, and gunicorn starts another."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

EVERY_S = 10.0
LOOKS = 6  # in a row: a minute long, so that no import or flood of searches counts as growth
log = logging.getLogger("matmon.operations")


class Recycling:
    """Ends the worker where it held more than it may for a minute, and no model.

    A worker that only serves words takes a quarter of 512 MB at its peak; a model explains more, its absence does not.
    """

    def __init__(
        self,
        anonymous_mb: Callable[[], float],
        holds_model: Callable[[], bool],
        most_mb: Callable[[], float],
        end: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._anonymous_mb, self._holds_model, self._most_mb, self._end = anonymous_mb, holds_model, most_mb, end
        self._clock, self._looked_at, self._grown = clock, float("-inf"), 0
        self.is_on = False  # only where something starts another worker

    def look(self) -> None:
        """Look, if the last look is a while ago, and end the worker once."""
        if not self.is_on or self._clock() - self._looked_at < EVERY_S:
            return
        self._looked_at = self._clock()
        held = 0.0 if self._holds_model() else self._anonymous_mb()
        most = self._most_mb()
        self._grown = self._grown + 1 if held > most else 0
        if self._grown == LOOKS:
            log.warning("this worker holds %.0f MB and no model, more than %.0f: another starts", held, most)
            self.is_on = False
            self._end()
