"""Jinja filters: dates, durations, percentages, and messages of refusals."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from babel.units import format_unit
from flask import Flask
from flask_babel import format_date, format_percent, format_timedelta, get_locale, gettext

from utils.messages import MESSAGES
from web.errors import translated

ONE_S = timedelta(seconds=1)


def register(app: Flask) -> None:
    for template_filter in (day, minute, ago, ago_s, ahead, lasting, duration, share, translated, stored_message):
        app.add_template_filter(template_filter)


def day(seconds: int) -> str:
    """Return a date from seconds since 1970."""
    return str(format_date(datetime.fromtimestamp(seconds, UTC), "long"))


def minute(seconds: int) -> str:
    """Return a time by UTC, to the minute, from seconds since 1970: the same in every language."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def ago(at: float) -> str:
    """Return how long ago a moment was, in seconds since 1970."""
    return ago_s(time.time() - at)


def ago_s(seconds: float) -> str:
    return str(format_timedelta(-max(timedelta(seconds=round(seconds)), ONE_S), add_direction=True))


def ahead(seconds: float) -> str:
    """Return in how much time something will happen."""
    return str(format_timedelta(max(timedelta(seconds=round(seconds)), ONE_S), add_direction=True))


def lasting(seconds: float) -> str:
    return str(format_timedelta(max(timedelta(seconds=round(seconds)), ONE_S)))


def duration(seconds: float) -> str:
    """Return a measured time: below a second in milliseconds."""
    if seconds < 1:
        return str(format_unit(round(1000 * seconds), "duration-millisecond", locale=get_locale()))
    return str(format_unit(round(seconds, 2), "duration-second", locale=get_locale()))


def share(part: float) -> str:
    return str(format_percent(part, "#,##0.0 %"))


def stored_message(report: Mapping[str, Any]) -> str:
    """Return the translated message of a refusal in an import's report; reports of older releases are in English."""
    message = MESSAGES.get(report.get("code", "")) if "values" in report else None
    if message:
        values = {
            name: stored_message(value) if isinstance(value, Mapping) else value
            for name, value in report["values"].items()
        }
        return str(gettext(message, **values))
    return str(report.get("message") or report.get("reason", ""))
