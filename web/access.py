"""Who asks, and what they may do: keys and the admin token, as bearer tokens and in a browser's session."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypeVar

from flask import Flask, current_app, redirect, request, session, url_for
from limits import RateLimitItemPerMinute
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import Forbidden, TooManyRequests, Unauthorized
from werkzeug.wrappers import Response as AnyResponse

from indexes.access import Reader, use_reader
from models import ApiKey, db
from operations.audit import record
from operations.keys import ADMIN_TOKEN_ID, find_key, is_key_text, note_use, usable_key
from web.clients import client
from web.current import settings
from web.errors import ApiError
from web.rate_limits import rates, refuse_over

ADMIN_S = 3_600
SIGNED_IN_S = 30 * 86_400
WRONG_TOKENS = RateLimitItemPerMinute(10)  # of one client; beyond it not even the right one is accepted
SCOPE = "wrong-tokens"
AUDITED = RateLimitItemPerMinute(60)  # of all clients together: the audit log needs no more of an attack
REFUSED, REFUSED_SCOPE = RateLimitItemPerMinute(60), "refused"  # a view that is not reached counts nothing itself
# What a route may ask for: a scope of keys; "metrics", which METRICS_TOKEN has too; or "none", which everybody has.
EVERYBODYS = frozenset({"read", "match", "metrics"})  # on a public site
MATCHING = frozenset({"matching", "screenings", "api_matching", "api_screenings"})
BEARER_SCOPES = frozenset({"write", "admin"})  # in the API: another site's form could send the session's cookie along
log = logging.getLogger("matmon.access")
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: nobody in particular, a key, the admin token (key 1) or the metrics token."""

    name: str = ""
    key: int = 0
    scopes: frozenset[str] = frozenset()
    collections: frozenset[str] = frozenset()  # the only ones that the key opens; all if empty

    def has(self, scope: str) -> bool:
        """Whether the key itself allows this, whatever everybody may do."""
        return scope in self.scopes or "admin" in self.scopes or (scope == "metrics" and "read" in self.scopes)

    def may_write(self, collection: str) -> bool:
        return self.has("write") and (not self.collections or collection in self.collections)


NOBODY = Caller()


def needs(scope: str) -> Callable[[View], View]:
    """Declare what a view asks of its caller; without it, `read`, and `match` for matching and screenings."""

    def mark(view: View) -> View:
        view.needs = scope  # type: ignore[attr-defined]
        return view

    return mark


def needed_scope() -> str:
    """Return the scope that this request needs; an address that does not exist is as closed as the pages."""
    if request.endpoint == "static":
        return "none"
    default = "match" if request.blueprint in MATCHING else "read"
    view = current_app.view_functions.get(request.endpoint or "")
    return str(getattr(view, "needs", default))


def restrict_reading(app: Flask) -> None:
    """Let nothing private be read until a request's access is known: register it before all else."""
    app.before_request(lambda: use_reader(db.session(), Reader(is_public=not is_private_site())))


def register(app: Flask) -> None:
    """Check every request before its view: a new route is closed on a private site unless it needs "none"."""
    app.before_request(check_access)
    app.context_processor(lambda: {"caller": shown_caller, "may": may_be_shown, "is_private_site": is_private_site()})


def check_access() -> AnyResponse | None:
    """Let a request through, send a visitor to the sign-in page, or refuse; set what the database session may read."""
    scope = needed_scope()
    if scope == "none" or (request.method == "OPTIONS" and not is_private_site()):
        return None
    who = bearer() if is_bearer_only(scope) else caller()
    if request.environ.get("matmon.is_wrong_key"):
        raise ApiError(401, "unauthorized", "The key is wrong, expired or revoked.")
    use_reader(db.session(), reader(who, scope))
    if may(scope, who):
        return None
    if request.blueprint and request.blueprint.startswith("api_"):
        refuse_over(REFUSED, REFUSED_SCOPE)
        rates().hit(REFUSED, REFUSED_SCOPE, client())
        raise refusal(who, scope)
    if who is not NOBODY:
        raise Forbidden("Your key does not allow this.")
    if request.method in ("GET", "HEAD"):
        return redirect(url_for("keys.sign_in_form", next=request.full_path.rstrip("?")), 303)
    raise Unauthorized("Sign in first.")


def is_bearer_only(scope: str) -> bool:
    return scope in BEARER_SCOPES and bool(request.blueprint) and str(request.blueprint).startswith("api_")


def may(scope: str, who: Caller | None = None) -> bool:
    """Whether the caller may do this."""
    return (who or caller()).has(scope) or (scope in EVERYBODYS and not is_private_site())


def shown_caller() -> Caller:
    """Return who sends this request, for a page: nobody where that cannot be found out.

    An error page is also made where the caller is refused, or the database does not answer.
    """
    try:
        return caller()
    except (TooManyRequests, SQLAlchemyError):
        request.environ["matmon.caller"] = NOBODY
        return NOBODY


