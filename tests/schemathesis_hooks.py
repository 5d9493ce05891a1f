"""What `schemathesis` loads: each request comes from a client of its own, so that no limit hides an answer."""

from __future__ import annotations

from itertools import count
from typing import Any

import schemathesis

NUMBERS = count(1)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    number = next(NUMBERS)
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    case.headers = {**(case.headers or {}), "X-Forwarded-For": address}
