"""Where one may read about a skill that is missing: documents of other collections that have it as a tag."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.skills import skill
from models import number, tag_number
from utils.hebrew import is_hebrew
from utils.sql import among_sql, by_dialect, number_list

MOST_MISSING, MOST_DOCUMENTS = 20, 2
MOST_LOOKED_AT = 20_000  # documents with a tag, among which those of other collections are looked for

# From the skills to the collections that have them as a tag, by their counts, and only then to the documents.
SQLITE = """
SELECT json_extract(given.value, '$[0]'), document.own_id, document.title, collection.name
FROM json_each(:given) given CROSS JOIN collection CROSS JOIN tag_count
  ON tag_count.collection_id = collection.id AND tag_count.tag_id = json_extract(given.value, '$[1]')
CROSS JOIN document ON document.id IN (
  SELECT document.id FROM (SELECT document_id FROM document_tag WHERE tag_id = tag_count.tag_id LIMIT :looked) tagged
  CROSS JOIN document ON document.id = tagged.document_id AND document.collection_id = collection.id LIMIT :most)
WHERE NOT {apart}
"""
POSTGRESQL = """
SELECT CAST(given.value ->> 0 AS integer), found.own_id, found.title, collection.name
FROM jsonb_array_elements(CAST(:given AS jsonb)) AS given(value) CROSS JOIN collection JOIN tag_count
  ON tag_count.collection_id = collection.id AND tag_count.tag_id = CAST(given.value ->> 1 AS bigint)
CROSS JOIN LATERAL (
  SELECT document.own_id, document.title
  FROM (SELECT document_id FROM document_tag WHERE tag_id = tag_count.tag_id LIMIT :looked) tagged
  JOIN document ON document.id = tagged.document_id AND document.collection_id = collection.id LIMIT :most) found
WHERE NOT {apart}
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """A document that explains a skill."""

    collection: str
    id: str
    title: str

    @property
    def direction(self) -> str:
        return "rtl" if is_hebrew(self.title) else "ltr"


def readings(
    session: Session, missing: Sequence[str], apart_from: Iterable[str], aliases: Aliases
) -> dict[str, tuple[Reading, ...]]:
    """Return documents that have a missing skill, or another name of it, as a tag, two of each at most.

    Of the first MOST_MISSING skills; those without a document are left out. The collections `apart_from`, such as the
    jobs themselves, are not looked at. One statement.
    """
    asked = list(dict.fromkeys(missing))[:MOST_MISSING]
    given = [[place, tag] for place, name in enumerate(asked) for tag in _tags(name, aliases)]
    if not given:
        return {}
    values = {"given": json.dumps(given), "most": MOST_DOCUMENTS, "looked": MOST_LOOKED_AT}
    apart = number_list("apart", [number("collection", one) for one in apart_from])
    statement = by_dialect(session, sqlite=SQLITE, postgresql=POSTGRESQL)
    statement = statement.format(apart=among_sql(session, "collection.id", "apart"))
    rows = session.execute(text(statement).bindparams(apart), values)
    found: dict[str, dict[Reading, None]] = {}
    for place, own_id, title, collection in rows:
        found.setdefault(asked[place], {})[Reading(collection, own_id, title)] = None
    ordered = {name: sorted(found[name], key=lambda one: (one.collection, one.id)) for name in asked if name in found}
    return {name: tuple(each[:MOST_DOCUMENTS]) for name, each in ordered.items()}


def _tags(name: str, aliases: Aliases) -> list[int]:
    key = skill(name, aliases).key
    return list(dict.fromkeys(tag_number(each) for each in (name, key, *aliases.keys(key))))
