"""Where data comes from: a verified download or a generator, kept in a content-addressed cache.

Everything lies under `cache_home()`. A file enters the cache by one atomic rename after it is complete, so a
half-written file is never read as a good one, whenever its writer dies; locks let several processes ask for the same
file at once; the sha256 is checked on every read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from filelock import FileLock

CHUNK = 1 << 20  # bytes read at once
TIMEOUT = 30.0  # seconds without an answer
ATTEMPTS = 3  # per address; each continues where the last one broke off


def cache_home() -> Path:
    """Return the folder of everything that is downloaded or generated: `$EIGENZOO_HOME`, else `~/.cache/eigenzoo`."""
    return Path(os.environ.get("EIGENZOO_HOME") or "~/.cache/eigenzoo").expanduser()


def sha256_of(path: str | Path) -> str:
    """Return the sha256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_online(what: str, remedy: str) -> None:
    """Refuse to reach the network where `EIGENZOO_OFFLINE=1` forbids it.

    Raises:
        RuntimeError: the network is forbidden; the message says what was wanted and what to do instead.
    """
    if os.environ.get("EIGENZOO_OFFLINE", "0") not in ("", "0"):
        raise RuntimeError(f"EIGENZOO_OFFLINE is set, but {what} is not there and would be downloaded; {remedy}")


def generated(name: str, arguments: dict[str, Any], build: Callable[[Path], None]) -> Path:
    """Return a generated file from the cache, building it first if it is missing or corrupt.

    The address is the hash of the name and all arguments: other arguments, other file.

    Args:
        name: file name, with its suffix.
        arguments: plain JSON values that determine the content, a version of the generator included.
        build: writes the content to the path given to it, whose suffix is that of `name`.

    Warns:
        UserWarning: a file in the cache is corrupt and is built anew.
    """
    canonical = json.dumps({"name": name, "arguments": arguments}, sort_keys=True, allow_nan=False)
    folder = cache_home() / "generated" / hashlib.sha256(canonical.encode()).hexdigest()
    path = folder / name
    if _is_good(path):  # first without the lock: a cache that is complete may be read-only
        return path
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if _is_good(path):
            return path
        if folder.exists():
            warnings.warn(f"{path} is corrupt and is generated anew", stacklevel=2)
            shutil.rmtree(folder)
        partial = folder.with_suffix(".partial")  # of a writer that died, since we hold the lock
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        build(partial / name)
        _digest_file(partial / name).write_text(sha256_of(partial / name))
        (partial / "arguments.json").write_text(canonical)
        partial.rename(folder)
    return path


def download(urls: Sequence[str], sha256: str, name: str, max_bytes: int = 4 << 30) -> Path:
    """Return a file from the cache, downloading it first if it is missing or corrupt.

    A broken transfer continues where it stopped, also in a later process, where the server supports ranges.

    Args:
        urls: http or https addresses of the same file; the next is tried when one fails.
        sha256: what the file must hash to, 64 hexadecimal digits.
        name: file name in the cache.
        max_bytes: a longer answer is refused.

    Raises:
        ValueError: a malformed address or digest.
        RuntimeError: `EIGENZOO_OFFLINE` forbids the download.
        OSError: no address gave the file; the message says for each what went wrong.

    Warns:
        UserWarning: the file in the cache is corrupt and is downloaded again.
    """
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise ValueError(f"sha256={sha256!r} is not allowed; give 64 lower-case hexadecimal digits")
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"urls holds {url!r}; give addresses that start with http:// or https://")
    path = cache_home() / "downloads" / sha256 / name
    if path.exists() and sha256_of(path) == sha256:
        return path
    require_online(name, f"put a file with sha256 {sha256} at {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(name + ".lock")):
        if path.exists():
            if sha256_of(path) == sha256:
                return path
            warnings.warn(f"{path} is corrupt and is downloaded again", stacklevel=2)
            path.unlink()
        partial = path.with_name(name + ".partial")
        failures = []
        for url in urls:
            try:
                _fetch(url, partial, max_bytes)
            except (OSError, HTTPException) as error:
                failures.append(f"{url}: {error or type(error).__name__}")
                continue
            digest = sha256_of(partial)
            if digest == sha256:
                partial.replace(path)
                return path
            partial.unlink()
            failures.append(f"{url}: sha256 is {digest}, not {sha256}")
    raise OSError(f"{name} could not be downloaded; " + "; ".join(failures))


def _fetch(url: str, partial: Path, max_bytes: int) -> None:
    for attempt in range(ATTEMPTS):
        try:
            return _continue(url, partial, max_bytes)
        except (OSError, HTTPException) as error:
            final = isinstance(error, (urllib.error.HTTPError, _TooLargeError))
            if final or attempt == ATTEMPTS - 1:
                raise


def _continue(url: str, partial: Path, max_bytes: int) -> None:
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        partial.unlink()
        raise ConnectionError(f"the server has nothing from byte {have} on; starting over") from error
    with response:
        resumed = response.status == 206
        size = have if resumed else 0
        announced = response.headers.get("Content-Length")
        expected = None if announced is None else size + int(announced)
        if (expected or 0) > max_bytes:
            raise _TooLargeError(f"{expected} bytes are announced, more than {max_bytes}")
        with open(partial, "ab" if resumed else "wb") as file:
            while chunk := response.read(CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    raise _TooLargeError(f"more than {max_bytes} bytes came")
                file.write(chunk)
    if expected is not None and size < expected:
        raise ConnectionError(f"the connection broke after {size} of {expected} bytes")


class _TooLargeError(OSError):
    pass


def _digest_file(path: Path) -> Path:
    return path.with_name("sha256")


def _is_good(path: Path) -> bool:
    try:
        return _digest_file(path).read_text() == sha256_of(path)
    except OSError:
        return False
