"""What `eigenzoo doctor` prints: what is installed, what the machine has, and whether two processes can talk."""

from __future__ import annotations

import os
import platform
import socket
import sys
import tempfile
import time
import warnings
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import Tensor, multiprocessing

from datamodules.sources import cache_home, require_online

PACKAGES = ("torch", "lightning", "torchmetrics", "torch-geometric", "jsonargparse", "numpy", "scipy", "safetensors")
EXTRAS = ("wandb", "tensorboard", "rdkit", "huggingface_hub")
DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex128, torch.complex64)
TIMEOUT = 10.0  # seconds that one process waits for the other


def report() -> dict[str, str]:
    """Return the findings by name, in the order in which they are read best."""
    return {
        "python": f"{platform.python_version()} ({sys.executable})",
        **{package: _version(package) for package in PACKAGES},
        **{package: _version(package) for package in EXTRAS},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} ({socket.gethostname()})",
        "threads": f"torch {torch.get_num_threads()}, OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}",
        "devices": ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        or "CPU only",
        "dtypes": ", ".join(_dtype_support(dtype) for dtype in DTYPES),
        "backends": ", ".join(_backends()) or "none",
        "cache": _cache(),
        "all-reduce": _all_reduce(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _dtype_support(dtype: torch.dtype) -> str:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    matrix = torch.ones(4, 4, dtype=dtype, device=device)
    missing = []
    for name, operation in {"matmul": torch.mm, "fft": torch.fft.fft, "eig": torch.linalg.eigvals}.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a dtype is experimental
                operation(matrix, matrix) if name == "matmul" else operation(matrix)
        except RuntimeError:
            missing.append(name)
    return str(dtype).removeprefix("torch.") + (f" (no {', '.join(missing)})" if missing else "")


def _backends() -> list[str]:
    if not torch.distributed.is_available():
        return []
    return [name for name in ("gloo", "nccl", "mpi") if getattr(torch.distributed, f"is_{name}_available")()]


def _cache() -> str:
    folder = cache_home()
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    writable = "writable" if os.access(nearest, os.W_OK) else "NOT writable"
    try:
        require_online("nothing", "")
    except RuntimeError:
        return f"{folder} ({writable}, offline)"
    return f"{folder} ({writable})"


def _all_reduce() -> str:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            multiprocessing.start_processes(
                _reduce_for_a_second, args=(f"file://{folder}/store",), nprocs=2, start_method="fork"
            )
        except Exception as error:  # whatever went wrong is the finding
            return f"FAILED: {str(error).strip().splitlines()[-1]}"
        rounds = int(Path(folder, "rounds").read_text())
    return f"ok, {rounds} per second over 2 gloo processes (started in {time.perf_counter() - started - 1:.1f} s)"


def _reduce_for_a_second(rank: int, store: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=TIMEOUT)
    )
    rounds, until = 0, time.perf_counter() + 1
    more: Tensor = torch.ones(1)
    while more.item() > 0:
        total = torch.tensor([rank + 1.0])
        torch.distributed.all_reduce(total)
        if total.item() != 3:
            raise RuntimeError(f"1 + 2 = {total.item()}")
        rounds += 1
        # Both must leave after the same round.
        more = torch.tensor([float(time.perf_counter() < until)])
        torch.distributed.broadcast(more, src=0)
    if rank == 0:
        Path(store.removeprefix("file://")).with_name("rounds").write_text(str(rounds))
    torch.distributed.destroy_process_group()
