"""BM25 over packed counts against the formula written out."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pytest

from utils.bm25 import BM25, K1, B, Field, QueryTerm, idf, pack, term_id, unpack

VOCABULARY = [f"w{number}" for number in range(60)]
FIELDS = ("s", "g")
WEIGHTS = (1.0, 0.5)


class Collection:
    """Random documents of two fields, each a Counter of words."""

    def __init__(self, seed: int, size: int) -> None:
        chance = random.Random(seed)
        self.documents = [
            tuple(Counter(chance.choices(VOCABULARY, k=chance.randrange(1, 40))) for _ in FIELDS) for _ in range(size)
        ]
        self.lengths = [[sum(document[field].values()) for document in self.documents] for field in (0, 1)]
        self.means = [sum(lengths) / size for lengths in self.lengths]

    def having(self, field: int, word: str) -> int:
        return sum(word in document[field] for document in self.documents)

    def packed(self) -> list[bytes]:
        return [
            pack({term_id(FIELDS[f], word): count for f in (0, 1) for word, count in document[f].items()})
            for document in self.documents
        ]

    def bm25(self, words: list[str]) -> BM25:
        query = [QueryTerm(term_id(FIELDS[f], word), f, self.having(f, word)) for f in (0, 1) for word in words]
        fields = [Field(weight, mean) for weight, mean in zip(WEIGHTS, self.means, strict=True)]
        return BM25(query, fields, len(self.documents))

    def plain_scores(self, words: list[str]) -> list[float]:
        """Return the sum over the fields of weighted BM25, as a share of its bound."""
        size, bound = len(self.documents), 0.0
        scores = [0.0] * size
        for field, weight in enumerate(WEIGHTS):
            for word in set(words):
                having = self.having(field, word)
                rarity = weight * math.log(1 + (size - having + 0.5) / (having + 0.5)) * (1.2 + 1)
                bound += rarity
                for place, document in enumerate(self.documents):
                    count = document[field][word]
                    length = self.lengths[field][place] / self.means[field]
                    scores[place] += rarity * count / (count + 1.2 * (1 - 0.75 + 0.75 * length))
        return [score / bound for score in scores]


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_the_formula(seed: int) -> None:
    collection = Collection(seed, 80)
    words = [*random.Random(seed).sample(VOCABULARY, 5), "unheard", "unheard"]
    scores = collection.bm25(words).scores(collection.packed(), np.array(collection.lengths))
    np.testing.assert_allclose(scores, collection.plain_scores(words), rtol=1e-9)


def test_the_constants_are_the_usual_ones() -> None:
    assert (K1, B) == (1.2, 0.75)


def test_no_score_exceeds_one() -> None:
    packed = pack({term_id("s", "w"): 255})
    bm25 = BM25([QueryTerm(term_id("s", "w"), 0, 1)], [Field(1.0, 1_000_000.0)], 1)
    assert 0.99 < bm25.scores([packed], np.array([[1]]))[0] <= 1.0


def test_a_document_without_a_word_of_the_query_scores_nothing() -> None:
    bm25 = BM25([QueryTerm(term_id("s", "w"), 0, 1)], [Field(1.0, 10.0)], 2)
    packed = [pack({term_id("s", "other"): 3}), pack({}), pack({term_id("s", "w"): 1})]
    scores = bm25.scores(packed, np.array([[3, 0, 1]]))
    assert scores[:2].tolist() == [0, 0]
    assert scores[2] > 0


def test_a_query_without_terms_scores_nothing() -> None:
    bm25 = BM25([], [Field(1.0, 10.0)], 2)
    assert bm25.scores([pack({1: 1})], np.array([[1]])).tolist() == [0]
    assert bm25.contains([pack({1: 1}), pack({})]).tolist() == [False, False]


def test_no_documents_have_no_scores() -> None:
    bm25 = BM25([QueryTerm(1, 0, 1)], [Field(1.0, 10.0)], 2)
    assert len(bm25.scores([], np.zeros((1, 0), np.int64))) == 0


def test_documents_with_any_of_the_terms_are_told_from_the_rest() -> None:
    # The second number has the same low 16 bits as the first, and is another term.
    bm25 = BM25([QueryTerm(70_000, 0, 0), QueryTerm(5, 0, 0)], [Field(1.0, 1.0)], 1)
    packed = [pack({70_000: 1}), pack({70_000 + 65_536: 1}), pack({}), pack({1: 1, 5: 9})]
    assert bm25.contains(packed).tolist() == [True, False, False, True]


def test_packed_counts_come_back_and_large_ones_are_cut() -> None:
    counts = {2**32 - 1: 1, 0: 255, 17: 300}
    assert unpack(pack(counts)) == counts | {17: 255}
    assert len(pack(counts)) == 15
    assert unpack(pack({})) == {}


def test_a_rare_word_tells_more_and_none_tells_less_than_nothing() -> None:
    told = [idf(having, 1_000) for having in (0, 1, 10, 500, 1_000)]
    assert told == sorted(told, reverse=True)
    assert idf(2_000, 1_000) == idf(1_000, 1_000) > 0


def test_a_term_of_one_field_is_not_that_of_the_other() -> None:
    assert term_id("s", "שלומ") != term_id("g", "שלומ")
