"""Elements of a JSON array: found whatever is in their texts, and wherever the file is cut into pieces."""

from __future__ import annotations

import io
import json
import random
import tracemalloc

import pytest

from indexing.json_arrays import AT_ONCE, ArrayReader, BrokenArray

MOST = 1_000


def elements(text: str, most: int = 10**9) -> list[tuple[str, bool]]:
    return list(ArrayReader(io.StringIO(text), most).elements())


def values(text: str) -> list[object]:
    return [json.loads(element) for element, _ in elements(text)]


def test_elements_of_every_kind_are_found_wherever_a_piece_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ['a"]\\', {"b]": [1, {"c": "}"}]}, [], {}, 1.5, None, True, [[["\\\\"]]], "א,", "\\"]
    text = json.dumps(given, ensure_ascii=False, indent=1)
    for at_once in (1, 2, 3, 7, 64):
        monkeypatch.setattr("indexing.json_arrays.AT_ONCE", at_once)
        assert values(text) == given


@pytest.mark.parametrize("text", ["[]", " [ ] ", "[\n]"])
def test_an_empty_array_has_no_elements(text: str) -> None:
    assert elements(text) == []


@pytest.mark.parametrize(
    "text", ["", "{}", "1", "[1", '["a', "[1] 2", "[1] []", "[[1]", "a[1]", '"[1]"', "[1]]", '["\\', ",[1]"]
)
def test_what_is_no_array_is_refused_after_its_elements(text: str) -> None:
    with pytest.raises(BrokenArray):
        elements(text)


def test_an_element_that_is_too_long_is_cut_and_the_next_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    for at_once in (5, 100, AT_ONCE):
        monkeypatch.setattr("indexing.json_arrays.AT_ONCE", at_once)
        for filling in (
            '"' + "x" * 5_000 + '"',
            '"' + '\\"' * 3_000 + '"',
            "[" + "1," * 3_000 + "1]",
            '"\\\\"' + " " * 5_000,
        ):
            found = elements(f"[1, {filling}, {filling}, 2]", MOST)
            assert [is_whole for _, is_whole in found] == [True, False, False, True]
            assert [found[0][0], found[3][0].strip()] == ["1", "2"]
            assert all(len(element) <= 200 for element, _ in found)
            assert found[1][0].strip().startswith(filling[:4])


def test_an_endless_element_takes_no_memory() -> None:
    class Endless(io.StringIO):
        left = 200 * AT_ONCE

        def read(self, size: int | None = -1) -> str:
            count = min(size or 0, self.left)
            self.left -= count
            return "x" * count

    reader = ArrayReader(Endless(), MOST)
    reader._text = '["'
    tracemalloc.start()
    try:
        with pytest.raises(BrokenArray):
            list(reader.elements())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * AT_ONCE


def test_any_array_is_split_as_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(5)

    def value(depth: int) -> object:
        kind = chance.randrange(5 if depth else 3)
        if kind < 3:
            return chance.choice(["", '"', "\\", "]", "},{", '\\"', "\n", 7, -1.5, None, False])
        items = [value(depth - 1) for _ in range(chance.randrange(4))]
        return items if kind == 3 else {f'k"{place}': item for place, item in enumerate(items)}

    for _ in range(300):
        monkeypatch.setattr("indexing.json_arrays.AT_ONCE", chance.randrange(1, 30))
        given = [value(4) for _ in range(chance.randrange(6))]
        assert values(json.dumps(given)) == given
