"""A real PyTorch model with real weights, prepared: what it finds is what the original finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.preparing import DATA, PLACE, compared, documents, prepared
from encoders.manifest import load_means, read_manifest


@pytest.mark.model
def test_a_real_model_finds_after_preparing_what_it_found_before(preparing: Path) -> None:
    if not DATA.is_dir():
        pytest.skip(f"{DATA} is not there")
    folder, _ = prepared(PLACE)
    found = compared(folder, PLACE / "source", documents(100))
    assert found.mean_cosine > 0.999
    assert found.same_nearest > 0.95
    assert found.mrr_before > 0.8
    assert abs(found.mrr_after - found.mrr_before) < 0.02
    # An English model: what it makes of Hebrew is no measure of it, and there is one mean and not one a language.
    assert load_means(read_manifest(folder)).shape == (2, 1, 384)
