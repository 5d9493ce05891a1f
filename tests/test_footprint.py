"""Memory handed back: of libraries whose code lies idle."""

from __future__ import annotations

import sys

import pytest

from encoders.footprint import release_code


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux lists a process's maps")
def test_a_librarys_code_is_let_go_of_and_runs_again() -> None:
    import numpy as np

    before = np.linalg.inv(np.eye(3) * 2)
    assert release_code("_umath_linalg") > 0
    assert release_code("openblas") > 0
    assert np.array_equal(np.linalg.inv(np.eye(3) * 2), before)


def test_a_library_that_is_not_there_has_none() -> None:
    assert release_code("no-such-library") == 0
