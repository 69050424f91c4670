"""A user's own structures: extended XYZ, or anything else that ASE reads (`pip install 'eigenzoo[ase]'`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from datamodules.molecules.extxyz import read_extxyz
from datamodules.molecules.structure import Structure

EXTXYZ = (".xyz", ".extxyz")


def read_structures(path: str | Path) -> list[Structure]:
    """Read all structures of a file.

    Raises:
        ValueError: the file or a structure in it cannot be used.
        FileNotFoundError: there is no such file.
        ImportError: the file is no extended XYZ file, and ASE is missing.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if any(suffix in EXTXYZ for suffix in path.suffixes):
        return read_extxyz(path)
    try:
        import ase.io
    except ImportError as error:
        raise ImportError(f"{path} is no .xyz or .extxyz file; other formats need ASE: pip install ase") from error
    try:
        frames = ase.io.read(path, index=":")
    except Exception as error:  # each format of ASE raises its own
        raise ValueError(f"{path} cannot be read by ASE: {error}") from error
    structures = []
    for number, atoms in enumerate(frames):
        periodic = [bool(flag) for flag in atoms.pbc]
        structure = Structure(
            numbers=np.asarray(atoms.numbers, dtype=np.int64),
            pos=np.asarray(atoms.positions, dtype=np.float64),
            cell=np.asarray(atoms.cell.array, dtype=np.float64) if atoms.cell.rank == 3 else None,
            pbc=(periodic[0], periodic[1], periodic[2]),
        )
        try:
            structure.check()
        except ValueError as error:
            raise ValueError(f"{path}, frame {number}: {error}") from error
        structures.append(structure)
    return structures
