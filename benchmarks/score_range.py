"""Which cosines mean something for a model: the distributions that its manifest's cut-offs come from.

python benchmarks/score_range.py [model folder] [folder with heq_*.jsonl, he_docs.jsonl and he_wordnet.jsonl]
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from encoders.base import Encoder  # noqa: E402
from encoders.manifest import load_means  # noqa: E402
from encoders.onnx_encoder import OnnxEncoder  # noqa: E402
from encoders.score_range import gibberish, related_tags  # noqa: E402

WINDOW_CHARACTERS = 300
PERCENTILES = (1, 5, 25, 50, 75, 95, 99, 99.5, 99.9)


def main() -> None:
    model = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "models" / "e5-small"
    data = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT.parent / "shared" / "data"
    encoder = OnnxEncoder(model)
    print(f"cosines of {encoder.name} at the percentiles".ljust(56), *(f"{each:>6g}" for each in PERCENTILES))
    scores(encoder, data)
    tags(encoder, data)


def scores(encoder: Encoder, data: Path) -> None:
    """Print queries against passages and their windows: relevant, unrelated, gibberish."""
    passages = [row["body"] for row in _rows(data / "heq_corpus.jsonl")]
    places = {row["id"]: place for place, row in enumerate(_rows(data / "heq_corpus.jsonl"))}
    asked = {row["id"]: row["text"] for row in _rows(data / "heq_queries.jsonl")}
    qrels = [line.split("\t") for line in (data / "heq_qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    wanted = np.array([places[passage] for query, passage, _ in qrels])
    queries = encoder.encode_queries([asked[query] for query, *_ in qrels])
    texts = [(place, window) for place, passage in enumerate(passages) for window in windows(passage)]
    owners = np.array([place for place, _ in texts])
    rows = np.arange(len(queries))

    whole = queries @ encoder.encode_passages(passages).T
    _line("question, its passage whole", whole[rows, wanted])
    _line("question, other passages whole", np.delete(whole, wanted, axis=1))
    embeddings = encoder.encode_passages([window for _, window in texts])
    for name, less in (("", np.zeros((2, encoder.dim))), (", centred", load_means(encoder.manifest))):
        _windows(encoder, name, less, queries=queries, embeddings=embeddings, owners=owners, wanted=wanted)


def _windows(
    encoder: Encoder,
    name: str,
    less: np.ndarray,
    *,
    queries: np.ndarray,
    embeddings: np.ndarray,
    owners: np.ndarray,
    wanted: np.ndarray,
) -> None:
    """Print queries against windows: less holds what is taken from passages, then from queries, first."""
    embeddings = _unit(embeddings - less[0])
    rows = np.arange(len(queries))
    cut = _unit(queries - less[1]) @ embeddings.T
    best = np.stack([cut[:, owners == place].max(axis=1) for place in range(wanted.max() + 1)], axis=1)
    _line(f"question, best window of its passage{name}", best[rows, wanted])
    best[rows, wanted] = -1
    _line(f"question, windows of others{name}", cut[owners[None, :] != wanted[:, None]])
    _line(f"question, best window of any other{name}", best.max(axis=1))
    for kind, strings in gibberish():
        against = _unit(encoder.encode_queries(strings) - less[1]) @ embeddings.T
        _line(f"{kind}, any window{name}", against)
        _line(f"{kind}, the best of all{name}", against.max(axis=1))


def tags(encoder: Encoder, data: Path) -> None:
    """Print tags against tags: strangers, synonyms, neighbours."""
    names = sorted({tag for row in _rows(data / "he_docs.jsonl") for tag in row["tags"]})
    skills = sorted({skill for row in _rows(data / "job_roles.jsonl") for skill in row["skills"]})
    random.Random(1).shuffle(skills)
    for name, vocabulary in (("Hebrew tags", names), ("English skills", skills[:1500])):
        embeddings = encoder.encode_tags(vocabulary)
        cosines = embeddings @ embeddings.T
        np.fill_diagonal(cosines, -1)
        _line(f"{name}, any two", cosines[np.triu_indices(len(vocabulary), 1)])
        _line(f"{name}, the nearest other", cosines.max(axis=1))
        shown = np.argsort(-np.triu(cosines), axis=None)[:4000:200]
        print(*(_pair(vocabulary, cosines, place) for place in shown), sep="\n")
    synsets = [row["words"] for row in _rows(data / "he_wordnet.jsonl")]
    groups = [words for words in synsets if len(words) > 1]
    _line("Hebrew synonyms", _cosines(encoder, [(words[0], words[1]) for words in groups]))
    firsts = [words[0] for words in synsets]
    _line("Hebrew words, any two", _cosines(encoder, list(zip(firsts, firsts[997:], strict=False))))
    _line("related tags", _cosines(encoder, related_tags()))
    print(
        *sorted(zip(_cosines(encoder, related_tags()).round(3).tolist(), related_tags(), strict=True)),
        sep="\n",
    )


def windows(text: str) -> Iterator[str]:
    """Yield parts of about WINDOW_CHARACTERS, cut between words."""
    part = ""
    for word in text.split():
        if part and len(part) + len(word) >= WINDOW_CHARACTERS:
            yield part
            part = ""
        part = f"{part} {word}".strip()
    if part:
        yield part


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _cosines(encoder: Encoder, pairs: list[tuple[str, str]]) -> np.ndarray:
    lefts, rights = (encoder.encode_tags(side) for side in zip(*pairs, strict=True))
    cosines: np.ndarray = np.einsum("ij,ij->i", lefts, rights)
    return cosines


def _pair(vocabulary: list[str], cosines: np.ndarray, place: int) -> str:
    left, right = divmod(int(place), len(vocabulary))
    return f"    {cosines[left, right]:.3f}  {vocabulary[left]} | {vocabulary[right]}"


def _line(name: str, cosines: np.ndarray) -> None:
    values = np.percentile(cosines, PERCENTILES)
    print(f"{name} ({cosines.size})".ljust(56), *(f"{value:6.3f}" for value in values))


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


if __name__ == "__main__":
    main()
