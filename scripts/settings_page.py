"""The reference page of the settings: python -m scripts.settings_page > docs/reference/settings.md."""

from __future__ import annotations

from config import RENAMED, Setting, declared

HEAD = """# Settings

Environment variables, read once at the start. A value that cannot be used ends the process with one line that names the
setting, the value and what is allowed; a blank value counts as unset. `flask --app app check settings` lists what is
set.

| setting | default | allowed | meaning |
|---|---|---|---|
"""
RENAMES = """
## Renamed

The old name works until the next release, with a line in the log. Where both are set, the new one wins.

| old name | new name |
|---|---|
"""
ELSEWHERE = """
`MODEL_ARCHIVE_URL` and `MODEL_ARCHIVE_SHA256` name the archive that `scripts/fetch_model.py` unpacks when the site is
built: see [Models](../how-to/models.md).

This page is generated from `config.py` by `make settings`.
"""


def page() -> str:
    rows = "".join(row(each) for each in declared().values())
    renames = "".join(f"| `{old}` | `{new}` |\n" for old, new in RENAMED.items())
    return HEAD + rows + RENAMES + renames + ELSEWHERE


def row(each: Setting) -> str:
    default = each.unset or (f"`{each.default}`" if each.default else "–")
    return f"| `{each.name}` | {default} | {each.parser.allowed} | {each.help} |\n"


if __name__ == "__main__":
    print(page(), end="")
