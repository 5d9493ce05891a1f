"""The JSON API for operators: health, memory, metrics and statistics."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api.requests import check_number
from config import ROOT
from models import db
from operations.figures import Figures
from operations.health import StoredCounts, health, stats, stored_counts
from operations.history import EVERY_S, KEPT, History, MemorySample
from operations.metrics import CONTENT_TYPE, exposition
from utils.database_faults import Fault
from utils.memory import MB, group_memory
from web.access import needs, sees_all_figures
from web.current import runtime, semantic, watch
from web.rate_limits import rate_limit

operations_api = Blueprint("api_operations", __name__)

# What everybody may see; process ids, collections, searches and caches are for METRICS_TOKEN, readers' keys and admins.
PUBLIC_STATS = ("documents", "documents_with_embeddings", "documents_waiting", "tags", "tags_waiting", "version")
PUBLIC_HEALTH = ("status", "up_s", "documents", "memory", "text_only_left_s")
PUBLIC_MEMORY = (
    "limit_mb", "used_mb", "share", "anonymous_mb", "source", "level", "advice", "group", "parts", "history",
)  # fmt: skip
OPENAPI = ROOT / "static" / "openapi.json"


@operations_api.get("/health")
@rate_limit("none")
@needs("none")
def api_health() -> tuple[Response, int]:
    semantic().check_model()
    counts = stored_counts(db.session(), semantic())
    figures = health(semantic(), watch().memory(), counts, runtime().database)
    return jsonify(figures), 503 if figures["status"] == "error" else 200


@operations_api.get("/livez")
@rate_limit("none")
@needs("none")
def api_livez() -> Response:
    return Response("ok", mimetype="text/plain")


@operations_api.get("/api/monitoring/health")
@needs("metrics")
def api_monitoring_health() -> tuple[Response, int]:
    semantic().check_model()
    figures = watch().figures()
    counts = stored_counts(db.session(), semantic())
    fault = runtime().database.fault() if counts else runtime().database.last or "unreachable"
    values = health_json(figures, counts, fault)
    status = 200 if counts and fault != "damaged" else 503
    return jsonify(values if sees_all_figures() else public_health(values)), status


@operations_api.get("/api/monitoring/memory")
@needs("metrics")
def api_monitoring_memory() -> Response:
    """Return memory figures without the database, which may be what is down."""
    samples = check_number("samples", KEPT) if "samples" in request.args else 0
    values = memory_json(watch().figures(), watch().history, samples)
    if not sees_all_figures():
        values = only(values, PUBLIC_MEMORY) | {"model": public_model(values)}
    return jsonify(values)


@operations_api.get("/metrics")
@rate_limit("none")
@needs("metrics")
def api_metrics() -> Response:
    figures, counts = watch().figures(), stored_counts(db.session(), semantic())
    return Response(exposition(figures, counts, not sees_all_figures()), content_type=CONTENT_TYPE)


@operations_api.get("/api/stats")
@needs("metrics")
def api_stats() -> Response:
    values = stats(db.session(), semantic())
    return jsonify(values if sees_all_figures() else only(values, PUBLIC_STATS))


@operations_api.get("/api/openapi.json")
def api_openapi() -> Response:
    return jsonify(json.loads(OPENAPI.read_text(encoding="utf-8")))


def only(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in names}


def public_model(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what everybody may know of the model: whether there is semantic search just now."""
    return only(values["model"], ("name", "state", "loaded"))


def public_health(values: Mapping[str, Any]) -> dict[str, Any]:
    database = only(values["database"], ("answers", "fault"))
    return only(values, PUBLIC_HEALTH) | {"database": database, "model": public_model(values)}


def memory_json(figures: Figures, history: History, most_samples: int = 0) -> dict[str, Any]:
    """Return where the memory is, part by part, without anything about what was searched for."""
    return {
        **asdict(figures.memory),
        "level": figures.memory.level,
        "advice": figures.advice,
        "group": group_json(),
        "processes": [asdict(process) for process in figures.processes],
        "worker": figures.worker,
        "parts": figures.parts,
        "model": asdict(figures.model),
        "index": figures.index,
        "vector_index": figures.vector_index.figures(),
        "caches": figures.caches,
        "pool": asdict(figures.pool),
        "guard": asdict(figures.guard),
        "history": history_json(history.samples(), most_samples),
    }


def group_json() -> dict[str, float | None] | None:
    """Return the control group's own figures in MB; None on a system without control groups."""
    group = group_memory()
    if group is None:
        return None
    return {
        "used_mb": round(group.used / MB, 1),
        "limit_mb": round(group.limit / MB, 1) if group.limit else None,
        "anonymous_mb": round(group.anonymous / MB, 1),
    }


def history_json(samples: Sequence[MemorySample], most: int) -> dict[str, Any]:
    """Return a summary of the last hour, and the newest `most` samples, oldest first."""
    return {
        "every_s": EVERY_S,
        "kept": len(samples),
        "peak_mb": round(max((sample.used_mb for sample in samples), default=0.0), 1),
        "samples": [
            {name: round(value, 1) for name, value in asdict(sample).items()}
            for sample in samples[max(len(samples) - most, 0) :]
        ],
    }


def health_json(figures: Figures, counts: StoredCounts | None, fault: Fault) -> dict[str, Any]:
    """Return the health of each part; `status` is `error` without the database, `degraded` if any part is not well."""
    used, model, guard, redis = figures.memory, figures.model, figures.guard, figures.shared
    is_degraded = (
        used.level != "fine"
        or fault != ""
        or model.state == "unavailable"
        or guard.text_only_left_s > 0
        or (redis is not None and (redis.state == "away" or bool(redis.fault)))
        or figures.vector_index.is_refused
    )
    return {
        "status": "error" if counts is None or fault == "damaged" else "degraded" if is_degraded else "ok",
        "up_s": figures.up_s,
        "worker": figures.worker,
        "database": {"answers": counts is not None, "fault": fault or None, "pool": asdict(figures.pool)},
        "documents": asdict(counts) if counts else None,
        "memory": asdict(used) | {"level": used.level},
        "model": asdict(model),
        "vector_index": figures.vector_index.figures(),
        "text_only_left_s": guard.text_only_left_s,
        "redis": asdict(redis) if redis else None,
        "searches": {  # by mode, since the start
            mode: {"count": count, "mean_ms": round(figures.search_seconds.get(mode, 0.0) * 1000 / count, 1)}
            for mode, count in figures.searches.items()
        },
    }
