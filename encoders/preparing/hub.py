"""Downloads published models from the Hugging Face hub: only the files needed, resumed and verified."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Only plain downloads can be resumed; the variable is read when the library is imported.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")

import requests
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from encoders.manifest import file_checksum
from encoders.preparing.folder import NotPrepared

_TIMEOUT_S = 10.0
_IS_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SETTINGS = (".json", ".txt", ".model")
_WEIGHTS = re.compile(r"(model(-\d+-of-\d+)?\.safetensors|pytorch_model(-\d+-of-\d+)?\.bin)")
_OTHER_RUNTIMES = ("onnx/", "openvino/", "coreml/")


@dataclass(frozen=True)
class Published:
    """A model on disk: its folder, its commit, and the licence of its model card."""

    folder: Path
    commit: str
    licence: str


def is_hub_id(source: str) -> bool:
    return _IS_ID.fullmatch(source) is not None


def fetched(hub_id: str, check: Callable[[Path], None], revision: str | None = None) -> Published:
    """Download a model, after `check` has accepted the folder with its settings only.

    Raises NotPrepared. The settings are a few kilobytes, so a model that is not supported costs no download.
    """
    try:
        info = HfApi().model_info(hub_id, revision=revision, files_metadata=True, timeout=_TIMEOUT_S)
        files = [each for each in info.siblings if not each.rfilename.startswith(_OTHER_RUNTIMES)]
        settings = [each for each in files if each.rfilename.endswith(_SETTINGS)]
        folder = _downloaded(hub_id, info.sha, settings)
        check(folder)
        _downloaded(hub_id, info.sha, list(weight_files(files)))
    except (OSError, ValueError) as error:  # the errors of requests and the hub are OSErrors
        raise NotPrepared(_sentence(hub_id, revision, error)) from error
    return Published(folder, info.sha, getattr(info.card_data, "license", None) or "")


def weight_files(files: Iterable[Any]) -> Iterable[Any]:
    """Return the weight files; safetensors, which contain no code, if there are two formats."""
    found = [each for each in files if _WEIGHTS.fullmatch(Path(each.rfilename).name)]
    safe = {Path(each.rfilename).parent for each in found if each.rfilename.endswith(".safetensors")}
    return [
        each for each in found if each.rfilename.endswith(".safetensors") or Path(each.rfilename).parent not in safe
    ]


def _downloaded(hub_id: str, commit: str, files: list[Any]) -> Path:
    """Download files, verify their checksums, and return their folder."""
    folder = Path()
    for each in files:
        path = Path(hf_hub_download(hub_id, each.rfilename, revision=commit, etag_timeout=_TIMEOUT_S))
        _check_room(path, each.size or 0)
        if not is_whole(path, each):
            path.resolve().unlink()
            path.unlink(missing_ok=True)
            raise NotPrepared(
                f"{each.rfilename} of {hub_id} came with another checksum than the hub names and was thrown away; "
                f"run this again"
            )
        folder = Path(str(path).removesuffix(each.rfilename))
    return folder


def is_whole(path: Path, file: Any) -> bool:
    """Tell whether a file has the checksum of the hub: sha256, or git's blob id for small files."""
    if file.lfs:
        return bool(file_checksum(path) == file.lfs.sha256)
    content = path.read_bytes()
    return file.blob_id in (None, hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest())  # noqa: S324


def _check_room(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise NotPrepared(f"{path.parent} has {free // 2**20} MB free: free some disk space and run this again")


def _sentence(hub_id: str, revision: str | None, error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return f"{hub_id} is given out only to those who accepted its terms: do so on the hub, set HF_TOKEN, and retry"
    if isinstance(error, RevisionNotFoundError):
        return f"{hub_id} has no revision {revision}: choose another"
    if isinstance(error, RepositoryNotFoundError):
        return f"the hub has no model {hub_id} that may be read: check its name"
    if getattr(error, "errno", None) == 28:
        return f"the disk is full: free some and run this again; what was fetched of {hub_id} is kept"
    return (
        f"{hub_id} cannot be fetched from the hub ({_reason(error)}): check the network and run this again, "
        f"or give a folder that holds the model"
    )


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout):
        return f"no answer in {_TIMEOUT_S:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return (re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__)[:200]
