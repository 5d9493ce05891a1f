"""PostgreSQL by TLS, as hosts outside the private network want it: what the address asks for is kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from app import create_app
from config import read_settings
from models import db
from tests.certificates import certificate
from tests.conftest import closed, migrate
from tests.databases import NotToBeHad, PostgresServer, system_programs, unprivileged
from tests.servers import free_port

SECRETS = {"SECRET_KEY": "a secret of the tests", "ADMIN_TOKEN": "a token of the tests"}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that the server's own user can reach: those of the tests are their user's alone."""
    made = Path(tempfile.mkdtemp(prefix="matmon-tls-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def server(folder: Path, port: int) -> Iterator[PostgresServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PGPORT", str(port))  # a port names the socket too
        started = started_with_tls(folder, port)
        yield started
        started.stop()


def started_with_tls(folder: Path, port: int) -> PostgresServer:
    if not shutil.which("openssl"):
        pytest.skip("there is no openssl to make a certificate")
    shown, key = certificate(folder, "server")
    try:
        owner = unprivileged()
        for path in (shown, key):
            path.chmod(0o600)
            shutil.chown(path, owner.pw_uid)
        listens = ("listen_addresses=127.0.0.1", f"port={port}", "ssl=on")
        files = (f"ssl_cert_file={shown}", f"ssl_key_file={key}")
        return PostgresServer(system_programs(), migrate, settings=(*listens, *files))
    except (NotToBeHad, PermissionError) as reason:
        pytest.skip(str(reason))


@pytest.fixture
def database(server: PostgresServer, tmp_path: Path) -> Iterator[str]:
    with server.fresh(tmp_path) as url:
        yield str(make_url(url).database)


def encrypted(address: str, tmp_path: Path) -> bool:
    """Tell whether the app's own connection to an address is by TLS."""
    app = create_app(read_settings({"DATABASE_URL": address, "SEMANTIC_MODEL": "none", **SECRETS}, tmp_path))
    try:
        with app.app_context():
            asked = text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            found: bool = db.session.execute(asked).scalar_one()
            return found
    finally:
        closed(app)


def test_what_the_address_asks_for_is_kept(database: str, port: int, folder: Path, tmp_path: Path) -> None:
    site = f"127.0.0.1:{port}/{database}"
    assert encrypted(f"postgres://postgres@{site}?sslmode=require", tmp_path)
    assert encrypted(f"postgresql://postgres@{site}?sslmode=verify-full&sslrootcert={folder}/server.crt", tmp_path)
    assert not encrypted(f"postgresql://postgres@{site}?sslmode=disable", tmp_path)


def test_a_server_that_is_another_is_refused(database: str, port: int, folder: Path, tmp_path: Path) -> None:
    other, _ = certificate(folder, "other")
    address = f"postgresql://postgres@127.0.0.1:{port}/{database}?sslmode=verify-full&sslrootcert={other}"
    with pytest.raises(OperationalError, match="certificate verify failed"):
        encrypted(address, tmp_path)
