"""Skills in other words, by rules and a seed: words dropped, their order changed, inflected, mistyped."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection

from models import tag_key
from utils.hebrew import is_stop_word

LONG_WORD = 5  # letters of a word that is mistyped: a shorter one may become another word
MOST_TRIES = 20


def reworded(name: str, chance: random.Random, kinds: int, known: Collection[str]) -> str:
    """Return a skill changed in so many ways, of four at most, so that its key is none of the `known` ones.

    A way that a name does not bear (one word has no order) is left for another; where none is left, a typo.
    """
    for _ in range(MOST_TRIES):
        words = name.split()
        for change in sorted(chance.sample(list(WAYS), kinds), key=list(WAYS).index):
            words = WAYS[change](words, chance)
        if tag_key(" ".join(words)) not in known:
            return " ".join(words)
    words = name.split()
    while tag_key(" ".join(words)) in known:
        words = mistyped(words, chance, shortest=1)
    return " ".join(words)


def dropped(words: list[str], chance: random.Random) -> list[str]:
    """Return the words without one of them, any one; of two or fewer none is dropped."""
    if len(words) < 3:
        return words
    gone = chance.randrange(len(words))
    return [word for place, word in enumerate(words) if place != gone]


def inflected(words: list[str], chance: random.Random) -> list[str]:
    """Return the words with one of them in another form: manage, managing; staff, staffs; budgets, budget."""
    place = chance.choice([n for n, word in enumerate(words) if not is_stop_word(word.lower())] or [0])
    return [*words[:place], _inflected(words[place], chance), *words[place + 1 :]]


def _inflected(word: str, chance: random.Random) -> str:
    if word.endswith("ing") and len(word) > 5:
        return word.removesuffix("ing") + chance.choice(("e", "es", "ed"))
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        return word.removesuffix("s")
    if word.endswith("e") and len(word) > 3:
        return word.removesuffix("e") + chance.choice(("ing", "es", "ed"))
    return word + chance.choice(("s", "ing", "ed"))


def turned(words: list[str], chance: random.Random) -> list[str]:
    """Return the words in another order, any one."""
    order = list(words)
    while order == words and len(set(words)) > 1:
        chance.shuffle(order)
    return order


def mistyped(words: list[str], chance: random.Random, shortest: int = LONG_WORD) -> list[str]:
    """Return the words with one typo in one of them: a letter gone, doubled, exchanged or swapped with the next."""
    long = [n for n, word in enumerate(words) if len(word) >= shortest]
    if not long:
        return words
    place = chance.choice(long)
    word = words[place]
    at = chance.randrange(len(word))
    end = word[at + 1 :]
    typo = chance.choice((
        word[:at] + end,
        word[: at + 1] + word[at:],
        word[:at] + chance.choice("abcdefghijklmnopqrstuvwxyz") + end,
        word[:at] + end[:1] + word[at] + end[1:],
    ))  # fmt: skip
    return [*words[:place], typo, *words[place + 1 :]]


Words = Callable[[list[str], random.Random], list[str]]
WAYS: dict[str, Words] = {"dropped": dropped, "inflected": inflected, "turned": turned, "mistyped": mistyped}
