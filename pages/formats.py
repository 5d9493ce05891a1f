"""Jinja filters: dates, durations, percentages."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from flask import Flask
from flask_babel import format_date, format_percent, format_timedelta

ONE_S = timedelta(seconds=1)


def register(app: Flask) -> None:
    for template_filter in (day, ago, ago_s, ahead, lasting, share):
        app.add_template_filter(template_filter)


def day(seconds: int) -> str:
    """Return a day as the interface's language writes it, from seconds since 1970."""
    return str(format_date(datetime.fromtimestamp(seconds, UTC), "long"))


def ago(at: float) -> str:
    """Return how long ago a moment was (seconds since 1970), as the interface's language says it."""
    return ago_s(time.time() - at)


def ago_s(seconds: float) -> str:
    return str(format_timedelta(-max(timedelta(seconds=round(seconds)), ONE_S), add_direction=True))


def ahead(seconds: float) -> str:
    """Return when something will be, in so many seconds."""
    return str(format_timedelta(max(timedelta(seconds=round(seconds)), ONE_S), add_direction=True))


def lasting(seconds: float) -> str:
    return str(format_timedelta(max(timedelta(seconds=round(seconds)), ONE_S)))


def share(part: float) -> str:
    return str(format_percent(part, "#,##0.0 %"))
