"""Messages of the Model Context Protocol: JSON-RPC requests in, one answer each, without sessions.

It serves the revision of 2026-07-28, which has no handshake because each request carries its version, and the earlier
revisions, which start with `initialize`. Source: modelcontextprotocol.io/specification, and JSON-RPC 2.0.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError

from utils.bounded_json import parse_json
from utils.messages import Refusal
from web.mcp_toolbox import BadArguments, Toolbox, listed_tool
from web.mcp_tools import TOOLS, named_tool

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = -32700, -32600, -32601, -32602, -32603
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
STATELESS = ("2026-07-28",)
WITH_HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
META = "io.modelcontextprotocol/"
VERSION_KEY, CAPABILITIES_KEY, SERVER_KEY = META + "protocolVersion", META + "clientCapabilities", META + "serverInfo"
# The HTTP status of an error in the stateless revision; the others, and all of earlier revisions, have 200.
STATUS = {PARSE_ERROR: 400, INVALID_REQUEST: 400, INVALID_PARAMS: 400, METHOD_NOT_FOUND: 404} | dict.fromkeys(
    (HEADER_MISMATCH, UNSUPPORTED_VERSION), 400
)
LISTED_MS = 3_600_000  # a client may keep the list of tools for an hour
SERVER = {"name": "matmon", "title": "Matmon", "version": "1"}
INSTRUCTIONS = (
    "Matmon is a search site over tagged documents, in Hebrew and English. Start with `search`; `read_document` returns"
    " the text of a document. Ask in the language of the documents: a Hebrew word is found in all its forms. Cite"
    " documents by their address."
)
log = logging.getLogger("matmon.mcp")
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and its HTTP status; a notification has no answer."""

    message: Values | None
    status: int = 200


