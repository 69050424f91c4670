"""Checkpoints on the Hugging Face hub, named `hf-hub:owner/name@revision`.

What arrives is checked like any other folder; the hub is trusted with nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from checkpoints.errors import HubError
from checkpoints.format import FILES

PREFIX = "hf-hub:"
DEFAULT_REVISION = "main"
_WORD = r"[A-Za-z0-9][\w.-]*"
_ID = re.compile(rf"{PREFIX}(?P<repository>{_WORD}/{_WORD})(@(?P<revision>{_WORD}(/{_WORD})*))?", re.ASCII)


def download(hub_id: str) -> Path:
    """Fetch the four files of a checkpoint, and only these, and return their folder in the hub's cache.

    Args:
        hub_id: "hf-hub:owner/name@revision"; the revision is a commit (best: it cannot change), tag or branch, by
            default "main". With the environment variable EIGENZOO_OFFLINE=1 only the cache is asked.

    Raises:
        HubError: the id is malformed, the optional extra `hub` is not installed, or the hub does not deliver.
    """
    match = _ID.fullmatch(hub_id)
    if match is None:
        raise HubError(f"{hub_id!r} is not a hub id; give {PREFIX}owner/name@revision")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise HubError(f"{hub_id} needs the optional extra `hub`: pip install 'eigenzoo[hub]'") from error
    offline = os.environ.get("EIGENZOO_OFFLINE", "0") not in ("", "0")
    try:
        folder = snapshot_download(
            match["repository"],
            revision=match["revision"] or DEFAULT_REVISION,
            allow_patterns=list(FILES),
            local_files_only=offline,
        )
    # The client lets errors of its own, of its HTTP library and of the file system through; all mean the same here.
    except Exception as error:
        reason = "it is not in the cache and EIGENZOO_OFFLINE is set" if offline else "it is not there or out of reach"
        raise HubError(f"cannot fetch {hub_id}, {reason}: {error}") from error
    return Path(folder)
