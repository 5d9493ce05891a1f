"""flask embed | models | serve-embeddings: embeddings made, the model that serves chosen, a model served to others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import click

from commands.console import loaded_encoder, need_tables, progress_bar, refuse, semantic_side
from config import TORCH_SUFFIX, Settings
from encoders.manifest import ModelUnusable, read_manifest
from encoders.queue import EncoderUnavailable
from indexing.embedding import Progress, embed, waiting_documents
from indexing.stored_models import chosen_key, drop_model, missing_models, stored_models, switch
from models import db
from search.current_model import AvailableModel
from search.semantic import model_of
from utils.sql import freshen_statistics
from web.current import runtime


@click.command("embed")
@click.option("--collection", default="", help="Only this collection's documents.")
@click.option("--model", default="", help="Another prepared model, while the current one serves.")
def embed_command(collection: str, model: str) -> None:
    """Encode tags and documents that have no embedding under the current model. Goes on where it was stopped."""
    need_tables()
    if model:
        found = prepared_model(model)
        semantic_side().lazy.switch(found.load, model)  # in this process alone: the site goes on with its own
    else:
        semantic_side().model.follow(db.session())
    encoder = loaded_encoder()
    with progress_bar(unit=" texts", desc=encoder.name) as bar:
        try:
            done = embed(db.session(), encoder, collection, shown_on(bar))
        except EncoderUnavailable as stopped:
            click.echo(f"Stopped: {stopped}. What is done is kept; run it again to go on", err=True)
            sys.exit(1)
    if done.done:
        freshen_statistics(db.session())
    click.echo(f"{done.done} embedded under {encoder.name}")
    if waiting := waiting_documents(db.session(), model_of(encoder), collection):
        click.echo(f"{waiting} documents came meanwhile: run it again")


def shown_on(bar: Any) -> Callable[[Progress], None]:
    def show(progress: Progress) -> None:
        bar.total = progress.total
        bar.update(progress.done - bar.n)

    return show


@click.group("models", invoke_without_command=True)
@click.pass_context
def models_command(context: click.Context) -> None:
    """List the models that are prepared or have embeddings, and which one is current."""
    if context.invoked_subcommand is not None:
        return
    need_tables()
    side = semantic_side()
    side.model.follow(db.session())
    stored = stored_models(db.session())
    for one in stored:
        mark = "*" if one.key == side.model.key else " "
        click.echo(
            f"{mark} {one.name}  {one.dim} wide  {one.embeddings} embeddings, {one.tags} of tags  ({one.checksum[:12]})"
        )
    settings: Settings = runtime().settings
    named = {one.name for one in stored}
    for path in sorted(settings.models_dir.glob("*/manifest.json")):
        if path.parent.name not in named:
            click.echo(f"  {path.parent.name}  prepared, no embeddings")
    chosen = chosen_key(db.session())
    how = "switched to" if chosen else f"SEMANTIC_MODEL={side.model.default_name}"
    where = f" at {settings.embeddings_url}" if side.lazy.model == "remote" else ""
    click.echo(f"Current: {side.lazy.model}{where} ({how})")


@models_command.command("switch")
@click.argument("name")
def switch_command(name: str) -> None:
    """Serve with the model NAME from now on, in every process at once; refused while embeddings are missing."""
    need_tables()
    found = prepared_model(name)
    documents, tags = missing_models(db.session(), found.key or 0)
    if documents or tags:
        refuse(
            f"{documents} documents and {tags} tags have no embedding under {name} yet; make them, while the present"
            f" model serves, with: flask --app app embed --model {name}"
        )
    switch(db.session(), found.manifest or found.load().manifest)
    click.echo(f"{name} serves from now on")


@models_command.command("drop")
@click.argument("name")
def drop_command(name: str) -> None:
    """Delete the embeddings of the model NAME; the current one is refused. Its folder stays."""
    need_tables()
    side = semantic_side()
    side.model.follow(db.session())
    stored = [one for one in stored_models(db.session()) if one.name == name]
    if not stored:
        known = {one.name for one in stored_models(db.session())}
        refuse(f"{name} has no embeddings; there are some of: {', '.join(sorted(known)) or 'none'}")
    dropped = [one for one in stored if one.key != side.model.key]
    if not dropped:
        refuse(f"{name} is the current model; switch to another first with: flask --app app models switch NAME")
    with progress_bar(total=sum(one.embeddings + one.tags for one in dropped), unit=" embeddings", desc=name) as bar:
        for one in dropped:
            drop_model(db.session(), one.key, bar.update)
    count = sum(one.embeddings + one.tags for one in dropped)
    click.echo(f"{count} embeddings of {name} deleted")


def prepared_model(name: str) -> AvailableModel:
    """Return a model of which embeddings can be made and searched; what cannot be served is refused."""
    if semantic_side().is_off:
        refuse("SEMANTIC_MODEL=none: semantic search is turned off; set it to a model, such as e5-small")
    find = semantic_side().model.find
    if find is None:
        refuse(f"{name} cannot be loaded here")
    found = find(name)
    if found.name == "remote":
        return remote_manifest(found, name)
    if wrong := folder_fault(name):
        refuse(wrong)
    return found


def remote_manifest(found: AvailableModel, name: str) -> AvailableModel:
    """Return the model of the other host with its manifest; one of another name is refused."""
    try:
        known = found.manifest or found.load().manifest
    except ModelUnusable as error:
        refuse(str(error))
    if name not in ("remote", known.name):
        refuse(f"{name} is not there, and the host at EMBEDDINGS_URL serves {known.name}")
    return replace(found, manifest=known)


def folder_fault(name: str) -> str:
    """Return what is wrong with a model folder, as a sentence; nothing where it can be served."""
    folder = name.removesuffix(TORCH_SUFFIX)
    try:
        manifest = read_manifest(runtime().settings.models_dir / folder)
    except ModelUnusable as error:
        return str(error)
    if manifest.name != folder:
        return f"{manifest.folder} holds the model {manifest.name}: rename the folder to that"
    return ""


@click.command("serve-embeddings")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65_535), default=8080, show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True)
def serve_embeddings_command(host: str, port: int, threads: int) -> None:
    """Serve the model to other hosts, which need none then: SEMANTIC_MODEL=remote EMBEDDINGS_URL=http://HOST:PORT.

    EMBEDDINGS_API_KEY, if it is set, is the key that they must have too.
    """
    side = semantic_side()
    if side.is_off or side.lazy.model == "remote":
        refuse("There is no model here to serve: set SEMANTIC_MODEL to a prepared one, such as e5-small")
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

    from web.embeddings_server import create_embeddings_app

    key = runtime().settings.embeddings_api_key
    if not is_this_machine(host) and not key:
        refuse(f"--host {host} lets everyone in: set EMBEDDINGS_API_KEY first")
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # Sites keep their connections; an idle one holds no thread.
    options = {"bind": address, "workers": 1, "worker_class": "gthread", "threads": threads, "timeout": 120,
               "keepalive": 75, "control_socket_disable": True}  # fmt: skip

    class Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no annotations
        def load_config(self) -> None:
            for name, value in options.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return create_embeddings_app(side.lazy, key)

    click.echo(f"{side.lazy.model} is served at http://{address}/v1/embeddings")
    Server().run()


def is_this_machine(host: str) -> bool:
    """Tell whether only this machine can reach an address; of a name other than localhost nobody knows."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
