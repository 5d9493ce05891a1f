"""Splits a file with one JSON array into the texts of its elements, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TextIO

AT_ONCE = 65_536  # characters
SHOWN = 200
# A string, without `end` if the text stops within it, or a sign that may end an element.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?P<end>")?|[][{},]', re.DOTALL)


class BrokenArray(ValueError):
    """A file that is no JSON array, or not from here on."""


class ArrayReader:
    """Reads the elements one after another; of one that is too long, only the beginning is kept."""

    def __init__(self, file: TextIO, most: int) -> None:
        self._file, self._most = file, most
        self._text, self._start, self._place = "", 0, 0  # the current element begins at `start`
        self._beginning = ""  # of an element that is too long

    def elements(self) -> Iterator[tuple[str, bool]]:
        """Yield the text of each element, and whether it is whole; raises BrokenArray where the array breaks off."""
        depth, has_begun = 0, False
        while sign := self._next_sign():
            if depth == 0 and (sign != "[" or self._text[self._start : self._place - 1].strip()):
                raise BrokenArray("no array at the beginning")
            if depth == 1 and sign in ",]}":
                element = self._taken()
                if element[0].strip() or sign == ",":
                    yield element
            if depth == 0:
                has_begun = True
                self._taken()
            depth += 1 if sign in "[{" else -1 if sign in "]}" else 0
            if depth == 0:
                break
        if depth or not has_begun:
            raise BrokenArray("the file ends within the array" if depth else "no array at the beginning")
        if (self._text[self._place :] + self._file.read(SHOWN)).strip():
            raise BrokenArray("text after the array")

    def elements_of(self, place: int) -> Iterator[tuple[str, bool]]:
        """Yield the elements of one array in the file, the first that begins being 1; raises BrokenArray."""
        while place and (sign := self._next_sign()):
            self._start, place = self._place, place - (sign == "[")
        depth = 1
        while sign := self._next_sign():
            if depth == 1 and sign in ",]":
                element = self._taken()
                if element[0].strip() or sign == ",":
                    yield element
            depth += 1 if sign in "[{" else -1 if sign in "]}" else 0
            if depth == 0:
                return
        raise BrokenArray("the file ends within the array")

    def objects(self) -> Iterator[tuple[str, bool]]:
        """Yield objects that follow one another, with or without commas; raises BrokenArray if the last has no end."""
        depth = 0
        while sign := self._next_sign():
            depth += 1 if sign in "[{" else -1 if sign in "]}" else 0
            if depth == 0 and sign in "]}":
                element, is_whole = self._taken(self._place)
                yield element, is_whole
            elif depth <= 0:
                self._start, depth = self._place, 0
        if depth or self._text[self._start :].strip():
            raise BrokenArray("the file ends within an object")

    def _taken(self, end: int = 0) -> tuple[str, bool]:
        text = self._text[self._start : end or self._place - 1]
        is_whole = not self._beginning and len(text) <= self._most
        element = text if is_whole else (self._beginning or text[:SHOWN])
        self._start, self._beginning = self._place, ""
        return element, is_whole

    def _next_sign(self) -> str:
        """Return the next bracket or comma outside of strings; an empty string at the end of the file."""
        while True:
            token = _TOKEN.search(self._text, self._place)
            if token is None or (token[0][0] == '"' and not token["end"]):
                if not self._read_on(token):
                    return ""
            else:
                self._place = token.end()
                if token[0][0] != '"':
                    return token[0]

    def _read_on(self, string: re.Match[str] | None) -> bool:
        """Read more of the file, after a string that has not ended; return whether there was more."""
        self._place = string.start() if string else len(self._text)
        if len(self._text) - self._start > self._most:
            self._beginning = self._beginning or self._text[self._start :][:SHOWN]
            # What follows an unfinished string's last whole character is half of an escape.
            self._text = '"' + self._text[string.end() :] if string else ""
            self._place = 0
        else:
            self._text = self._text[self._start :]
            self._place -= self._start
        self._start = 0
        piece = self._file.read(AT_ONCE + len(self._text) - self._place)
        self._text += piece
        return bool(piece)
