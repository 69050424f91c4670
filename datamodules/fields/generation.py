"""Generate samples in blocks: by several processes, again from where a killed run stopped, and always the same bits.

Each sample has a random generator of its own, by (seed, split, number), and blocks are solved together. A block is one
file in the cache, complete or absent; so a smaller data set is the beginning of a larger one, and shares its files.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tqdm.auto import tqdm

from datamodules.fields.arrays import Array
from datamodules.sources import generated, sha256_of

Sampler = Callable[..., dict[str, Array]]
"""`(generators, **arguments) -> entries`, a function at the top level of a module."""

BLOCK = 8  # samples
FILE_NAME = "block.safetensors"
PATIENCE = 2  # seconds after which a progress bar is worth its line
SPLITS = ("train", "val", "test")
VERSION = 1  # of the generators; to be raised when a seed gives other data


def generate(
    sampler: Sampler, arguments: dict[str, Any], split: str, number: int, seed: int, processes: int = 1
) -> tuple[dict[str, Array], str]:
    """Return samples from the cache, generating first what is missing.

    Args:
        sampler: see `Sampler`.
        arguments: its keyword arguments, plain JSON values.
        split: "train", "val" or "test".
        number: of samples, > 0.
        seed: >= 0.
        processes: that generate at once, > 0.

    Returns:
        Entries (number, ...) by name, and the sha256 of all blocks together.
    """
    block = partial(_block, sampler, arguments, split, seed)
    sizes = [min(BLOCK, number - first) for first in range(0, number, BLOCK)]
    with tqdm(total=number, desc=f"{sampler.__name__}, {split}", unit="sample", delay=PATIENCE) as progress:
        paths = []
        if processes == 1:
            for index, size in enumerate(sizes):
                paths.append(block(index, size))
                progress.update(size)
        else:
            # Fresh processes import numpy and scipy only; forked ones could inherit locks.
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(min(processes, len(sizes)), mp_context=context) as pool:
                for path, size in zip(pool.map(block, range(len(sizes)), sizes), sizes, strict=True):
                    paths.append(path)
                    progress.update(size)
    blocks = [load_file(path) for path in paths]
    digest = hashlib.sha256("".join(map(sha256_of, paths)).encode()).hexdigest()
    return {name: np.concatenate([entries[name] for entries in blocks]) for name in blocks[0]}, digest


def _block(sampler: Sampler, arguments: dict[str, Any], split: str, seed: int, index: int, size: int) -> Path:
    def build(path: Path) -> None:
        numbers = range(index * BLOCK, index * BLOCK + size)
        generators = [np.random.default_rng([seed, SPLITS.index(split), number]) for number in numbers]
        entries = sampler(generators, **arguments)
        save_file({name: np.ascontiguousarray(entry) for name, entry in entries.items()}, path)

    identity = {"version": VERSION, "sampler": sampler.__name__, "split": split, "seed": seed, **arguments}
    return generated(FILE_NAME, {**identity, "block": index, "size": size}, build)
