"""What a site answers to searches and matches of all kinds: the same wherever its data lies."""

from __future__ import annotations

from typing import Any

from flask import Flask

ASKED = (
    "/api/search?q=לחם&mode=text",
    "/api/search?q=%22מים חמים%22 -קפה&mode=text",
    "/api/search?q=איך חוסכים חשמל בבית&mode=semantic",
    "/api/search?q=saving water at home&mode=hybrid&limit=30",
    "/api/search?q=מים&mode=hybrid&tag=בית&not_tag=ילדים&language=he",
    "/api/search?q=בישול&mode=tags",
    "/api/search?mode=tags&tag=מדע&tag=טבע",
    "/api/search?q=מים&mode=text&collection=sample&since=3",
    "/api/tags",
    "/api/tags?prefix=ב",
    "/api/suggest?q=בי",
    "/api/documents/he-what-is-left?collection=sample",
    "/api/documents/he-what-is-left/similar?collection=sample",
)
TIMES = ("took_ms", "added_at", "changed_at")
SKILLS = ["Python", "SQL", "ניהול פרויקטים", "אקסל"]
MATCHED = {
    "/api/recommend": {"skills": SKILLS},
    "/api/skill-gap": {"skills": SKILLS, "document_id": "job-en-data-analyst"},
    "/api/compare": {"skills": SKILLS, "job_ids": ["job-en-data-analyst", "job-en-backend", "job-he-hashav-sachar"]},
}


def answers(app: Flask) -> dict[str, Any]:
    """Return what the site says to everything asked; without how long it took."""
    client = app.test_client()
    found = {path: client.get(path).json for path in ASKED}
    for path, more in MATCHED.items():
        found[path] = client.post(path, json=more).json
    return {path: timeless(answer) for path, answer in found.items()}


def timeless(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: timeless(one) for name, one in answer.items() if name not in TIMES}
    return [timeless(one) for one in answer] if isinstance(answer, list) else answer
