"""Removes marks that are not part of a Hebrew word: niqqud, cantillation, invisible controls."""

import re
import unicodedata

# Presentation forms with niqqud (שׁ as U+FB2A), wide letters and the alef-lamed ligature.
_PRESENTATION_FORMS = re.compile("[\ufb1d-\ufb4f]+")

# U+05BE maqaf, U+05C0 paseq, U+05C3 sof pasuq and U+05C6 nun hafukha separate words, so they are kept.
_POINTS_AND_CONTROLS = re.compile(
    "[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)


def strip_points(text: str) -> str:
    """Return text without niqqud, cantillation, and bidi or zero-width controls."""
    letters = _PRESENTATION_FORMS.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return _POINTS_AND_CONTROLS.sub("", letters)
