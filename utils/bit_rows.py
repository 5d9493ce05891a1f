"""Embeddings in two bits a dimension, sign and magnitude, and the rows nearest to a query by them.

A query is compared with the signs of all rows by Hamming distance, with those of the nearest as floats, and with the
magnitudes of the nearest among them. The estimate of a dot product from signs follows Gao and Long, RaBitQ (SIGMOD
2024). What is returned is meant to be re-ranked with the stored values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]

BLOCK = 65_536  # rows compared at once: the temporary arrays stay in the processor's cache
PLANES_AT_ONCE = 3  # whose differing bits can be counted in a byte
FARTHEST, MOST_OFFSET = 192, 63  # the largest distance, and the most that a group adds: together they fill a byte
NEVER = FARTHEST + MOST_OFFSET  # the distance of a row that is left out
GATHERED = 8  # times as long as comparing a row takes gathering it
SAMPLE = 131_072  # distances counted to see how far the nearest reach
LARGE, LEVELS = 0.98, (10, 3)  # where a magnitude is large, in standard deviations; what large and small ones count
CLOSER = 10  # times as many rows are compared by both bits as are returned
# Shape (8, 256): the bits of each byte, lowest first.
BITS_OF_BYTES = np.unpackbits(np.arange(256, dtype=np.uint8)[None, :], axis=0, bitorder="little").astype(np.float32)


@dataclass(frozen=True, slots=True)
class SearchTarget:
    """What rows x are compared with: x·vector, plus (x - mean of its group)/length·unit, plus the group's offset."""

    vector: Floats
    unit: Floats
    offsets: Floats

    @staticmethod
    def plain(vector: Floats) -> SearchTarget:
        """Return the target of a plain dot product."""
        return SearchTarget(vector, np.zeros_like(vector), np.zeros(1, np.float32))


