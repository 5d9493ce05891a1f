"""One Runtime per process: settings, database, memory guard, model, caches and jobs, built in that order."""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from config import TORCH_SUFFIX, Settings
from encoders.base import Encoder
from encoders.footprint import loading_mb, release_memory, trim_memory
from encoders.lazy import LazyEncoder
from encoders.manifest import Manifest, ModelUnusable, read_manifest
from encoders.queue import EncoderQueue, EncoderUnavailable
from indexes.access import hidden_collections
from indexes.choice import VectorIndex
from indexes.segments import forget_segments
from jobs.embedding import EmbedJobs, MissingEmbeddings, PackJobs, queue_embedding
from jobs.imports import ImportJobs
from jobs.reindexing import ReindexJobs
from jobs.runner import STOP_S, Runner
from matching.aliases import Aliases, aliases
from matching.collection_state import FilledCollection
from matching.idf import clear_idf_cache as forget_weights
from matching.limits import JOBS
from matching.tag_names import clear_names_cache as forget_names
from operations.database import DatabaseState
from operations.figures import Watch
from operations.guard import Guard, Recycling
from operations.memory import memory
from operations.retention import DailyRetention, KeptDays
from screening.runner import ScreeningJobs
from search.current_model import AvailableModel
from search.documents import collections
from search.ranking_cache import forget_rankings
from search.semantic import Semantic, query_cache
from search.shared_cache import SharedEmbeddings, SharedResults
from utils.memory import MB, process_memory
from utils.terms import forget_terms
from utils.word_frequencies import HEBREW_WORDS, frequencies_or_problem
from utils.word_readings import Readings, use_readings

if TYPE_CHECKING:
    from limits.strategies import RateLimiter

    from utils.redis_cache import RedisCache

IMPORT_WAIT_S = 20  # for a model that is loading; a job that reports nothing for 30 s counts as dead
log = logging.getLogger("matmon")