class RpcError(ValueError):
    """An error of the protocol, as opposed to one that a tool reports to the assistant."""

    def __init__(self, code: int, message: str, data: Values | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data


def reply_to(text: str, toolbox: Toolbox, headers: Mapping[str, str] | None = None) -> Reply:
    """Answer one message; `headers` are those of an HTTP request, with names in lower case."""
    try:
        message = parse_json(text)
        json.dumps(message, ensure_ascii=False).encode()  # no database stores half a surrogate pair
    except ValueError as error:
        return _refused(None, RpcError(PARSE_ERROR, f"The message is not JSON that can be read: {str(error)[:200]}."))
    own_id = message.get("id") if isinstance(message, dict) else None
    try:
        request = _request(message)
        if "id" not in request:  # a notification: nothing here depends on one
            _check_header_version(headers)
            return Reply(None, 202)
        is_stateless = _is_stateless(request, headers)
        return Reply({"jsonrpc": "2.0", "id": own_id, "result": _result(request, toolbox, is_stateless)})
    except RpcError as error:
        return _refused(own_id if _is_id(own_id) else None, error, _speaks_stateless(message, headers))


def _is_id(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _refused(own_id: object, error: RpcError, is_stateless: bool = True) -> Reply:
    fault = {"code": error.code, "message": error.message} | ({"data": error.data} if error.data else {})
    status = STATUS.get(error.code, 200) if is_stateless or own_id is None else 200
    return Reply({"jsonrpc": "2.0", "id": own_id, "error": fault}, status)


def _request(message: object) -> Values:
    if isinstance(message, list):
        raise RpcError(INVALID_REQUEST, "Send one message at a time: batches are not served.")
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0" or not isinstance(message.get("method"), str):
        raise RpcError(INVALID_REQUEST, 'Send a JSON-RPC 2.0 request: {"jsonrpc": "2.0", "id": 1, "method": …}.')
    if not _is_id(message.get("id", 0)):
        raise RpcError(INVALID_REQUEST, "The id of a request must be a string or a whole number.")
    if not isinstance(message.get("params", {}), dict):
        raise RpcError(INVALID_PARAMS, "params must be an object.")
    return message


def _meta(message: object) -> Values:
    params = message.get("params") if isinstance(message, dict) else None
    meta = params.get("_meta") if isinstance(params, dict) else None
    return meta if isinstance(meta, dict) else {}


def _speaks_stateless(message: object, headers: Mapping[str, str] | None) -> bool:
    """Whether a message is meant for the stateless revision, or for a later one that is not known here."""
    if VERSION_KEY in _meta(message):
        return True
    named = (headers or {}).get("mcp-protocol-version")
    return named is not None and named not in WITH_HANDSHAKE


def _check_header_version(headers: Mapping[str, str] | None) -> None:
    named = (headers or {}).get("mcp-protocol-version")
    if named is not None and named not in (*STATELESS, *WITH_HANDSHAKE):
        raise _unsupported(named)


def _unsupported(version: str) -> RpcError:
    supported = [*reversed(WITH_HANDSHAKE), *STATELESS]
    data = {"supported": supported, "requested": version[:100]}
    return RpcError(UNSUPPORTED_VERSION, "This version of the protocol is not served.", data)


def _is_stateless(request: Values, headers: Mapping[str, str] | None) -> bool:
    """Check what a request says of its version, and return whether it belongs to the stateless revision."""
    if not _speaks_stateless(request, headers):
        return False
    meta = _meta(request)
    missing = [key for key in (VERSION_KEY, CAPABILITIES_KEY) if key not in meta]
    if missing:
        raise RpcError(INVALID_PARAMS, f"params._meta must have {' and '.join(missing)}.")
    version = meta[VERSION_KEY]
    if headers is not None:
        _check_headers(request, version, headers)
    if not isinstance(version, str):
        raise RpcError(INVALID_PARAMS, f"{VERSION_KEY} must be a string.")
    if version not in STATELESS:
        raise _unsupported(version)
    return True


def _check_headers(request: Values, version: object, headers: Mapping[str, str]) -> None:
    """Raise RpcError if the headers, by which a proxy may route, say something else than the body."""
    expected = {"mcp-protocol-version": version, "mcp-method": request["method"]}
    if request["method"] == "tools/call" and (name := request["params"].get("name")) is not None:
        expected["mcp-name"] = name
    for header, value in expected.items():
        if _header_text(headers.get(header)) != value:
            raise RpcError(HEADER_MISMATCH, f"The header {header} is not what the body says.")


def _header_text(value: str | None) -> str | None:
    """Return a header's text: what is not ASCII is sent as `=?base64?…?=`."""
    if value is None or not (value.startswith("=?base64?") and value.endswith("?=")):
        return value
    try:
        return base64.b64decode(value[9:-2], validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _result(request: Values, toolbox: Toolbox, is_stateless: bool) -> Values:
    methods = STATELESS_METHODS if is_stateless else HANDSHAKE_METHODS
    if (method := methods.get(request["method"])) is None:
        raise RpcError(METHOD_NOT_FOUND, f"There is no method {request['method'][:100]!r} here.")
    result = method(request.get("params", {}), toolbox)
    if not is_stateless:
        return result
    if request["method"] in ("server/discover", "tools/list"):
        result |= {"ttlMs": LISTED_MS, "cacheScope": "private"}
    return {**result, "resultType": "complete", "_meta": {SERVER_KEY: SERVER}}


def _discover(params: Values, toolbox: Toolbox) -> Values:  # noqa: ARG001 - every method takes the same two
    return {"supportedVersions": list(STATELESS), "capabilities": {"tools": {}}, "instructions": INSTRUCTIONS}


def _initialize(params: Values, toolbox: Toolbox) -> Values:  # noqa: ARG001
    asked = params.get("protocolVersion")
    version = asked if asked in WITH_HANDSHAKE else WITH_HANDSHAKE[-1]
    return {
        "protocolVersion": version,
        "capabilities": {"tools": {}},
        "serverInfo": SERVER,
        "instructions": INSTRUCTIONS,
    }


def _ping(params: Values, toolbox: Toolbox) -> Values:  # noqa: ARG001
    return {}


def _list_tools(params: Values, toolbox: Toolbox) -> Values:
    if params.get("cursor"):
        raise RpcError(INVALID_PARAMS, "There is no such page: the list of tools has one.")
    return {"tools": [listed_tool(tool) for tool in TOOLS if toolbox.may_use(tool)]}


def _call_tool(params: Values, toolbox: Toolbox) -> Values:
    """Run a tool; a refusal is returned as the tool's result, so that the assistant can correct its call."""
    tool = named_tool(params.get("name"))
    if tool is None or not toolbox.may_use(tool):
        raise RpcError(INVALID_PARAMS, f"There is no tool {str(params.get('name'))[:100]!r}.")
    try:
        found = tool.run(toolbox, tool.arguments(params.get("arguments")))
    except (BadArguments, Refusal) as error:
        return {"content": [{"type": "text", "text": str(error)}], "isError": True}
    text = json.dumps(found, ensure_ascii=False)
    return {"content": [{"type": "text", "text": text}], "structuredContent": found, "isError": False}


def too_long(most: int) -> Reply:
    return _refused(None, RpcError(INVALID_REQUEST, f"The message is longer than {most:,} bytes."))


def reply_or_fault(text: str, toolbox: Toolbox) -> Reply:
    """Answer one message where nothing above turns an exception into an answer, as a web server does."""
    try:
        return reply_to(text, toolbox)
    except DBAPIError:
        log.exception("the database does not answer")
        own_id = parse_json(text).get("id")
        return _refused(own_id, RpcError(INTERNAL_ERROR, "The database does not answer just now: try again."))


Method = Callable[[Values, Toolbox], Values]
_TOOL_METHODS: dict[str, Method] = {"tools/list": _list_tools, "tools/call": _call_tool}
STATELESS_METHODS: dict[str, Method] = {"server/discover": _discover, **_TOOL_METHODS}
HANDSHAKE_METHODS: dict[str, Method] = {"initialize": _initialize, "ping": _ping, **_TOOL_METHODS}
