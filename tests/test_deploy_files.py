"""The files that hosts read: each says what its platform documents, and all start the same site."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from config import ROOT, read_settings
from tests.test_requirements import locked

MB = 1_000_000
# What each platform documents: devcenter.heroku.com/articles/app-json-schema, render.com/docs/blueprint-spec,
# docs.railway.com/config-as-code/reference, docs.docker.com/reference/dockerfile.
APP_JSON = {
    "name", "description", "keywords", "website", "repository", "logo", "success_url", "scripts", "env", "formation",
    "image", "addons", "buildpacks", "environments", "stack",
}  # fmt: skip
ENV_JSON = {"description", "value", "required", "generator"}
RENDER_SERVICE = {
    "type", "name", "runtime", "plan", "buildCommand", "preDeployCommand", "startCommand", "healthCheckPath", "envVars",
    "region", "branch", "autoDeploy", "numInstances", "disk", "domains",
}  # fmt: skip
RAILWAY = {
    "build": {"builder", "watchPatterns", "buildCommand", "dockerfilePath"},
    "deploy": {
        "startCommand", "preDeployCommand", "healthcheckPath", "healthcheckTimeout", "restartPolicyType",
        "restartPolicyMaxRetries", "drainingSeconds", "overlapSeconds", "cronSchedule",
    },
}  # fmt: skip
INSTRUCTIONS = {
    "FROM", "ARG", "WORKDIR", "RUN", "ENV", "COPY", "USER", "VOLUME", "EXPOSE", "HEALTHCHECK", "CMD", "ENTRYPOINT",
}  # fmt: skip


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def procfile() -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text("Procfile").splitlines())


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, lines that go on joined."""
    joined = re.sub(r"\\\n\s*", "", text("Dockerfile"))
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def test_every_host_starts_the_site_with_the_procfiles_command() -> None:
    web = procfile()["web"]
    (service,) = yaml.safe_load(text("render.yaml"))["services"]
    last = [arguments for name, arguments in instructions() if name == "CMD"][-1]
    assert service["startCommand"] == web
    assert json.loads(text("railway.json"))["deploy"]["startCommand"] == web
    assert json.loads(last) == shlex.split(web)
    assert f"ExecStart=/opt/matmon/.venv/bin/{web}" in text("deploy/matmon.service").splitlines()


def test_every_host_migrates_before_it_starts() -> None:
    release = procfile()["release"]
    (service,) = yaml.safe_load(text("render.yaml"))["services"]
    assert service["preDeployCommand"] == release
    assert json.loads(text("railway.json"))["deploy"]["preDeployCommand"] == [release]
    assert f"ExecStartPre=/opt/matmon/.venv/bin/{release}" in text("deploy/matmon.service").splitlines()


def test_herokus_manifest_has_what_is_documented() -> None:
    manifest = json.loads(text("app.json"))
    assert set(manifest) <= APP_JSON
    assert 3 <= len(manifest["name"]) <= 30
    assert all(set(one) <= ENV_JSON for one in manifest["env"].values())
    assert manifest["formation"]["web"]["quantity"] == 1


def test_renders_blueprint_has_what_is_documented() -> None:
    blueprint = yaml.safe_load(text("render.yaml"))
    assert set(blueprint) == {"services", "databases"}
    (service,), (database,) = blueprint["services"], blueprint["databases"]
    assert set(service) <= RENDER_SERVICE
    assert (service["type"], service["runtime"]) == ("web", "python")
    assert all(len(set(one) - {"key"}) == 1 for one in service["envVars"])
    named = [one["fromDatabase"]["name"] for one in service["envVars"] if "fromDatabase" in one]
    assert named == [database["name"]]
    assert all(isinstance(one.get("value", ""), str) for one in service["envVars"])


def test_railways_file_has_what_is_documented() -> None:
    found = json.loads(text("railway.json"))
    assert set(found) == {"$schema", *RAILWAY}
    for part, known in RAILWAY.items():
        assert set(found[part]) <= known
    assert found["build"]["builder"] in ("RAILPACK", "DOCKERFILE")


def filled_in(manifest: dict[str, str]) -> dict[str, str]:
    """Return settings as a platform makes them: secrets generated, the database's address given."""
    return manifest | {"DATABASE_URL": "postgres://u:p@db.internal/matmon"}


