"""Rows by key: appended, removed and found again, whatever the order."""

from __future__ import annotations

import random

import numpy as np

from utils.keyed_rows import KeyedRows, ranges


def test_random_writes_leave_what_a_dictionary_has() -> None:
    rng = random.Random(3)
    rows = KeyedRows(np.zeros(0, np.float32), np.zeros((2, 0), np.int8))
    expected: dict[int, list[tuple[float, ...]]] = {}
    for _ in range(200):
        key = rng.randrange(40)
        rows.remove(np.array([key]))
        expected.pop(key, None)
        if count := rng.randrange(4):
            values = np.array([rng.random() for _ in range(count)], np.float32)
            pairs = np.array([rng.choices(range(-9, 9), k=count) for _ in range(2)], np.int8)
            rows.append(np.full(count, key), np.arange(count), values, pairs)
            expected[key] = [(part, values[part], *pairs[:, part].tolist()) for part in range(count)]
        stored: dict[int, list[tuple[float, ...]]] = {}
        for key, part, value, (one, other) in zip(
            rows.keys.tolist(), rows.parts.tolist(), rows.columns[0], rows.columns[1].T.tolist(), strict=False
        ):
            stored.setdefault(key, []).append((part, value, one, other))
        assert {key: sorted(values, key=lambda row: row[0]) for key, values in stored.items()} == expected
        assert rows.size == sum(map(len, expected.values()))
    places = rows.places(np.array(sorted(expected)))
    assert sorted(places.tolist()) == list(range(rows.size))


def test_columns_end_with_the_rows_and_not_with_the_room_for_more() -> None:
    rows = KeyedRows(np.zeros(0, np.int8), capacity=10)
    rows.append(np.array([1]), np.array([0]), np.array([5]))
    assert [column.tolist() for column in rows.columns] == [[5]]
    assert rows.nbytes == 10 * (8 + 2 + 1)


def test_ranges_of_unsigned_numbers() -> None:
    found = ranges(np.array([7, 3, 9], np.uint32), np.array([2, 1, 0], np.uint32))
    assert found.tolist() == [7, 8, 3]
    assert found.dtype == np.int64
