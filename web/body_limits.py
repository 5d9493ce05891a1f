"""Limits on request bodies, declared next to each view and enforced before the body is read."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import SpooledTemporaryFile
from typing import IO, Any, TypeVar

from flask import Flask, Request, current_app, request

from web.access import bearer, caller

JSON_BYTES = 256 * 1024  # a text of 100,000 Hebrew letters in UTF-8 fits
FORM_BYTES = 1024 * 1024
DOCUMENT_BYTES = 4 * 1024 * 1024  # a text of 1 MB may take three as JSON
UPLOAD_BYTES = 256 * 1024 * 1024
MOST_UPLOADED_FILES = 500  # each is an open file until the request ends
IN_MEMORY_BYTES = 16 * 1024  # of a file that is sent; 500 kB each would fill a small host
View = TypeVar("View", bound=Callable[..., Any])


class UploadRequest(Request):
    """A request that keeps the files sent with it on disk, and closes them even if it is refused halfway."""

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        stream = SpooledTemporaryFile(IN_MEMORY_BYTES, "rb+")  # noqa: SIM115 - open until the request ends
        self.__dict__.setdefault("file_streams", []).append(stream)
        return stream

    def close(self) -> None:
        super().close()
        for stream in self.__dict__.get("file_streams", ()):
            stream.close()


def body_limit(most_bytes: int) -> Callable[[View], View]:
    """Allow a larger body to whoever may write; for others the usual limit holds."""

    def mark(view: View) -> View:
        view.body_limit = most_bytes  # type: ignore[attr-defined]
        return view

    return mark


def register(app: Flask) -> None:
    app.request_class = UploadRequest
    app.before_request(set_limit)


def set_limit() -> None:
    """Set the limit of this request; Flask answers 413 before it reads more."""
    is_api = request.path.startswith("/api/") or request.path == "/mcp"
    limit = JSON_BYTES if is_api else FORM_BYTES
    larger = getattr(current_app.view_functions.get(request.endpoint or ""), "body_limit", 0)
    if larger and (bearer() if is_api else caller()).has("write"):
        limit = larger
        request.max_form_parts = MOST_UPLOADED_FILES + 100  # and the fields
    request.max_content_length = min(limit, current_app.config["MAX_CONTENT_LENGTH"] or limit)