def may_be_shown(scope: str) -> bool:
    return may(scope, shown_caller())


def refusal(who: Caller, scope: str) -> ApiError:
    if who is NOBODY and scope == "admin":
        return ApiError(401, "unauthorized", "Send the admin token: Authorization: Bearer TOKEN")
    if who is NOBODY:
        return ApiError(401, "unauthorized", f"Send a key with the scope {scope}: Authorization: Bearer KEY")
    return ApiError(403, "forbidden", f"This key does not have the scope {scope}.")


def is_private_site() -> bool:
    return settings().access == "private"


def reader(who: Caller, scope: str) -> Reader:
    """Return what a caller may read on a route that needs this scope."""
    if not who.has("read" if scope == "metrics" else scope):
        return Reader(is_public=not is_private_site())
    return Reader(not is_private_site(), is_all=not who.collections, named=who.collections)


def caller() -> Caller:
    """Return who sends this request: by the key it carries, else by the session."""
    kept = request.environ
    if "matmon.caller" not in kept:
        found = bearer()
        kept["matmon.caller"] = of_session() if found is NOBODY and not kept.get("matmon.is_wrong_key") else found
    return kept["matmon.caller"]  # type: ignore[no-any-return]


def bearer() -> Caller:
    """Return who the bearer token belongs to, which is checked once; NOBODY without one, or for a wrong one."""
    kept = request.environ
    if "matmon.bearer" not in kept:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        kept["matmon.bearer"] = NOBODY
        if scheme.lower() == "bearer":
            found = of_secret(token.strip())
            kept["matmon.bearer"], kept["matmon.is_wrong_key"] = found or NOBODY, found is None
    return kept["matmon.bearer"]  # type: ignore[no-any-return]


def of_secret(secret: str) -> Caller | None:
    """Return the caller with this key or token; wrong ones are counted and logged. Raises TooManyRequests."""
    refuse_over(WRONG_TOKENS, SCOPE)
    if hmac.compare_digest(secret.encode(), settings().admin_token.encode()):
        return ADMIN
    if (metrics := settings().metrics_token) and hmac.compare_digest(secret.encode(), metrics.encode()):
        return Caller("metrics token", scopes=frozenset({"metrics"}))
    key = find_key(db.session(), secret) if is_key_text(secret) else None
    if key:
        note_use(db.session(), key)
        return of_key(key)
    rates().hit(WRONG_TOKENS, SCOPE, client())
    log.warning("a wrong key from %s", client())
    if rates().hit(AUDITED, SCOPE):
        record(db.session(), "key refused", client=client())
    return None


ADMIN = Caller("admin token", ADMIN_TOKEN_ID, frozenset({"admin"}))


def of_key(key: ApiKey) -> Caller:
    return Caller(f"key {key.name}", key.id, frozenset(key.scopes), frozenset(key.collections))


def of_session() -> Caller:
    """Return who signed in with this browser; NOBODY once the time is over, the key revoked or the token changed."""
    key_id, until = session.get("key", 0), session.get("until", 0)
    if not isinstance(key_id, int) or not isinstance(until, int) or not key_id or until <= time.time():
        return NOBODY
    key = None if key_id == ADMIN_TOKEN_ID else usable_key(db.session(), key_id)
    if key is None and key_id != ADMIN_TOKEN_ID:
        return NOBODY
    if not hmac.compare_digest(str(session.get("mark", "")), mark(key)):
        return NOBODY
    if key is None:
        return ADMIN
    note_use(db.session(), key)
    return of_key(key)


def mark(key: ApiKey | None) -> str:
    """Return what a session holds of a key, or of the admin token: it tells nothing of them, and changes with them."""
    secret = key.hash if key else sha256(settings().admin_token.encode()).digest()
    return hmac.new(settings().secret_key.encode(), secret, "sha256").hexdigest()[:32]


def sign_in(secret: str) -> bool:
    """Sign this browser in with a key or the admin token; the session holds the key's id, a mark and when it ends."""
    who = of_secret(secret)
    if who is None or not who.key:
        return False
    key = None if who is ADMIN else usable_key(db.session(), who.key)
    session["key"], session["mark"] = who.key, mark(key)
    session["until"] = int(time.time()) + (ADMIN_S if who.has("admin") else SIGNED_IN_S)
    if not who.has("admin"):
        session.permanent = True
    request.environ["matmon.caller"] = who
    record(db.session(), "sign-in", who=who.name, client=client())
    return True


def sign_out() -> None:
    if caller().key:
        record(db.session(), "sign-out", who=caller().name, client=client())
    for name in ("key", "mark", "until"):
        session.pop(name, None)
    request.environ["matmon.caller"] = NOBODY


def sees_all_figures() -> bool:
    """Whether the caller may see more of the site's figures than the numbers that everybody may."""
    return caller().has("metrics")


def is_admin() -> bool:
    """Whether the caller has the admin scope: in pages by the session, in the API by its bearer token."""
    return caller().has("admin")