class Runtime:
    """What one process has, in order: the guard, the model that asks it for room, then what the guard can free."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings, self.engine = settings, engine
        shares = settings.memory_drop_caches_share, settings.memory_unload_share
        self.database = DatabaseState(engine)
        self.guard = Guard(partial(memory, settings.memory_limit_mb), *shares, settings.memory_pause_s)
        frequencies, self.words_problem = frequencies_or_problem(settings.models_dir / HEBREW_WORDS)
        self.readings = Readings(frequencies)
        use_readings(self.readings)
        self.semantic = Models(settings, self.guard).semantic()
        self.semantic.lazy.after_idle.append(self._close_idle_connections)
        self.shared_cache = shared_cache(settings)
        self.shared_results: SharedResults | None = None
        if self.shared_cache is not None:
            self.semantic.shared = SharedEmbeddings(self.shared_cache, settings.query_cache_s, settings.cache_skills_s)
            self.shared_results = SharedResults(self.shared_cache, settings.cache_results_s)
        self.recycling = worker_recycling(self.semantic, settings)
        self.guard.can_free(self._drop_caches, self.semantic.unload, self._tidy)
        self.job_collection = FilledCollection(JOBS)
        self.watch = Watch(
            semantic=self.semantic,
            guard=self.guard,
            engine=engine,
            most_connections=settings.db_pool_size + settings.db_max_overflow,
            limit_mb=settings.memory_limit_mb,
            idle_s=settings.model_idle_s,
            with_text=settings.log_queries,
            shared=self.shared_cache,
        )
        self._collections: tuple[tuple[int, tuple[int, ...]], list[str]] = ((-1, ()), [])
        self.imports, self.screenings = self.make_runners()
        kept = KeptDays(settings.screening_days, settings.saved_search_days, settings.upload_days, settings.audit_days)
        self.retention = DailyRetention(self.sessions, kept, self.upload_folder)

    def make_runners(self) -> tuple[Runner, Runner]:
        """Return the runners of imports and screenings; with BACKGROUND=worker this process only imports."""
        is_web = self.settings.background == "web"
        reindexing = ReindexJobs(self.sessions)
        imports = ImportJobs(self.sessions, self.upload_folder, self.encoder if is_web else lambda: None)
        if not is_web:
            return Runner("imports", reindexing, imports), Runner("screenings")
        screenings = ScreeningJobs(self.sessions, self.semantic, self.skill_aliases)
        embedding = EmbedJobs(self.sessions, self.encoder)
        packing = PackJobs(self.sessions, self.semantic)
        return Runner("imports", reindexing, imports, embedding, packing), Runner("screenings", screenings)

    def worker(self) -> Runner:
        """Return the runner of `flask worker`."""
        screenings = ScreeningJobs(self.sessions, self.semantic, self.skill_aliases)
        missing = MissingEmbeddings(self.sessions, self.semantic, self.encoder)
        return Runner("worker", screenings, missing, PackJobs(self.sessions, self.semantic))

    def sessions(self) -> Session:
        """Return a new session for background work."""
        return Session(self.engine)

    @property
    def upload_folder(self) -> Path:
        return self.settings.instance_dir / "uploads"

    def start(self) -> None:
        """Start what runs beside the requests: after the fork, in the process that serves."""
        if self.words_problem:
            log.warning("%s", self.words_problem)
        self.watch.history.start()
        self.guard.start()
        self.retention.start()
        for runner in (self.imports, self.screenings):
            runner.wake()
        if self.shared_cache:
            self.shared_cache.connect()
        if self.settings.model_loading == "warm":
            self.semantic.lazy.load()

    def stop(self) -> None:
        """End background work within STOP_S: the batch at work is finished, the rest goes back into the queue."""
        deadline = time.monotonic() + STOP_S
        for runner in (self.imports, self.screenings):
            runner.request_stop()
        for runner in (self.imports, self.screenings):
            runner.join(max(deadline - time.monotonic(), 0.0))

    def embed_soon(self, session: Session) -> None:
        """Queue the embedding of what was just written; a worker finds it by itself."""
        if self.settings.background == "web" and self.semantic.model.key is not None:
            queue_embedding(session)
            self.imports.wake()

    def collection_names(self, session: Session, version: int) -> list[str]:
        """Return the names of the readable collections at a version of the state, read again when it changed."""
        key = version, hidden_collections(session)
        if self._collections[0] != key:
            self._collections = key, collections(session)
        return self._collections[1]

    def skill_aliases(self) -> Aliases:
        """Return the aliases of skills: those of the project, and those in the instance folder."""
        return aliases(self.settings.instance_dir / "skill-aliases.csv")

    def encoder(self) -> Encoder | None:
        """Return the current model for indexing; None without one. Raises EncoderUnavailable while memory is short."""
        with Session(self.engine) as session:
            self.semantic.model.follow(session)
        self.semantic.lazy.load()
        if self.semantic.lazy.wait(IMPORT_WAIT_S):
            return self.semantic.lazy.encoder
        if self.guard.text_only_left_s():
            raise EncoderUnavailable(self.semantic.lazy.error or "memory is short")
        return None

    @property
    def index_folder(self) -> Path:
        """The folder of the files that are made of packed embeddings."""
        return self.settings.vector_index_dir or self.settings.instance_dir / "index"

    def empty_caches(self) -> int | None:
        """Drop all that this process and Redis keep of documents; return the values in Redis, None if it fails."""
        self._drop_caches()
        return self.shared_cache.clear("results", "embeddings", "skills") if self.shared_cache else 0

    def _drop_caches(self) -> None:
        """Drop every cache of this process that can be rebuilt."""
        self.semantic.drop_caches()
        forget_terms()
        forget_segments()
        forget_rankings()
        forget_names()
        forget_weights()
        release_memory()

    def _tidy(self) -> None:
        trim_memory()
        self.recycling.check()

    def _close_idle_connections(self) -> None:
        """Close the pool's idle connections: with SQLite each holds 2 MB of pages."""
        self.engine.dispose()
        release_memory()


class MatmonApp(Flask):
    """The Flask application with its Runtime, and what counts its limits."""

    runtime: Runtime
    rates: RateLimiter


def runtime_of(app: Flask) -> Runtime:
    """Return the Runtime of an application that `create_app` made."""
    assert isinstance(app, MatmonApp)  # noqa: S101 - create_app makes no other
    return app.runtime


