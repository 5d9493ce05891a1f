"""Gibberish queries, which no passage answers: random letters and typing mistakes."""

from __future__ import annotations

import random
from collections.abc import Iterator

ALPHABETS = {
    "random Hebrew letters": "אבגדהוזחטיכלמנסעפצקרשת",
    "random Latin letters": "abcdefghijklmnopqrstuvwxyz",
    "random Thai and Chinese": "กขคงจชซญดตถทนบปผพฟมยรลวสหอ天地人山水火木金土日月",
    "digits and signs": "0123456789#@%*+=/\\|~^",
}
# The wrong keyboard layout, held-down keys, greetings: what people type into a search box by mistake.
SLIPS = (
    "asdf",
    "asdfghjkl",
    "qwerty",
    "שדגכעיחלך",
    "akuo guko",
    "ggggggg",
    "אאאאאא",
    "test",
    "בדיקה",
    "123",
    "???",
    "xkcd zzz qqq",
    "blah blah",
    "לה לה לה",
    "😀😀",
    "נמתצץ",
    "היי",
    "lorem ipsum dolor sit amet",
)


def senseless(kinds: int = len(ALPHABETS)) -> Iterator[tuple[str, list[str]]]:
    """Yield gibberish of several kinds, always the same."""
    chance = random.Random(5)  # noqa: S311 - not a secret: the same strings on every machine
    for name, alphabet in list(ALPHABETS.items())[:kinds]:
        words = ["".join(chance.choices(alphabet, k=chance.randint(3, 9))) for _ in range(450)]
        yield name, [" ".join(words[begin : begin + 3]) for begin in range(0, 450, 3)]
    yield "slips of the keyboard", list(SLIPS)
