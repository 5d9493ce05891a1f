"""What the pages and the API of imports share."""

from __future__ import annotations

from pathlib import Path

from web.current import settings


def upload_folder() -> Path:
    return settings().instance_dir / "uploads"