def test_the_settings_that_hosts_are_given_can_be_used(tmp_path: Path) -> None:
    heroku = {
        name: one.get("value", "s" * 64) for name, one in json.loads(text("app.json"))["env"].items()
    }  # a generated secret has 64 characters
    (service,) = yaml.safe_load(text("render.yaml"))["services"]
    render = {one["key"]: one.get("value", "s" * 44) for one in service["envVars"] if "fromDatabase" not in one}
    for given in (heroku, render):
        settings = read_settings(filled_in(given), tmp_path)
        assert settings.is_postgresql
        assert settings.secure_cookies


def test_the_image_is_small_careful_and_complete() -> None:
    found = instructions()
    assert {name for name, _ in found} <= INSTRUCTIONS
    users = [arguments for name, arguments in found if name == "USER"]
    assert users, "it would run as root"
    assert users[-1] not in ("root", "0")
    assert found[-1][0] == "CMD"
    assert any(name == "HEALTHCHECK" and "/livez" in arguments for name, arguments in found)
    assert sum(name == "FROM" for name, _ in found) == 2, "what builds is not in what serves"
    copied = [arguments.split()[:-1] for name, arguments in found if name == "COPY" and "--from" not in arguments]
    assert all((ROOT / path).exists() for paths in copied for path in paths)


def test_the_health_check_of_the_image_is_python() -> None:
    (check,) = (arguments for name, arguments in instructions() if name == "HEALTHCHECK")
    command = json.loads(check.split("CMD ", 1)[1])
    assert command[0] == "python"
    compile(command[2], "the health check", "exec")


@pytest.mark.parametrize("name", [".slugignore", ".dockerignore"])
def test_what_is_left_out_is_not_needed_to_serve(name: str) -> None:
    left_out = {line.strip("/") for line in text(name).splitlines() if line}
    needed = {"app.py", "templates", "static", "migrations", "translations", "requirements.txt", "requirements-e5.txt"}
    assert not left_out & needed
    assert {"tests", "benchmarks"} <= left_out


def test_one_version_of_python_is_named_everywhere() -> None:
    version = text(".python-version").strip()
    (service,) = yaml.safe_load(text("render.yaml"))["services"]
    render = next(one["value"] for one in service["envVars"] if one["key"] == "PYTHON_VERSION")
    images = {arguments.split()[0] for name, arguments in instructions() if name == "FROM"}
    assert render.startswith(version + ".")
    assert images == {f"python:{version}-slim"}
    assert not (ROOT / "runtime.txt").exists(), "Heroku no longer wants it, and it still wins"


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = text("deploy/matmon.service").replace("/opt/matmon/.venv/bin/flask", "/bin/true")
    unit = unit.replace("/opt/matmon/.venv/bin/gunicorn", "/bin/true")
    (tmp_path / "matmon.service").write_text(unit, encoding="utf-8")
    assert "MemoryMax=512M" in unit.splitlines()
    if shutil.which("systemd-analyze"):
        command = ["systemd-analyze", "verify", str(tmp_path / "matmon.service")]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "matmon.service" not in ended.stderr, ended.stderr


def test_what_a_host_installs_stays_under_350_mb() -> None:
    packages = sum(size(name) for name in locked("requirements.txt"))
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own = sum((ROOT / name).stat().st_size for name in tracked.split("\0") if name and (ROOT / name).is_file())
    model = sum(path.stat().st_size for path in (ROOT / "models" / "e5-small").rglob("*") if path.is_file())
    assert packages > 100 * MB, "the packages were not found"
    assert packages + own + max(model, 72 * MB) < 350 * MB


def size(name: str) -> int:
    files = importlib.metadata.files(name) or []
    return sum(path.stat().st_size for one in files if (path := Path(str(one.locate()))).is_file())


def run_script(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    given: dict[str, Any] = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"} | environment
    command = [str(folder / "scripts" / "model_for_host.sh")]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=False)


def test_no_model_is_made_where_none_is_wanted(tmp_path: Path) -> None:
    for model in ("none", "remote"):
        ended = run_script(tmp_path / model, SEMANTIC_MODEL=model)
        assert (ended.returncode, ended.stdout) == (0, f"SEMANTIC_MODEL={model}: no model is needed here\n")


def test_another_model_needs_an_archive_and_the_build_says_so(tmp_path: Path) -> None:
    ended = run_script(tmp_path / "other", SEMANTIC_MODEL="alephbert")
    assert ended.returncode == 1
    assert "MODEL_ARCHIVE_URL" in ended.stderr
