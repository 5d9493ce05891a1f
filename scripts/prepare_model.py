"""Make a model folder: python scripts/prepare_model.py e5-small | alephbert | HUB_ID_OR_FOLDER [--name N]."""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    from encoders.preparing.checking import Checked

E5 = "e5-small"
KNOWN = (E5, "alephbert")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
RESERVED = ("none", "remote")


def main() -> int:
    """Prepare what the command line names and return the exit status: 1 after an error."""
    arguments = _arguments()
    try:
        from encoders.preparing.folder import NotPrepared
    except ModuleNotFoundError as error:
        return _missing(error, arguments.model)
    began = time.monotonic()
    try:
        folder, is_new, found = _prepared(arguments)
        took_s = time.monotonic() - began
        print(f"{folder} made in {took_s:.0f} s" if is_new else f"{folder} is complete: nothing to do")
        if found:
            print(found.table())
        if arguments.archive:
            _print_archive(folder)
    except ModuleNotFoundError as error:
        return _missing(error, arguments.model)
    except NotPrepared as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _prepared(arguments: argparse.Namespace) -> tuple[Path, bool, Checked | None]:
    """Return the folder, whether it was made just now, and how it compares with the original."""
    if arguments.model == E5:
        from encoders.preparing import e5_small

        folder = arguments.models_dir / (arguments.name or E5)
        return folder, e5_small.prepare_e5_small(folder), None
    from encoders.preparing import published
    from encoders.preparing.texts import read_sample

    name = arguments.name or published.folder_name(arguments.model)
    folder = arguments.models_dir / name
    wanted = published.Wanted(
        arguments.model, name, arguments.revision, arguments.query_prefix, arguments.passage_prefix, arguments.licence
    )
    sample = read_sample(arguments.texts) if arguments.texts else None
    found = published.prepare_published(wanted, folder, sample, lambda text: print(f"{name}: {text}", flush=True))
    return folder, found is not None, found


def _print_archive(folder: Path) -> None:
    from encoders.preparing.archive import write_archive

    path, checksum = write_archive(folder)
    print(f"MODEL_ARCHIVE_URL      where you put {path} ({path.stat().st_size / 2**20:.0f} MB)")
    print(f"MODEL_ARCHIVE_SHA256   {checksum}")


def _missing(error: ModuleNotFoundError, model: str) -> int:
    install = "pip install -r requirements-e5.txt" if model == E5 else f"make model MODEL={model}"
    print(f"{error.name} is missing: {install}", file=sys.stderr)
    return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make a model folder that the site can serve.")
    parser.add_argument("model", type=_model, help="e5-small, alephbert, a hub id (owner/model) or a folder")
    parser.add_argument("--models-dir", type=Path, default=ROOT / "models", help="where model folders are")
    parser.add_argument("--name", type=_name, help="the folder's name, if not the model's")
    parser.add_argument("--revision", help="the commit of the hub's model, if not its newest")
    parser.add_argument(
        "--texts", type=Path, help="measure on these: JSON with title and body, or plain text, a line each"
    )
    parser.add_argument("--query-prefix", help='what goes before a query, if not what the model says ("query: ")')
    parser.add_argument("--passage-prefix", help='what goes before a passage, likewise ("passage: ")')
    parser.add_argument("--licence", default="", help="the licence of the weights, if the model's card has none")
    parser.add_argument("--archive", action="store_true", help="also write NAME.tar.gz beside it, for hosts to fetch")
    return parser.parse_args()


def _model(given: str) -> str:
    if given in KNOWN or HUB_ID.fullmatch(given) or Path(given).is_dir():
        return given
    raise argparse.ArgumentTypeError(
        f"{given!r} is neither {', '.join(KNOWN)}, nor a hub id (owner/model), nor a folder"
    )


def _name(given: str) -> str:
    if not NAME.fullmatch(given) or given in RESERVED:
        raise argparse.ArgumentTypeError(f"{given!r}: small letters, digits, dots and dashes, and not none or remote")
    return given


if __name__ == "__main__":
    sys.exit(main())
