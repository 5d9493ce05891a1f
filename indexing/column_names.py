"""The names that columns have in files, in Hebrew and English, and the field that each of them is read as."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

# What the API and `flask export` call the fields.
ALIASES = {
    "id": ("id",),
    "title": ("title",),
    "body": ("body", "description"),
    "tags": ("tags", "skills"),
    "language": ("language",),
    "source": ("source",),
    "url": ("url",),
    "licence": ("licence", "license"),
}
# What files call them, the surest first; a name of several words also counts by its last one, such as "Book Title".
KNOWN = {
    "id": "id|guid|uuid|uid|identifier|document id|מזהה|מספר מזהה|isbn13|isbn|issn|doi|asin|key|slug|code|קוד|מסת״ב|"
    "מספר|מס׳|url|uri|link|href|קישור",
    "title": "title|כותרת|headline|name|שם|כותר|preferred label|label|book title|job title|movie title|שם הספר|"
    "שם ספר|שם המאמר|שם המשרה|שם המכרז|שם הסרט|שם המוצר|שם המסמך|שם התפקיד|heading|caption|subject|question|נושא|"
    "שאלה|תפקיד",
    "body": "body|description|text|content|תוכן|תיאור|טקסט|גוף|גוף הטקסט|summary|תקציר|abstract|article|message|"
    "details|פירוט|פרטים|synopsis|plot|overview|definition|הגדרה|answer|תשובה|review|ביקורת|transcript|excerpt|"
    "lyrics|notes|note|הערות|about|bio|comment",
    "tags": "tags|skills|תגיות|תגים|keywords|מילות מפתח|categories|קטגוריות|genres|topics|נושאים|subjects|labels|"
    "skill|כישורים|מיומנויות|tag|תגית|תג|category|קטגוריה|genre|ז׳אנר|ז׳אנרים|סוגה|סוגות|topic|bookshelves|shelves|"
    "tag list|hashtags",
    "language": "language|lang|שפה|language code|locale",
    "source": "source|מקור",
    "url": "url|link|uri|href|קישור|כתובת אינטרנט|web address|website|web site|permalink",
    "licence": "licence|license|רישיון",
}
INVISIBLE = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff\u200b"
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_WORDS = re.compile(r"[\s_\-./:()\[\]*]+")
_QUOTES = str.maketrans({"'": "׳", "`": "׳", "’": "׳", '"': "״", "”": "״"})
_RANKS = {field: {name: place for place, name in enumerate(names.split("|"))} for field, names in KNOWN.items()}
# Last words that say too little after other words, such as in "source code" and "author name".
_ALONE_ONLY = frozenset("name key code note comment about subject label link uri href question מספר שם קוד".split())


def without_marks(text: str) -> str:
    """Return a text without the invisible signs of direction."""
    return text if text.isascii() else _INVISIBLE.sub("", text)


def plain_name(name: str) -> str:
    return without_marks(name).replace("\0", "").strip()


@lru_cache(4_096)
def words_of_name(name: str) -> str:
    """Return a column's name as words in lower case: `bookTitle`, `book_title` and `Book Title` are one name."""
    parted = _CAMEL.sub(" ", without_marks(name)).translate(_QUOTES)
    return " ".join(_NOT_WORDS.sub(" ", parted).split()).casefold()


def name_rank(name: str, field: str) -> float | None:
    """Return how surely a column is a field, 0 the surest, or None if its name says nothing of it."""
    ranks, words = _RANKS[field], words_of_name(name)
    if words in ranks:
        return ranks[words]
    before, _, last = words.rpartition(" ")
    if before and last in ranks and last not in _ALONE_ONLY:
        return ranks[last] + 1.5  # after an exact name of the first two, before any other
    return None


def is_known_name(name: str) -> bool:
    return any(words_of_name(name) in ranks for ranks in _RANKS.values())


def known_columns(columns: Iterable[str]) -> dict[str, str]:
    """Return {field: column} of the surest column for each field; only an address may also be the ID."""
    names = list(columns)
    found: dict[str, str] = {}
    for field in ("title", "body", "tags", "language", "source", "url", "licence", "id"):
        taken = set(found.values()) - ({found["url"]} if field == "id" and "url" in found else set())
        ranked = [(rank, name) for name in names if name not in taken and (rank := name_rank(name, field)) is not None]
        if ranked:
            found[field] = min(ranked, key=lambda pair: pair[0])[1]
    return found
