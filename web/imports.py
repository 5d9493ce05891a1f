"""What the pages and the API of imports share."""

from __future__ import annotations

from pathlib import Path

from web.current import runtime


def upload_folder() -> Path:
    return runtime().upload_folder
