"""Make a model folder: python scripts/prepare_model.py e5-small [--models-dir models] [--name N]."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

REQUIREMENTS = "pip install -r requirements-e5.txt"


def main() -> int:
    """Prepare what the command line names and return the exit status: 1 after an error."""
    arguments = _arguments()
    try:
        from encoders.preparing import e5_small
        from encoders.preparing.folder import NotPrepared
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing: {REQUIREMENTS}", file=sys.stderr)
        return 1
    folder = arguments.models_dir / (arguments.name or arguments.model)
    began = time.monotonic()
    try:
        made = e5_small.prepare(folder)
    except NotPrepared as error:
        print(error, file=sys.stderr)
        return 1
    took_s = time.monotonic() - began
    print(f"{folder} made in {took_s:.0f} s" if made else f"{folder} is complete: nothing to do")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make a model folder that the site can serve.")
    parser.add_argument("model", choices=["e5-small"], help="the model to prepare")
    parser.add_argument("--models-dir", type=Path, default=ROOT / "models", help="where model folders are")
    parser.add_argument("--name", help="the folder's name, if not the model's")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
