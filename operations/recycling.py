"""Recycles a worker that grew without reason: it ends between requests, and gunicorn starts another."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

EVERY_S = 10.0
LOOKS = 6  # in a row, a minute in all, so that an import or a flood of searches does not count as growth
log = logging.getLogger("matmon.operations")


class Recycling:
    """Ends the worker if it exceeded its limit for a minute while holding no model.

    A worker without a model peaks at a quarter of 512 MB; a model would explain more.
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
        self.is_on = False  # only if a master starts another worker

    def look(self) -> None:
        """Check, if the last check was a while ago, and end the worker once."""
        if not self.is_on or self._clock() - self._looked_at < EVERY_S:
            return
        self._looked_at = self._clock()
        held = 0.0 if self._holds_model() else self._anonymous_mb()
        most = self._most_mb()
        self._grown = self._grown + 1 if held > most else 0
        if self._grown == LOOKS:
            log.warning("This worker holds %.0f MB without a model, more than %.0f: it is replaced", held, most)
            self.is_on = False
            self._end()
