"""Signing in and out with a key, and the page on which admins make and revoke keys."""

from __future__ import annotations

import time

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response as AnyResponse

from models import db
from operations.keys import (
    LONGEST_KEY_NAME,
    SCOPES,
    KeyRefused,
    about_key,
    create_key,
    end_of_day,
    list_keys,
    revoke_key,
)
from search.documents import collections
from search.query import Query, clean_text
from web.access import needs, sign_in, sign_out
from web.audit import record_request
from web.errors import translated
from web.screenings import NUMBER

key_pages = Blueprint("keys", __name__)


@key_pages.get("/signin")
@needs("none")
def sign_in_form() -> str:
    return sign_in_page()


def sign_in_page(error: str = "") -> str:
    return render_template("signin.html", query=Query(), next=local_path(request.values.get("next", "")), error=error)


def local_path(path: str) -> str:
    """Return a path of this site as it is, and the home page for any other address."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local else url_for("search.everything")


@key_pages.post("/signin")
@needs("none")
def sign_in_asked() -> AnyResponse | tuple[str, int]:
    if not sign_in(request.form.get("key", "").strip()):
        return sign_in_page(gettext("The key is wrong, expired or revoked.")), 401
    return redirect(local_path(request.form.get("next", "")), 303)


@key_pages.post("/signout")
@needs("none")
def sign_out_asked() -> AnyResponse:
    sign_out()
    return redirect(url_for("keys.sign_in_form"), 303)


@key_pages.get("/keys")
@needs("admin")
def keys() -> str:
    return keys_page()


def keys_page(made: str = "", error: str = "") -> str:
    """Return the page; `made` is the text of a new key, which is shown this once."""
    return render_template(
        "keys.html", query=Query(), keys=list_keys(db.session()), made=made, error=error, scopes=SCOPES,
        collections=collections(db.session()), longest_name=LONGEST_KEY_NAME, now=time.time(),
    )  # fmt: skip


@key_pages.post("/keys")
@needs("admin")
def key_make() -> str | tuple[str, int]:
    """Make a key and show it; reloading the page asks before it makes another."""
    form = request.form
    try:
        expires_at = end_of_day(form.get("expires", "").strip())
        names = [clean_text(name)[:64] for name in form.getlist("collection") if name.strip()]
        key, key_text = create_key(
            db.session(), clean_text(form.get("name", "")), form.getlist("scope"), names, expires_at
        )
    except KeyRefused as error:
        return keys_page(error=translated(error)), 422
    record_request("key made", about_key(key))
    return keys_page(key_text)


@key_pages.post(f"/keys/{NUMBER}/revoke")
@needs("admin")
def key_revoke(number: int) -> AnyResponse:
    if key := revoke_key(db.session(), number):
        record_request("key revoked", about_key(key))
    return redirect(url_for("keys.keys"), 303)
