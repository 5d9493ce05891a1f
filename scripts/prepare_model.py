"""Make a model folder: python scripts/prepare_model.py e5-small | alephbert | HUB_ID_OR_FOLDER [--name N].

hebrew-words makes the table of Hebrew word frequencies alone; preparing e5-small makes it too.
"""

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
HEBREW_WORDS = "hebrew-words"
KNOWN = (E5, "alephbert", HEBREW_WORDS)
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
RESERVED = ("none", "remote", HEBREW_WORDS)


def main() -> int:
    """Prepare the model that the command line names and return the exit status: 1 after an error."""
    arguments = _arguments()
    try:
        from encoders.preparing.folder import NotPrepared
    except ModuleNotFoundError as error:
        return _missing(error, arguments.model)
    began = time.monotonic()
    try:
        folder, is_new, measured = _prepared(arguments)
        took_s = time.monotonic() - began
        print(f"{folder} made in {took_s:.0f} s" if is_new else f"{folder} is complete: nothing to do")
        if measured:
            print(measured.table())
        if arguments.archive and arguments.model != HEBREW_WORDS:
            _print_archive(folder)
    except ModuleNotFoundError as error:
        return _missing(error, arguments.model)
    except NotPrepared as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _prepared(arguments: argparse.Namespace) -> tuple[Path, bool, Checked | None]:
    """Return the folder, whether it is new, and how its quality compares with the original."""
    if arguments.model == HEBREW_WORDS:
        return *_hebrew_words(arguments.models_dir), None
    if arguments.model == E5:
        from encoders.preparing import e5_small

        folder = arguments.models_dir / (arguments.name or E5)
        is_new = e5_small.prepare_e5_small(folder)
        if not arguments.name:
            words, words_are_new = _hebrew_words(arguments.models_dir)
            if words_are_new:
                print(f"{words} made")
        return folder, is_new, None
    from encoders.preparing import published
    from encoders.preparing.texts import read_sample

    name = arguments.name or published.folder_name(arguments.model)
    folder = arguments.models_dir / name
    wanted = published.Wanted(
        arguments.model, name, arguments.revision, arguments.query_prefix, arguments.passage_prefix, arguments.licence
    )
    sample = read_sample(arguments.texts) if arguments.texts else None
    measured = published.prepare_published(wanted, folder, sample, lambda text: print(f"{name}: {text}", flush=True))
    return folder, measured is not None, measured


def _hebrew_words(models_dir: Path) -> tuple[Path, bool]:
    from encoders.preparing.hebrew_words import prepare_hebrew_words

    folder = models_dir / HEBREW_WORDS
    return folder, prepare_hebrew_words(folder)


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
    parser.add_argument(
        "model", type=_model, help="e5-small, alephbert, hebrew-words, a hub id (owner/model) or a folder"
    )
    parser.add_argument("--models-dir", type=Path, default=ROOT / "models", help="the folder of model folders")
    parser.add_argument("--name", type=_name, help="the folder's name, if not the model's")
    parser.add_argument("--revision", help="the commit on the hub, if not the newest")
    parser.add_argument(
        "--texts", type=Path, help="texts to measure quality on, one per line: JSON with title and body, or plain text"
    )
    parser.add_argument("--query-prefix", help='the prefix of queries, if not that of the model ("query: ")')
    parser.add_argument("--passage-prefix", help='the prefix of passages, if not that of the model ("passage: ")')
    parser.add_argument("--licence", default="", help="the licence of the weights, if the model's card has none")
    parser.add_argument("--archive", action="store_true", help="also write NAME.tar.gz beside it, for fetch_model.py")
    return parser.parse_args()


def _model(text: str) -> str:
    if text in KNOWN or HUB_ID.fullmatch(text) or Path(text).is_dir():
        return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither {', '.join(KNOWN)}, nor a hub id (owner/model), nor a folder"
    )


def _name(text: str) -> str:
    if not NAME.fullmatch(text) or text in RESERVED:
        raise argparse.ArgumentTypeError(
            f"{text!r}: small letters, digits, dots and dashes, and not {', '.join(RESERVED)}"
        )
    return text


if __name__ == "__main__":
    sys.exit(main())
