"""Files that are either wholly there or not there at all: written under a temporary name, flushed, then renamed."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from checkpoints.errors import CheckpointError
from checkpoints.format import FILES


def sha256(data: bytes) -> str:
    """Return the sha256 digest of some bytes as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def write_file(path: Path, data: bytes) -> None:
    """Write a file atomically: a reader, or a crash, sees the earlier file or the whole new one."""
    temporary = _temporary(path)
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


@contextmanager
def new_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder that is renamed to `folder` if the block succeeds and vanishes if it fails.

    With `overwrite` the old folder is moved aside, the new one takes its place, and only then is the old one deleted: a
    reader sees the old checkpoint, for an instant none, or the new one, never a mixture.

    Args:
        folder: where the result goes; its parents are made.
        overwrite: replace an existing checkpoint folder.

    Raises:
        CheckpointError: `folder` exists and is not to be overwritten, or holds other things than a checkpoint.
    """
    _check_target(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(folder)
    temporary.mkdir()
    try:
        yield temporary
        _flush_folder(temporary)
        # Asked again, because the block took its time and another process may have been quicker.
        _check_target(folder, overwrite)
        if folder.exists():
            _swap(temporary, folder)
        else:
            temporary.rename(folder)
        _flush_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_target(folder: Path, overwrite: bool) -> None:
    if not folder.exists():
        return
    if not overwrite:
        raise CheckpointError(f"folder={str(folder)!r} exists already; give another one, or overwrite=True")
    if not folder.is_dir() or any(entry.name not in FILES for entry in folder.iterdir()):
        raise CheckpointError(f"folder={str(folder)!r} holds other things than a checkpoint; it is not overwritten")


def _swap(new: Path, old: Path) -> None:
    aside = _temporary(old)
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        aside.rename(old)
        raise
    shutil.rmtree(aside)


def _temporary(path: Path) -> Path:
    # Beside the target, since a rename is atomic only within a file system; the leading dot hides it from listings.
    return path.with_name(f".{path.name}.{uuid.uuid4().hex}")


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
