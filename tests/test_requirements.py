"""The locks (requirements*.txt): complete, hashed where they can be, and what is installed."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from config import ROOT

HASHED = {
    "site": "requirements.txt",
    "e5": "requirements-e5.txt",
    "test": "requirements-test.txt",
    "tools": "requirements-tools.txt",
}
PINNED = {"prepare": "requirements-prepare.txt", "original": "requirements-original.txt"}
LOCKS = HASHED | PINNED
INSTALLERS = {"pip", "setuptools", "wheel"}


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def entries(name: str) -> list[str]:
    """Return a lock's entries, the hashes of each in its line."""
    joined = text(name).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def locked(name: str) -> dict[str, Requirement]:
    """Return a lock's requirements that apply to this platform, by name."""
    requirements = [Requirement(re.split(r" --hash| +#", entry)[0]) for entry in entries(name)]
    return {
        canonicalize_name(each.name): each for each in requirements if each.marker is None or each.marker.evaluate()
    }


def inputs(name: str) -> set[str]:
    """Return the names that an input file and those it includes ask for."""
    lines = [line for line in text(f"requirements/{name}.in").splitlines() if line and line[0] != "#"]
    included = [inputs(line.split()[1].removesuffix(".in")) for line in lines if line.startswith("-r ")]
    own = [Requirement(line) for line in lines if not line.startswith("-")]
    return {canonicalize_name(each.name) for each in own if not each.marker or each.marker.evaluate()}.union(*included)


def differences(installed: dict[str, str], lock: str) -> list[str]:
    """Return what is installed and not locked, or locked with another version; no installer is compared."""
    pins = locked(lock)
    versions = {canonicalize_name(name): version for name, version in installed.items()}
    return [
        f"{name}=={version}: {pins.get(name, 'not locked')} (make clean, then install again)"
        for name, version in sorted(versions.items())
        if name not in INSTALLERS and not (name in pins and pins[name].specifier.contains(version, prereleases=True))
    ] + [f"{name} is not installed" for name in pins if name not in versions]


def test_what_is_installed_is_what_is_locked() -> None:
    installed = {each.name: each.version for each in importlib.metadata.distributions()}
    assert differences(installed, "requirements-test.txt") == []


def test_what_prepares_models_is_what_is_locked(preparing: Path) -> None:
    command = [str(preparing), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    installed = {each["name"]: each["version"] for each in json.loads(listed)}
    assert differences(installed, "requirements-prepare.txt") == []


@pytest.mark.parametrize(("source", "lock"), LOCKS.items())
def test_every_name_that_is_asked_for_is_locked(source: str, lock: str) -> None:
    assert inputs(source)
    assert inputs(source) - set(locked(lock)) == set()


@pytest.mark.parametrize("lock", LOCKS.values())
def test_every_entry_has_one_version(lock: str) -> None:
    assert [entry for entry in entries(lock) if not re.match(r"[a-z0-9-]+==[\w.]+ ", entry + " ")] == []


@pytest.mark.parametrize("lock", HASHED.values())
def test_every_entry_of_a_hashed_lock_has_a_hash(lock: str) -> None:
    assert [entry for entry in entries(lock) if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []


@pytest.mark.parametrize("lock", LOCKS.values())
def test_no_lock_names_an_index(lock: str) -> None:
    assert not re.search(r"https?://|index-url|find-links|file:", text(lock))


def test_the_locks_agree_on_every_version() -> None:
    pins: dict[str, set[str]] = {}
    for lock in LOCKS.values():
        for name, requirement in locked(lock).items():
            pins.setdefault(name, set()).add(str(requirement.specifier))
    assert {name: versions for name, versions in pins.items() if len(versions) > 1} == {}


def test_torch_is_the_release_that_the_models_were_prepared_with() -> None:
    assert str(locked("requirements-prepare.txt")["torch"].specifier) == "==2.13.0"
