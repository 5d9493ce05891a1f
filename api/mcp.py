"""The endpoint of the Model Context Protocol over HTTP: one POST, one answer, no session."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import Forbidden, NotAcceptable, UnsupportedMediaType

from models import db
from web.access import may
from web.addresses import document_url
from web.current import runtime
from web.mcp_messages import reply_to
from web.mcp_toolbox import Toolbox
from web.rate_limits import rate_limit

mcp_api = Blueprint("api_mcp", __name__)


@mcp_api.post("/mcp")
@rate_limit("search")
def mcp() -> tuple[Response, int]:
    """Answer a message of the protocol."""
    check_origin()
    if not request.is_json:
        raise UnsupportedMediaType("Send JSON, as application/json.")
    if "Accept" in request.headers and not request.accept_mimetypes["application/json"]:
        raise NotAcceptable("The answer is JSON: accept application/json.")
    text = request.get_data(cache=False).decode("utf-8", "replace")
    headers = {name.lower(): value for name, value in request.headers.items()}
    reply = reply_to(text, Toolbox(db.session(), runtime(), address_of, may_match=may("match")), headers)
    return (Response(), reply.status) if reply.message is None else (jsonify(reply.message), reply.status)


def check_origin() -> None:
    """Refuse the page of another site: it could reach a site that only its visitor's network reaches."""
    origin = request.headers.get("Origin", "")
    if origin and urlsplit(origin).netloc != request.host:
        raise Forbidden("A page of another site may not use this endpoint.")


def address_of(own_id: str, collection: str) -> str:
    return document_url(own_id, collection=collection, _external=True)
