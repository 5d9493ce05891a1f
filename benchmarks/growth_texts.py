"""Documents of some 100 words without end, out of real Hebrew texts: runs of sentences, tags, and words of their own.

The few thousand texts that there are have 79,000 words. A collection of a million has many more, most of them rare: so
one word of thirty is made of the halves of two, and those too are drawn as words are, a few often and most hardly ever.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.server import rows
from utils.hebrew import content_forms, stripped
from utils.terms import index_forms

LEAST_WORDS, MOST_WORDS = 60, 140  # of a body
LONGEST_RUN = 40
OWN_SHARE, OWN_WORDS = 1 / 30, 2_000_000
OWN_TAGS = 20_000
LEVEL = 200
LOOKED_AT = 10_000  # documents sampled to tell rare words from common ones
ENDS = re.compile(r"(?<=[.!?:;])\s+|\n+")


@cache
def sentences() -> Sequence[Sequence[str]]:
    """Return the sentences of all texts as words, without niqqud, long ones cut."""
    found = (part.split() for row in rows("he_docs") for part in ENDS.split(stripped(row["body"])))
    return tuple(words[start : start + LONGEST_RUN] for words in found for start in range(0, len(words), LONGEST_RUN))


@cache
def vocabulary() -> Sequence[str]:
    return sorted({word for words in sentences() for word in words if len(word) > 3 and word.isalpha()})


@cache
def real_tags() -> Sequence[Sequence[str]]:
    return tuple(row["tags"] for row in rows("he_docs") if row.get("tags"))


def documents() -> Iterator[dict[str, Any]]:
    """Yield rows as an import takes them; always the same ones."""
    chance, number = random.Random(17), 0
    while True:
        words: list[str] = []
        wanted = chance.randint(LEAST_WORDS, MOST_WORDS)
        while len(words) < wanted:
            words += chance.choice(sentences())
        words = [own_word(chance) if chance.random() < OWN_SHARE else word for word in words[:wanted]]
        title = " ".join([*chance.choice(sentences())[:6], own_word(chance)])
        tags = [*chance.choice(real_tags()), f"נושא {often(chance, OWN_TAGS)}"]
        yield {"id": str(number), "title": title, "body": " ".join(words), "tags": tags}
        number += 1


def own_word(chance: random.Random) -> str:
    """Return a word made of two; which, follows from its number."""
    number, known = often(chance, OWN_WORDS), vocabulary()
    one, other = known[number * 7_919 % len(known)], known[number * 104_729 % len(known)]
    return one[: len(one) // 2 + 1] + other[len(other) // 2 :]


def often(chance: random.Random, most: int) -> int:
    """Return a number below `most`, small ones more often: the nth about as often as 1 / (n + LEVEL)."""
    return int(LEVEL * (most / LEVEL) ** chance.random()) - LEVEL


def written(path: Path, count: int) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for row in islice(documents(), count):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


@cache
def frequencies() -> tuple[Counter[str], Counter[str]]:
    """Return in how many of the first documents each word that counts stands, and each tag."""
    words: Counter[str] = Counter()
    tags: Counter[str] = Counter()
    for row in islice(documents(), LOOKED_AT):
        words.update(set(content_forms(index_forms(row["body"]))))
        tags.update(row["tags"])
    return words, tags


def common(counted: Counter[str], most: int) -> list[str]:
    """Return names that stand in the most documents: 40 words in some 8 % and more."""
    return [name for name, _ in counted.most_common(most)]


def rare(counted: Counter[str], most: int) -> list[str]:
    """Return names that 5 of 10,000 documents have."""
    return sorted(name for name, count in counted.items() if count == 5 and len(name) > 3 and not name.isascii())[:most]