def planes_high(dim: int) -> int:
    """Return the number of planes of 64 dimensions each."""
    return -(-dim // 64)


def signs(rows: Floats) -> NDArray[np.uint64]:
    """Return the sign bits of rows (n, dim) as planes (dim / 64, n)."""
    return packed_bits(rows > 0).view("<u8").T


def packed_bits(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return flags (n, dim) as bytes, those of a row padded to a multiple of eight."""
    bits = np.packbits(flags, axis=1, bitorder="little")
    padded = np.zeros((len(bits), planes_high(flags.shape[1]) * 8), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return padded


@dataclass(frozen=True, slots=True)
class BitRows:
    """The bits of rows (x - mean of their group), and five values each; everything may lie in a mapped file.

    `planes` are the signs, of 64 dimensions each, `magnitudes` the second bits, row by row: few rows need them.
    `norms` are the rows' lengths, `factors` and `finer` lead from a sum of signs, or of both bits, to a dot product,
    `biases` are the dot products with the mean query (all float16), `groups` int8.
    """

    planes: NDArray[np.uint64]
    magnitudes: NDArray[np.void]
    norms: NDArray[np.float16]
    factors: NDArray[np.float16]
    finer: NDArray[np.float16]
    biases: NDArray[np.float16]
    groups: NDArray[np.int8]

    @staticmethod
    def of(rows: Floats, groups: NDArray[np.int8] | int, query_mean: Floats) -> BitRows:
        """Return the bits of (x - mean of its group), shape (n, dim)."""
        sizes, lengths = np.abs(rows), np.linalg.norm(rows, axis=1)
        is_large = sizes > LARGE * lengths[:, None] / rows.shape[1] ** 0.5
        of_signs, of_both = (
            lengths**2 / np.maximum(sums, 1e-12)
            for sums in (sizes.sum(axis=1), (sizes * np.where(is_large, *LEVELS)).sum(axis=1))
        )
        norms, factors, finer, biases = (
            each.astype(np.float16) for each in (lengths, of_signs, of_both, rows @ query_mean)
        )
        of_each = np.broadcast_to(np.asarray(groups, np.int8), (len(rows),))
        magnitudes = packed_bits(is_large)
        return BitRows(
            signs(rows), magnitudes.view(f"V{magnitudes.shape[1]}").reshape(-1), norms, factors, finer, biases, of_each
        )

    @staticmethod
    def empty(count: int, dim: int) -> BitRows:
        high = planes_high(dim)
        planes, magnitudes = np.zeros((high, count), np.uint64), np.zeros(count, f"V{8 * high}")
        norms, factors, finer, biases = np.zeros((4, count), np.float16)
        return BitRows(planes, magnitudes, norms, factors, finer, biases, np.zeros(count, np.int8))

    @staticmethod
    def row_bytes(dim: int) -> int:
        return 16 * planes_high(dim) + 4 * 2 + 1

    @staticmethod
    def compared_bytes(dim: int) -> int:
        """Return the bytes of a row that every query is compared with."""
        return 8 * planes_high(dim) + 1

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        return self.planes, self.magnitudes, self.norms, self.factors, self.finer, self.biases, self.groups

    @property
    def size(self) -> int:
        return len(self.norms)

    def __getitem__(self, rows: slice | NDArray[Any]) -> BitRows:
        return BitRows(*(array[..., rows] for array in self.arrays))

    def __setitem__(self, rows: slice | NDArray[Any], others: BitRows) -> None:
        for array, values in zip(self.arrays, others.arrays, strict=True):
            array[..., rows] = values

    def tobytes(self) -> bytes:
        return b"".join(array.tobytes() for array in self.arrays)

    @staticmethod
    def frombuffer(data: bytes, count: int, dim: int) -> BitRows:
        """Return what `tobytes` wrote of so many rows, without copying."""
        rows = BitRows.empty(0, dim)
        arrays, start = [], 0
        for array in rows.arrays:
            high = array.shape[0] if array.ndim == 2 else 1
            values = np.frombuffer(data, array.dtype, high * count, start)
            arrays.append(values.reshape(high, count) if array.ndim == 2 else values)
            start += values.nbytes
        return BitRows(*arrays)

    def mean_norm(self) -> float:
        """Return the mean length of the rows; 1 if there are none."""
        return float(self.norms.mean(dtype=np.float64)) if self.size else 1.0


class BitQuery:
    """A target as it is compared with the bits of rows whose mean length is known."""

    def __init__(self, target: SearchTarget, query_mean: Floats, length: float) -> None:
        of_unit = target.unit / length
        self._direction: Floats = target.vector + of_unit - query_mean
        padded = np.zeros(planes_high(len(query_mean)) * 64, np.float32)
        padded[: len(query_mean)] = self._direction
        self._bytes = padded.reshape(-1, 8) @ BITS_OF_BYTES  # what each byte contributes
        square = max(float(self._direction @ self._direction), 1e-12)
        # The part of the estimate that depends on a row's direction only, not on its length.
        self._fixed = float(of_unit @ self._direction) / square
        self._length, self._offsets = length, target.offsets.astype(np.float32)
        self._step = max(np.pi / len(query_mean) * length * square**0.5, 1e-12)  # what one bit is worth

    def nearest(
        self, rows: BitRows, first: int, then: int, among: Places | None = None, without: Places | None = None
    ) -> tuple[Places, Floats]:
        """Return at most `then` places with their estimates, best first, of the `first` nearest by Hamming distance.

        `among` narrows the rows; `without` are places to leave out.
        """
        places = self._candidates(rows, first, among, without)
        places = best_of(places, self.estimates(rows, places), then * CLOSER)
        estimates = self.estimates(rows, places, by_both_bits=True)
        best = np.sort(best_of(np.arange(len(places)), estimates, then))
        order = best[np.argsort(-estimates[best], kind="stable")]
        return places[order], estimates[order]

    def _candidates(self, rows: BitRows, first: int, among: Places | None, without: Places | None) -> Places:
        """Return about `first` places, those nearest by Hamming distance."""
        if among is not None and without is not None:
            among = among[~np.isin(among, without)]
        if among is not None and len(among) <= max(first, rows.size // GATHERED):
            return among if len(among) <= first else among[places_within(self.distances(rows, among), first)]
        left_out: NDArray[Any] = np.zeros(0, np.int64) if without is None else without
        if among is not None:  # most rows: comparing all is quicker than gathering some
            left_out = np.ones(rows.size, bool)
            left_out[among] = False
        if rows.size <= first:
            return np.delete(np.arange(rows.size), left_out)
        distances = self.distances(rows)
        distances[left_out] = NEVER
        return places_within(distances, first)

    def distances(self, rows: BitRows, among: Places | None = None) -> NDArray[np.uint8]:
        """Return the Hamming distance of each row in steps of one to four bits, and what its group adds."""
        bits = signs(self._direction[None, :])[:, 0]
        parts = -(-len(bits) // PLANES_AT_ONCE)
        shift = (parts - 1).bit_length()
        offsets = (self._offsets.max() - self._offsets) / (self._step * 2**shift)
        added = np.minimum(np.rint(offsets), MOST_OFFSET).astype(np.uint8)
        distances = np.empty(rows.size if among is None else len(among), np.uint8)
        for start in range(0, len(distances), BLOCK):
            block = slice(start, min(start + BLOCK, len(distances)))
            taken = block if among is None else among[block]
            distances[block] = _hamming(rows.planes, bits, taken, shift)
            for group in np.flatnonzero(added):
                distances[block] += (rows.groups[taken] == group) * added[group]
        return distances

    def estimates(self, rows: BitRows, places: Places, by_both_bits: bool = False) -> Floats:
        """Return closer estimates, from the target's floats and the rows' signs, or both bits."""
        planes = [plane.take(places) for plane in rows.planes]
        sums, factors = 2.0 * self._sums(planes) - self._direction.sum(), rows.factors
        if by_both_bits:
            magnitudes = rows.magnitudes[places].view("<u8").reshape(len(places), len(planes)).T
            large = 2.0 * self._sums([plane & bits for plane, bits in zip(planes, magnitudes, strict=True)])
            large -= self._sums([np.ascontiguousarray(bits) for bits in magnitudes])
            sums, factors = LEVELS[1] * sums + (LEVELS[0] - LEVELS[1]) * large, rows.finer
        norms = np.maximum(rows.norms.take(places).astype(np.float32), 1e-6)
        lengths = 1 - self._fixed + self._fixed * self._length / norms
        products = sums * factors.take(places).astype(np.float32) * lengths
        estimates: Floats = products + rows.biases.take(places) + self._offsets.take(rows.groups.take(places))
        return estimates

    def _sums(self, planes: Sequence[NDArray[np.uint64]]) -> Floats:
        """Return the sum of the direction's values where a bit is set, for each row."""
        sums = np.zeros(len(planes[0]), np.float32)
        for number, plane in enumerate(planes):
            packed = plane.view(np.uint8).reshape(-1, 8)
            for place in range(8):
                sums += self._bytes[8 * number + place].take(packed[:, place])
        return sums


def best_of(places: Places, estimates: Floats, count: int) -> Places:
    """Return at most `count` places, those with the highest estimates, in no order."""
    return places if len(places) <= count else places[estimates.argpartition(-count)[-count:]]


def _hamming(
    planes: NDArray[np.uint64], bits: NDArray[np.uint64], rows: slice | Places, shift: int
) -> NDArray[np.uint8]:
    """Return the distances of a block of rows, each PLANES_AT_ONCE planes shifted: at most FARTHEST."""
    total: NDArray[np.uint8] | None = None
    for start in range(0, len(planes), PLANES_AT_ONCE):
        part = np.bitwise_count(planes[start][rows] ^ bits[start])
        for plane in range(start + 1, min(start + PLANES_AT_ONCE, len(planes))):
            part += np.bitwise_count(planes[plane][rows] ^ bits[plane])
        part >>= shift
        total = part if total is None else np.add(total, part, out=total)
    return np.zeros(0, np.uint8) if total is None else total


def places_within(distances: NDArray[np.uint8], count: int) -> Places:
    """Return about `count` places, or somewhat more, of the least distances; never one at the distance NEVER."""
    # An odd step: the chunks of documents that have four each must all be counted.
    sample = distances[:: len(distances) // SAMPLE | 1]
    reached = np.bincount(sample, minlength=256).cumsum()
    limit = min(int(np.searchsorted(reached, count / len(distances) * len(sample))), NEVER - 1)
    return np.flatnonzero(distances <= limit)
