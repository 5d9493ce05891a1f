"""The published tokenizers themselves: their files in our form, and the pieces of texts read from standard input.

Run in the environment that prepares models: python -m tests.tokenizers_reference TOKENIZER_FOLDER OUR_FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    from transformers import AutoTokenizer

    from encoders.preparing.tokenizer_files import write_tokenizer

    backend = AutoTokenizer.from_pretrained(sys.argv[1]).backend_tokenizer
    said = write_tokenizer(backend, Path(sys.argv[2]))
    found = backend.encode_batch(json.load(sys.stdin), add_special_tokens=False)
    json.dump({"says": said, "ids": [each.ids for each in found]}, sys.stdout)


if __name__ == "__main__":
    main()
