"""flask embed | models | serve-embeddings: embed documents, choose the model, and serve it to other hosts."""

from __future__ import annotations

import sys
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import click

from commands.console import loaded_encoder, need_tables, progress_bar, record_command, refuse, semantic_side
from config import TORCH_SUFFIX
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
@click.option("--model", default="", help="Another prepared model, while the current one stays in use.")
def embed_command(collection: str, model: str) -> None:
    """Embed the tags and documents that have no embedding under the current model; resumes where it stopped."""
    need_tables()
    if model:
        semantic_side().lazy.switch(prepared_model(model).load, model)  # in this process only
    else:
        semantic_side().model.follow(db.session())
    encoder = loaded_encoder()
    with progress_bar(unit=" texts", desc=encoder.name) as bar:

        def show(progress: Progress) -> None:
            bar.total = progress.total
            bar.update(progress.done - bar.n)

        try:
            progress = embed(db.session(), encoder, collection, show)
        except EncoderUnavailable as error:
            click.echo(f"Stopped: {error}. What is done is kept; run it again to go on", err=True)
            sys.exit(1)
    if progress.done:
        freshen_statistics(db.session())
    click.echo(f"{progress.done} embedded under {encoder.name}")
    if waiting := waiting_documents(db.session(), model_of(encoder), collection):
        click.echo(f"{waiting} documents were added meanwhile: run it again")


@click.group("models", invoke_without_command=True)
@click.pass_context
def models_command(context: click.Context) -> None:
    """List the models that are prepared or have embeddings, and which one is current."""
    if context.invoked_subcommand is not None:
        return
    need_tables()
    side, settings = semantic_side(), runtime().settings
    side.model.follow(db.session())
    stored = stored_models(db.session())
    for model in stored:
        mark = "*" if model.key == side.model.key else " "
        counts = f"{model.embeddings} embeddings, {model.tags} of tags"
        click.echo(f"{mark} {model.name}  {model.dim} dimensions  {counts}  ({model.checksum[:12]})")
    names = {model.name for model in stored}
    for path in sorted(settings.models_dir.glob("*/manifest.json")):
        if path.parent.name not in names:
            click.echo(f"  {path.parent.name}  prepared, no embeddings")
    how = "switched to" if chosen_key(db.session()) else f"SEMANTIC_MODEL={side.model.default_name}"
    where = f" at {settings.embeddings_url}" if side.lazy.model == "remote" else ""
    click.echo(f"Current: {side.lazy.model}{where} ({how})")


@models_command.command("switch")
@click.argument("name")
def switch_command(name: str) -> None:
    """Use the model NAME from now on, in every process; refused while embeddings are missing."""
    need_tables()
    model = prepared_model(name)
    documents, tags = missing_models(db.session(), model.key or 0)
    if documents or tags:
        refuse(
            f"{documents} documents and {tags} tags have no embedding under {name} yet; make them, while the current"
            f" model stays in use, with: flask --app app embed --model {name}"
        )
    switch(db.session(), model.manifest or model.load().manifest)
    record_command("model switched", name)
    click.echo(f"{name} is used from now on")


@models_command.command("drop")
@click.argument("name")
def drop_command(name: str) -> None:
    """Delete the embeddings of the model NAME, unless it is the current one; its folder stays."""
    need_tables()
    side = semantic_side()
    side.model.follow(db.session())
    stored = stored_models(db.session())
    named = [model for model in stored if model.name == name]
    if not named:
        names = sorted({model.name for model in stored})
        refuse(f"{name} has no embeddings; there are embeddings of: {', '.join(names) or 'none'}")
    dropped = [model for model in named if model.key != side.model.key]
    if not dropped:
        refuse(f"{name} is the current model; switch to another first with: flask --app app models switch NAME")
    count = sum(model.embeddings + model.tags for model in dropped)
    with progress_bar(total=count, unit=" embeddings", desc=name) as bar:
        for model in dropped:
            drop_model(db.session(), model.key, bar.update)
    record_command("model dropped", name)
    click.echo(f"{count} embeddings of {name} deleted")


def prepared_model(name: str) -> AvailableModel:
    """Return a model that can be used; exits if there is something wrong with it."""
    find = semantic_side(needs_model=True).model.find
    if find is None:
        refuse(f"{name} cannot be loaded here")
    model = find(name)
    try:
        if model.name == "remote":
            return with_remote_manifest(model, name)
        folder = name.removesuffix(TORCH_SUFFIX)
        manifest = read_manifest(runtime().settings.models_dir / folder)
    except ModelUnusable as error:
        refuse(str(error))
    if manifest.name != folder:
        refuse(f"{manifest.folder} holds the model {manifest.name}: rename the folder to that")
    return model


def with_remote_manifest(model: AvailableModel, name: str) -> AvailableModel:
    """Return the model of the other host with its manifest; raises ModelUnusable, and exits for another name."""
    manifest = model.manifest or model.load().manifest
    if name not in ("remote", manifest.name):
        refuse(f"{name} is not there, and the host at EMBEDDINGS_URL serves {manifest.name}")
    return replace(model, manifest=manifest)


@click.command("serve-embeddings")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65_535), default=8080, show_default=True)
@click.option("--threads", type=click.IntRange(1, 64), default=4, show_default=True)
def serve_embeddings_command(host: str, port: int, threads: int) -> None:
    """Serve the model to other hosts, which then need none: SEMANTIC_MODEL=remote EMBEDDINGS_URL=http://HOST:PORT.

    If EMBEDDINGS_API_KEY is set, they need the same key.
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
    # Sites keep their connections open; an idle one takes no thread.
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
    """Tell whether only this machine can reach an address; of names, only localhost is known to be."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
