"""Embeddings in compact form: small, close to what they were, and never not a number."""

from __future__ import annotations

import numpy as np

from utils.int8 import centred, compact


def test_a_compact_embedding_is_close_to_what_it_was() -> None:
    chance = np.random.default_rng(1)
    embeddings = chance.normal(size=(200, 96)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    mean = embeddings.mean(axis=0)
    stored = compact(embeddings, mean)
    back = centred(stored, 96)
    assert back.dtype == np.float32
    wanted = embeddings - mean
    assert np.abs(back - wanted).max() <= np.abs(wanted).max(axis=1).max() / 127 * 0.51
    cosines = (back * wanted).sum(axis=1) / np.linalg.norm(back, axis=1) / np.linalg.norm(wanted, axis=1)
    assert cosines.min() > 0.9998


def test_it_takes_four_bytes_and_one_a_dimension() -> None:
    assert [len(one) for one in compact(np.ones((3, 64), np.float32), np.zeros(64, np.float32))] == [68] * 3


def test_the_mean_itself_becomes_zeros() -> None:
    mean = np.full(8, 0.25, np.float32)
    assert centred(compact(mean[None, :], mean), 8).tolist() == [[0.0] * 8]


def test_no_embeddings_have_no_rows() -> None:
    assert compact(np.zeros((0, 8), np.float32), np.zeros(8, np.float32)) == []
    assert centred([], 8).shape == (0, 8)