class Models:
    """The models of one process by name. Each asks the guard for room before it loads."""

    def __init__(self, settings: Settings, guard: Guard) -> None:
        self._settings, self._guard = settings, guard
        is_off = settings.semantic_model == "none"
        self._default = None if is_off else self.find(settings.model_name)
        self._lazy = LazyEncoder(
            self._default.load if self._default else None,
            settings.model_name if self._default else "none",
            settings.model_retry_s,
            idle_s=settings.model_idle_s,
        )

    def semantic(self) -> Semantic:
        """Return the semantic side of search, its model not loaded yet."""
        if self._default is None:
            return Semantic(self._lazy)
        settings = self._settings
        queries = query_cache(settings.query_cache_entries, settings.query_cache_mb * MB, settings.query_cache_s)
        most_bytes = settings.vector_index_memory_mb * MB
        folder = settings.vector_index_dir or settings.instance_dir / "index"
        index = VectorIndex(settings.vector_index, most_bytes, folder)  # type: ignore[arg-type]
        default = self._default
        return Semantic(self._lazy, default.key, queries, self.find, default.manifest, index)

    def find(self, name: str) -> AvailableModel:
        """Return the model in the folder `name`; an unusable folder is reported when the model is loaded."""
        settings = self._settings
        folder = settings.models_dir / name.removesuffix(TORCH_SUFFIX)
        if name.endswith(TORCH_SUFFIX):
            return self._in_torch(name, folder)
        if settings.embeddings_url and not folder.is_dir():
            return remote_model(settings)
        return AvailableModel(name, partial(self._load, folder), manifest_or_none(folder))

    def _in_torch(self, name: str, folder: Path) -> AvailableModel:
        """Return the unquantized model of a prepared folder; its embeddings are not those of the folder."""
        from encoders.torch_encoder import OriginalEncoder, original_manifest, original_mb

        settings = self._settings

        def load() -> Encoder:
            known = read_manifest(folder)
            self._guard.check_room(original_mb(known))
            manifest = original_manifest(known, name, settings.torch_model)
            weights, queue = settings.torch_model or known.source, EncoderQueue(after_each=self._after_each)
            return OriginalEncoder(manifest, weights, settings.passage_batch_size, queue)

        known = manifest_or_none(folder)
        return AvailableModel(name, load, original_manifest(known, name, settings.torch_model) if known else None)

    def _load(self, folder: Path) -> Encoder:
        """Load a model folder; raises ModelUnusable, and MemoryShort where it would not fit."""
        self._guard.check_room(loading_mb(read_manifest(folder)))
        from encoders.onnx_encoder import OnnxEncoder

        settings, queue = self._settings, EncoderQueue(after_each=self._after_each)
        sizes = settings.passage_batch_size, settings.tag_batch_size
        return OnnxEncoder(folder, *sizes, queue=queue, on_damage=self._suspend)

    def _suspend(self, reason: str) -> None:
        """Unload a model that was damaged while it served; a load that fails then says whether it still is."""
        self._lazy.suspend(reason, self._settings.model_retry_s)

    def _after_each(self) -> None:
        self._lazy.used()  # an import that embeds for an hour uses the model too: it must not be unloaded as idle
        self._guard.check_between()


def remote_model(settings: Settings) -> AvailableModel:
    """Return the model served at EMBEDDINGS_URL; what is known of it is in the instance folder."""
    from encoders.endpoint import Endpoint  # 4 MB that only these sites need
    from encoders.remote import known_manifest, open_remote, source

    folder = settings.instance_dir / "remote"
    prefixes = settings.embeddings_query_prefix, settings.embeddings_passage_prefix
    endpoint = Endpoint(
        settings.embeddings_url, settings.embeddings_model, settings.embeddings_api_key, settings.embeddings_batch_size
    )
    known = known_manifest(folder, source(endpoint.url, endpoint.model, prefixes))
    return AvailableModel("remote", partial(open_remote, endpoint, folder, prefixes), known)


def manifest_or_none(folder: Path) -> Manifest | None:
    try:
        return read_manifest(folder)
    except ModelUnusable as error:
        log.warning("%s", error)
        return None


def worker_recycling(semantic: Semantic, settings: Settings) -> Recycling:
    """Return what restarts a worker that grew; gunicorn.conf.py switches it on, where a master starts another."""

    def anonymous_mb() -> float:
        own = process_memory(os.getpid())
        return own.anonymous / MB if own else 0.0

    return Recycling(
        anonymous_mb,
        lambda: semantic.lazy.encoder is not None,
        lambda: memory(settings.memory_limit_mb).limit_mb * settings.worker_recycle_share or float("inf"),
        lambda: os.kill(os.getpid(), signal.SIGTERM),  # gunicorn finishes the requests at work first
    )


def shared_cache(settings: Settings) -> RedisCache | None:
    """Return the Redis cache, not connected yet; None without REDIS_URL, and then redis is not imported."""
    if not settings.redis_url:
        return None
    from utils.redis_cache import RedisCache

    # All keys start with a hash of the database's address, with SQLite also of the host's name.
    where = make_url(settings.database_url).render_as_string(hide_password=True)
    machine = "" if settings.is_postgresql else socket.gethostname()
    site = blake2b(f"{where} {machine}".encode(), digest_size=6).hexdigest()
    return RedisCache(settings.redis_url, f"matmon:{site}", settings.redis_tls_verify)
