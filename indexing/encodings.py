"""Tells the encoding of a text file from its bytes."""

from __future__ import annotations

import codecs
import re

from indexing.rows import FileUnusable

SAMPLE_BYTES = 4_194_304
UNDECODABLE = "lone_surrogates"  # the error handler of files: each bad byte becomes a lone surrogate
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark begins alike
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The ten most frequent letters of each language, two thirds of any text.
_FREQUENT = {"cp1255": "יהולארתבמש".encode("cp1255"), "cp1251": "оеаинтсрвл".encode("cp1251")}
_LATIN_WORD = re.compile(rb"[A-Za-z][\xc0-\xff]+|[\xc0-\xff]+[A-Za-z]")
_LETTERS = re.compile(rb"[\xc0-\xff]+")
_CYRILLIC_ONLY = re.compile(rb"[\xfb\xfc\xff]|(?<![\x80-\xff])[\xc0-\xdf](?=[\xe0-\xff])")  # in Hebrew: vowel points


def _lone_surrogates(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(UNDECODABLE, _lone_surrogates)


def encoding_of(sample: bytes) -> str:
    """Return the name of the encoding of a text, by what its first SAMPLE_BYTES say."""
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    if wide := _wide_encoding(sample[:4096]):
        return wide
    lines = sample.split(b"\n")[: -1 if len(sample) == SAMPLE_BYTES else None]
    foreign = [line for line in lines if not line.isascii()]
    bad = [line for line in foreign if not _is_utf8(line)]
    return _legacy_encoding(b"\n".join(bad)) if len(bad) * 2 > len(foreign) else "utf-8-sig"


def decoded(content: bytes, given: str = "") -> str:
    """Return a text in whatever encoding it is; bytes that are none become replacement characters."""
    return content.decode(given or encoding_of(content[:SAMPLE_BYTES]), "replace")


def checked_encoding(name: str) -> str:
    """Return the usual name of an encoding of text; raises FileUnusable."""
    try:
        "a".encode(name)  # refuses what is no encoding of text
        found = codecs.lookup(name).name
    except (LookupError, UnicodeError, ValueError) as error:
        raise FileUnusable("encoding", encoding=name[:40]) from error
    return "utf-8-sig" if found == "utf-8" else found


def _wide_encoding(start: bytes) -> str:
    """Return UTF-16 without a mark, in which every other byte of spaces, digits and line ends is zero."""
    zeros = [start[place::2].count(0) for place in (0, 1)]
    if sum(zeros) * 10 < len(start) or min(zeros) * 10 > max(zeros):
        return ""
    return "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _legacy_encoding(text: bytes) -> str:
    """Return cp1252 if the letters stand among Latin ones, else cp1251 or cp1255 by the letters that are frequent."""
    words = _LETTERS.findall(text)
    if not words or len(_LATIN_WORD.findall(text)) * 2 > len(words):
        return "cp1252" if words else "cp1255"
    letters = b"".join(words)
    shares = {name: sum(letters.count(letter) for letter in frequent) for name, frequent in _FREQUENT.items()}
    shares["cp1251"] += 2 * len(_CYRILLIC_ONLY.findall(text))
    return max(shares, key=lambda name: shares[name])
