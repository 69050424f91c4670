"""Seek decompositions of the Gaunt tensor and store them in the package.

python scripts/decompose_gaunt.py zoo/gaunt/low_rank.npz
"""

import argparse
from itertools import count
from pathlib import Path

import numpy as np

from zoo.gaunt.low_rank import RANKS, RESIDUAL, decompose, residual


def write(target: Path) -> None:
    """Write an exact decomposition of each degree's rank to an npz file."""
    arrays = {}
    for lmax, rank in RANKS.items():
        for seed in count():
            factors = decompose(lmax, rank, seed)
            error = residual(factors, lmax)
            print(f"lmax {lmax}, rank {rank}, seed {seed}: residual {error:.1e}", flush=True)
            if error <= RESIDUAL:
                break
        arrays[f"lmax{lmax}"] = factors.numpy()
    np.savez(target, **arrays)  # type: ignore[arg-type] # its own keyword is a bool


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", type=Path, help="file to write")
    write(parser.parse_args().target)
