"""A site for assistants, and their calls as clients before 2026 send them."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from indexing.documents import NewDocument
from tests.documents import document, write

LONG = " ".join(f"word{place}" for place in range(5_000))
DOCUMENTS = (
    document("1", "ספר הבישול", "מתכונים לעוגות ולחמים", "אפייה", language="he"),
    document("2", "Garden book", "roses & herbs", "gardening", "outdoors", language="en"),
    NewDocument("a/b c", "Long book", LONG, ("outdoors",), "en", extra={"author": "Dana", "pages": 320}),
)
JOBS = (
    document("baker", "Baker", "bread", "baking", "early hours"),
    document("gardener", "Gardener", "flowers", "gardening", "pruning", "first aid"),
)


def write_both(session: Session) -> None:
    write(session, *DOCUMENTS, collection="books")
    write(session, *JOBS, collection="jobs")


def sent(client: FlaskClient, method: str, *, headers: dict[str, str] | None = None, **params: Any) -> Any:
    """Send a request as clients before 2026 do, and return the answer's JSON."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    answer = client.post("/mcp", json=message, headers=headers)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return answer.get_json()


def called(client: FlaskClient, name: str, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
    """Return what a tool returned, or the text of its refusal."""
    result = sent(client, "tools/call", headers=headers, name=name, arguments=arguments)["result"]
    return result["content"][0]["text"] if result["isError"] else result["structuredContent"]
