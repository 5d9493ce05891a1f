from __future__ import annotations

import pytest

from utils.niqqud import strip_points


@pytest.mark.parametrize(
    ("pointed", "plain"),
    [
        ("שָׁלוֹם עֲלֵיכֶם", "שלום עליכם"),
        ("בְּרֵאשִׁ֖ית בָּרָ֣א אֱלֹהִ֑ים", "בראשית ברא אלהים"),
        ("\ufb2aלום", "שלום"),
        ("\ufb4f", "אל"),
        ("\u200fצה\u05f4ל\u200e \u202bעברית\u202c", "צה\u05f4ל עברית"),
        ("בית\u05beספר", "בית\u05beספר"),
        ("\u05c0 \u05c3 \u05c6", "\u05c0 \u05c3 \u05c6"),
        ("café naïve", "café naïve"),
        ("", ""),
    ],
)
def test_points_and_controls_go_and_all_else_stays(pointed: str, plain: str) -> None:
    assert strip_points(pointed) == plain


def test_every_point_and_no_letter_is_deleted() -> None:
    block = "".join(map(chr, range(0x591, 0x5F5)))
    left = strip_points(block)
    # maqaf, paseq, sof pasuq, nun hafukha, and places that are not in use
    marks = [0x5BE, 0x5C0, 0x5C3, 0x5C6, *range(0x5C8, 0x5D0)]
    assert [ord(character) for character in left if ord(character) < 0x5D0] == marks
    assert left.endswith(block[0x5D0 - 0x591 :])


def test_stripping_twice_changes_nothing_more() -> None:
    once = strip_points("\ufb2c\ufb35 הַשִּׁיר")
    assert strip_points(once) == once
