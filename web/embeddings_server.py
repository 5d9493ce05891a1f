"""A model for several small hosts: /v1/embeddings as OpenAI's, /embed as text-embeddings-inference's."""

from __future__ import annotations

import hmac
from dataclasses import asdict
from typing import Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from encoders.base import Encoder
from encoders.lazy import LazyEncoder
from encoders.manifest import load_means
from encoders.queue import EncoderUnavailable
from utils.bounded_json import parse_json

MOST_TEXTS, MOST_BODY_BYTES = 256, 4 * 2**20
# A model reads 512 tokens; no token is longer than 16 letters.
MOST_LETTERS = 8_192
LOADING_S = 60.0
RETRY_S = 2
# What another Matmon needs to know of the model to search with it; nothing about this host's files.
PUBLISHED = (
    "name", "dim", "max_tokens", "score_low", "score_high", "score_floor", "tag_low", "tag_high", "tag_same",
    "tag_across", "revision", "licence", "query_prefix", "passage_prefix", "pooling", "centred_floor", "strict_floor",
    "centred_weight", "checksum", "format",
)  # fmt: skip


class Refused(HTTPException):
    """A request that cannot be answered, and why."""

    def __init__(self, status: int, message: str, retry_s: int | None = None) -> None:
        super().__init__(message)
        self.code, self.retry_s = status, retry_s


def create_embeddings_app(lazy: LazyEncoder, api_key: str = "") -> Flask:
    """Return the application; the model is loaded at the first request, and unloaded when idle."""
    app = Flask("matmon-embeddings", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY_BYTES

    @app.before_request
    def check_key() -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if api_key and request.path != "/health" and not hmac.compare_digest(given.encode(), api_key.encode()):
            raise Refused(401, "the key is not right: send it as a bearer token")

    @app.get("/health")
    def health() -> Response:
        return jsonify({"status": "ok", "model": lazy.model, "state": lazy.state})

    @app.get("/v1/models")
    def models() -> Response:
        encoder = loaded(lazy)
        means = load_means(encoder.manifest).astype(float).round(7).tolist()
        published = {name: value for name, value in asdict(encoder.manifest).items() if name in PUBLISHED}
        row = {"id": encoder.name, "object": "model", "owned_by": "matmon", "matmon": published | {"means": means}}
        return jsonify({"object": "list", "data": [row]})

    @app.post("/v1/embeddings")
    def embeddings() -> Response:
        fields = body_values()
        texts, encoder = given_texts(fields, "input"), loaded(lazy)
        check_model(fields, encoder)
        rows = [
            {"object": "embedding", "index": place, "embedding": row}
            for place, row in enumerate(encoded(lazy, encoder, texts))
        ]
        tokens = sum(min(encoder.count_tokens(text), encoder.manifest.max_tokens) for text in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        # The checksum is no part of OpenAI's answer: by it another Matmon sees that the model is another by now.
        own = {"model": encoder.name, "checksum": encoder.manifest.checksum}
        return jsonify({"object": "list", "data": rows, "usage": usage, **own})

    @app.post("/embed")
    def embed() -> Response:
        texts = given_texts(body_values(), "inputs")
        return jsonify(encoded(lazy, loaded(lazy), texts))

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> tuple[Response, int, dict[str, str]]:
        status, retry_s = error.code or 500, getattr(error, "retry_s", None)
        kind = "invalid_request_error" if status < 500 else "server_error"
        answer = jsonify({"error": {"message": error.description, "type": kind, "code": status}})
        return answer, status, {"Retry-After": str(retry_s)} if retry_s else {}

    return app


def loaded(lazy: LazyEncoder) -> Encoder:
    lazy.start()
    lazy.wait(LOADING_S)
    encoder = lazy.encoder
    if encoder is None:
        raise Refused(503, f"the model {lazy.model} is not loaded: {lazy.error or lazy.state}", RETRY_S)
    lazy.used()
    return encoder


def body_values() -> dict[str, Any]:
    try:
        body = parse_json(request.get_data(cache=False).decode("utf-8-sig"))
    except ValueError as error:
        raise Refused(422, f"the body cannot be read as JSON: {error}") from None
    return body if isinstance(body, dict) else {}


def given_texts(fields: dict[str, Any], name: str) -> list[str]:
    """Return the texts of a request: one, or a list of MOST_TEXTS at the most; no model reads more of each."""
    value = fields.get(name)
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Refused(422, f"{name!r} must be a text or a list of texts")
    if len(texts) > MOST_TEXTS:
        raise Refused(413, f"{len(texts)} texts: at most {MOST_TEXTS} at once")
    return [text[:MOST_LETTERS] for text in texts]


def check_model(fields: dict[str, Any], encoder: Encoder) -> None:
    wanted = fields.get("model")
    if wanted not in (None, "", encoder.name):
        raise Refused(404, f"there is no model {wanted} here, but {encoder.name}")


def encoded(lazy: LazyEncoder, encoder: Encoder, texts: list[str]) -> list[list[float]]:
    try:
        rows: list[list[float]] = encoder.encode_texts(texts).astype(float).round(7).tolist()
    except EncoderUnavailable as away:
        raise Refused(429, str(away), RETRY_S) from away
    lazy.used()
    return rows
