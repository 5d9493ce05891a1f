"""Mean embeddings by group, such as a language: what all texts of a group share, whatever they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from utils.int8 import Floats


class LanguageMeans:
    """`centre`, the overall mean, which stored embeddings are relative to, and `means` of shape (groups, dim)."""

    def __init__(self, rows: Floats) -> None:
        """Take float32 of shape (1 + groups, dim): the centre, then the groups, or the centre only."""
        self.centre: Floats = rows[0]
        self.means: Floats = rows[1:] if len(rows) > 1 else rows[:1]
        self.shifts: Floats = self.centre - self.means

    def groups(self, centred: Floats) -> NDArray[np.int8]:
        """Return the group with the nearest mean for each row of (x - centre), shape (n, dim)."""
        if len(self.means) == 1:
            return np.zeros(len(centred), np.int8)
        # |c + s|² differs between groups by 2·c·s + |s|² only.
        distances = 2 * centred @ self.shifts.T + (self.shifts**2).sum(axis=1)
        nearest: NDArray[np.int8] = distances.argmin(axis=1).astype(np.int8)
        return nearest

    def less_means(self, centred: Floats, groups: NDArray[np.int8]) -> Floats:
        """Return (x - mean of its group) for rows of (x - centre)."""
        rows: Floats = centred + self.shifts[groups]
        return rows

    def group(self, vector: Floats) -> int:
        """Return the group of one embedding."""
        return int(self.groups((vector - self.centre)[None, :])[0])

    def direction(self, vector: Floats) -> Floats:
        """Return (x - mean of its group) of one embedding, normalized to length 1."""
        return self.direction_in(vector, self.group(vector))

    def direction_in(self, vector: Floats, group: int) -> Floats:
        """Return (x - mean of this group), normalized to length 1."""
        row = vector - self.means[group]
        unit: Floats = row / max(float(np.linalg.norm(row)), 1e-12)
        return unit
