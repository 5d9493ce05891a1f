"""Hashes of names and of their first words, to rule out quickly that one of many names starts at a place in a text."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from utils.hebrew import forms, stem

PrefixHashes = NDArray[np.uint32]


@lru_cache(maxsize=8_192)
def loose_form(form: str) -> str:
    """Return a folded word without its number: a plural and, in Hebrew, a construct form have that of the singular."""
    if not "א" <= form[0] <= "ת":
        return stem(form)
    if len(form) >= 6 and form.endswith("ות"):
        return form[:-2] + "ה"
    if len(form) >= 5 and form.endswith(("ימ", "י")):
        return form.removesuffix("מ").removesuffix("י")
    return form[:-1] + "ה" if len(form) >= 4 and form.endswith("ת") else form


def loose_name(name: str) -> str:
    """Return a name's words without their number: `ci cd pipeline` of `CI/CD pipelines`."""
    return " ".join(map(loose_form, forms(name)))


def prefix_hash(*words: str) -> int:
    """Return the hash of the first words of a name, whatever their number; a collision only costs a look-up."""
    return crc32(" ".join(map(loose_form, words)).encode("utf-8", "surrogatepass"))


def prefix_hashes(names: Iterable[str]) -> PrefixHashes:
    """Return the sorted hashes of each name's first two words, or of its only one."""
    return np.unique(np.array([prefix_hash(*parted[:2]) for name in names if (parted := forms(name))], np.uint32))


def name_hash(name: str) -> int:
    """Return the hash of a whole name, whatever the number of its words."""
    return prefix_hash(*forms(name))
