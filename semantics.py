"""The model that this process searches with: found by its name, loaded where it fits, and guarded."""

from __future__ import annotations

import logging
import os
import signal
from functools import partial
from pathlib import Path

from flask import Flask
from sqlalchemy.orm import Session

from config import ORIGINAL, Settings
from encoders.base import Encoder
from encoders.footprint import loading_mb, release_memory, trim_memory
from encoders.lazy import LazyEncoder
from encoders.manifest import Manifest, ModelUnusable, read_manifest
from encoders.turns import EncoderAway, Turns
from matching.weights import forget as forget_weights
from matching.wording import forget as forget_names
from operations.guard import Guard
from operations.memory import memory
from operations.recycling import Recycling
from search.chosen import Prepared
from search.index_choice import VectorIndex
from search.semantic import Semantic, kept_queries
from utils.memory import MB, process_memory
from utils.terms import forget_words

IMPORT_WAIT_S = 20  # for a model that is being loaded; a job that is silent for 30 s is taken for dead
log = logging.getLogger("matmon")


def semantic_side(app: Flask, settings: Settings) -> Semantic:
    """Return the semantic side, unloaded."""
    if settings.semantic_model == "none":
        return Semantic(LazyEncoder(None, "none"))
    found = prepared(app, settings, settings.model_name)
    queries = kept_queries(settings.query_cache_entries, settings.query_cache_mb * MB, settings.query_cache_s)
    lazy = LazyEncoder(found.load, settings.model_name, settings.model_retry_s)
    find = partial(prepared, app, settings)
    index = VectorIndex(settings.vector_index, settings.vector_index_memory_mb * MB)  # type: ignore[arg-type]
    return Semantic(lazy, found.key, settings.model_idle_s, queries, find, found.manifest, index)


def prepared(app: Flask, settings: Settings, name: str) -> Prepared:
    """Return a model by the name of its folder; what is wrong with the folder is told when it is loaded."""
    folder = settings.models_dir / name.removesuffix(ORIGINAL)
    if name.endswith(ORIGINAL):
        return original(app, settings, name, folder)
    if settings.embeddings_url and not folder.is_dir():
        return remote(settings)
    return Prepared(name, lambda: load_encoder(app, folder, settings), manifest(folder))


def original(app: Flask, settings: Settings, name: str, folder: Path) -> Prepared:
    """Return the original of a prepared folder, in torch; its embeddings are not those of the folder."""
    from encoders.original import original_manifest

    known = manifest(folder)
    told = original_manifest(known, name, settings.original_model) if known else None
    return Prepared(name, lambda: load_original(app, settings, name, folder), told)


def load_original(app: Flask, settings: Settings, name: str, folder: Path) -> Encoder:
    from encoders.original import OriginalEncoder, original_manifest, original_mb, original_weights

    guard: Guard = app.extensions["matmon.guard"]
    known = read_manifest(folder)
    guard.check_room(original_mb(known))
    told = original_manifest(known, name, settings.original_model)
    weights = original_weights(known, settings.original_model)
    return OriginalEncoder(told, weights, settings.passage_batch_size, turns(app))


def remote(settings: Settings) -> Prepared:
    """Return the model of the host at EMBEDDINGS_URL; what was found out about it lies in the instance folder."""
    from encoders.endpoint import Endpoint  # 4 MB that only these sites need
    from encoders.remote import known_manifest, open_remote, source

    folder = settings.instance_dir / "remote"
    prefixes = settings.embeddings_query_prefix, settings.embeddings_passage_prefix
    endpoint = Endpoint(
        settings.embeddings_url, settings.embeddings_model, settings.embeddings_api_key, settings.embeddings_batch_size
    )
    known = known_manifest(folder, source(endpoint.url, endpoint.model, prefixes))
    return Prepared("remote", lambda: open_remote(endpoint, folder, prefixes), known)


def manifest(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except ModelUnusable as error:
        log.warning("%s", error)
        return None


def load_encoder(app: Flask, folder: Path, settings: Settings) -> Encoder:
    """Load a model folder; raises ModelUnusable, and MemoryShort where it would not fit."""
    guard: Guard = app.extensions["matmon.guard"]
    guard.check_room(loading_mb(read_manifest(folder)))
    from encoders.onnx_encoder import OnnxEncoder

    return OnnxEncoder(folder, settings.passage_batch_size, settings.tag_batch_size, turns=turns(app))


def turns(app: Flask) -> Turns:
    side: Semantic = app.extensions["matmon.semantic"]
    guard: Guard = app.extensions["matmon.guard"]

    def after_each() -> None:
        side.lazy.used()  # an import that embeds for an hour uses it too: were it loaded anew, there would be two
        guard.check_between()

    return Turns(after_each=after_each)


def memory_guard(app: Flask, settings: Settings) -> Guard:
    """Return the guard of the memory; gunicorn.conf.py begins its watch in each worker."""
    side: Semantic = app.extensions["matmon.semantic"]

    def drop_caches() -> None:
        side.drop_caches()
        forget_words()
        forget_names()
        forget_weights()
        release_memory()

    recycled = app.extensions["matmon.recycling"] = recycling(side, settings)

    def tidy() -> None:
        trim_memory()
        recycled.look()

    return Guard(
        lambda: memory(settings.memory_limit_mb),
        drop_caches,
        side.give_back,
        settings.memory_drop_caches_share,
        settings.memory_give_back_share,
        settings.memory_rest_s,
        tidy,
    )


def recycling(side: Semantic, settings: Settings) -> Recycling:
    """Return what ends a worker that grew; gunicorn.conf.py turns it on, where another is started for it."""

    def anonymous_mb() -> float:
        own = process_memory(os.getpid())
        return own.anonymous / MB if own else 0.0

    return Recycling(
        anonymous_mb,
        lambda: side.lazy.encoder is not None,
        lambda: memory(settings.memory_limit_mb).limit_mb * settings.worker_grown_share or float("inf"),
        lambda: os.kill(os.getpid(), signal.SIGTERM),  # gunicorn's word for: finish what you do, and go
    )


def encoder_for_import(app: Flask, session: Session) -> Encoder | None:
    """Return the model that serves, None where there is none; raises EncoderAway while it rests for want of memory."""
    side: Semantic = app.extensions["matmon.semantic"]
    side.follow(session)
    side.ready(0)
    if side.lazy.wait(IMPORT_WAIT_S):
        return side.lazy.encoder
    if app.extensions["matmon.guard"].text_only_left_s():
        raise EncoderAway(side.lazy.error or "memory is short")
    return None
