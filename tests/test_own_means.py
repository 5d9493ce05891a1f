"""The means of a site's own texts: near the model's for few texts, their own for many, and renewed with the data."""

from __future__ import annotations

import numpy as np
import pytest
from sqlalchemy.orm import Session

from indexes import own_means
from indexes.own_means import PRIOR, MeansOfSite, shrunk_means
from indexes.version import read_snapshot
from indexing.documents import NewDocument
from models import model_number
from search.semantic import Semantic
from tests.collections import fill
from utils.int8 import Floats
from utils.language_means import LanguageMeans

DIM = 16


def of_model() -> LanguageMeans:
    means = np.zeros((3, DIM), np.float32)
    means[1, 0], means[2, 0] = 1.0, -1.0
    return LanguageMeans(means)


def texts(count: int, language: int) -> Floats:
    """Return texts of a language that lie around a place of their own."""
    rows = np.random.default_rng(language).normal(0, 0.05, (count, DIM)).astype(np.float32)
    rows[:, 0] += (1.0, -1.0)[language]
    rows[:, 1 + language] += 0.5
    return rows


def test_many_texts_have_means_of_their_own_and_few_nearly_the_models() -> None:
    many, few = 40 * PRIOR, PRIOR // 10
    own = shrunk_means(np.concatenate([texts(many, 0), texts(few, 1)]), of_model())
    np.testing.assert_allclose(own.means.means[0, 1], 0.5, atol=0.03)
    np.testing.assert_allclose(own.means.means[1, 2], 0.5 * few / (few + PRIOR), atol=0.02)
    assert (own.means.centre == of_model().centre).all()
    assert 0.1 < own.length < 0.4


def test_without_texts_the_means_are_the_models() -> None:
    own = shrunk_means(np.zeros((0, DIM), np.float32), of_model())
    np.testing.assert_array_equal(own.means.means, of_model().means)
    assert own.length > 0


def read(session: Session, side: Semantic) -> MeansOfSite:
    index = side.current_index()
    assert index
    return MeansOfSite(model_number(index.manifest.name, index.manifest.checksum), index.manifest.dim, index.passages)


def test_the_means_of_a_small_site_follow_its_documents(session: Session) -> None:
    side = fill(session, [NewDocument("1", "one", "alpha beta")])
    site = read(session, side)
    before = site.get(session, read_snapshot(session).version)
    assert site.get(session, read_snapshot(session).version) is before
    side = fill(session, [NewDocument(str(number), f"word{number}", "gamma delta") for number in range(2, 60)])
    after = site.get(session, read_snapshot(session).version)
    assert not np.allclose(before.means.means, after.means.means)


def test_a_large_sites_means_are_not_read_at_every_change(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_means, "SAMPLE", 5)
    side = fill(session, [NewDocument(str(number), f"word{number}", "alpha beta") for number in range(20)])
    site = read(session, side)
    before = site.get(session, read_snapshot(session).version)
    fill(session, [NewDocument("x", "new", "gamma")])
    assert site.get(session, read_snapshot(session).version) is before
    monkeypatch.setattr(own_means, "RENEWED_S", -1)
    assert site.get(session, read_snapshot(session).version) is not before
