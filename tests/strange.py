"""A thousand strings that nobody expects, the same ones each time."""

from __future__ import annotations

import random

PIECES = [
    *'"""\'\'--:*()^~&|!\\/<>%_{}[]+#.,;',
    *" \t\n\r\u00a0\u2028\0\x01\x1a\x7f\ud800\udfff\ufeff\u200f\u202e\ufffe",
    *("AND", "OR", "NOT", "NEAR", "NEAR(", "tag:", "-tag:", "תגית:", "-תגית:", "תג:", "stem :", "gram:", "-", "--"),
    *("שלום", 'צה"ל', "צה״ל", "ו״ב", "שָׁלוֹם", "בית־ספר", "של", "the", "C++", "C#", "1,000", "3.14", "x" * 80),
    *("😀", "👩‍👩‍👧", "é", "ß", "İ", "ﬁ", "½", "①", "漢字", "\u1cf2", "\u19b0", "🇮🇱", "a\u0301\u0301\u0301"),
    *("' OR 1=1 --", "; DROP TABLE document", "%s", ":match", "{0}", "$1", "\\'", "''", '""', '"א ב"', '-"א ב"'),
]


def strange_texts(many: int = 1_000) -> list[str]:
    chance = random.Random(20)
    found = ["", " ", '"', "-", '-"', "tag:", '"' * 999, "א" * 10_000, 'א"' * 5_000, '" ' * 5_000, "-א " * 3_000]
    while len(found) < many:
        size = chance.choice((1, 2, 3, 5, 9, 30))
        found.append(chance.choice(("", " ")).join(chance.choices(PIECES, k=size)))
    return found
