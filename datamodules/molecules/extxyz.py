"""Extended XYZ files, plain or compressed by xz or gzip; every fault is named by file and frame.

    3
    Lattice="9.0 0 0 0 9.0 0 0 0 9.0" Properties=species:S:1:pos:R:3:forces:R:3 energy=-76.4 pbc="T T T"
    O   0.000  0.000  0.119   0.01  0.00  0.02
    ..

Frames follow each other. Positions are in Angstrom, energies in eV, forces in eV/Angstrom, stress (9 numbers) in
eV/Angstrom^3; names of energy, forces and stress can be chosen. Without `pbc`, a structure with a lattice is periodic.
"""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from datamodules.molecules.structure import NUMBERS, SYMBOLS, Array, Structure

OPENERS: dict[str, Callable[..., IO[str]]] = {".xz": lzma.open, ".gz": gzip.open}
ENTRY = re.compile(r'([^\s=]+)\s*=\s*("[^"]*"|\{[^}]*\}|\[[^]]*\]|\S+)|(\S+)')
DEFAULT_PROPERTIES = "species:S:1:pos:R:3"
TRUE = ("t", "true", "1")


def read_extxyz(
    path: str | Path,
    energy_key: str = "energy",
    forces_key: str = "forces",
    stress_key: str = "stress",
    need_energy: bool = False,
    need_forces: bool = False,
) -> list[Structure]:
    """Read all structures of a file.

    Args:
        path: the file; `.xz` and `.gz` are unpacked.
        energy_key: entry of the comment line with the energy.
        forces_key: property of the atoms with the forces.
        stress_key: entry of the comment line with the stress.
        need_energy: refuse frames without an energy.
        need_forces: refuse frames without forces.

    Raises:
        ValueError: the file is empty, or a frame is not as it should be; the message names file, frame and fault.
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    names = (energy_key, forces_key, stress_key)
    structures = []
    with OPENERS.get(path.suffix, open)(path, "rt") as file:
        try:
            frames = _frames(iter(file))
            for number, (comment, lines) in enumerate(frames):
                try:
                    structure = _structure(comment, lines, *names)
                    structure.check(need_energy, need_forces)
                except ValueError as error:
                    raise ValueError(f"frame {number}: {error}") from error
                structures.append(structure)
        except (lzma.LZMAError, EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        except ValueError as error:
            raise ValueError(f"{path}, {error}") from error
    if not structures:
        raise ValueError(f"{path} holds no structure; give at least one")
    return structures


def _frames(lines: Iterator[str]) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(line for line in lines if line.strip()):
        try:
            size = int(line)
        except ValueError as error:
            raise ValueError(f"frame {number}: it starts with {line.strip()!r} instead of a number of atoms") from error
        rest = [next(lines, None) for _ in range(size + 1)]
        if size < 0 or None in rest:
            raise ValueError(f"frame {number}: the file ends before its {size} atoms do")
        comment, *atoms = (text for text in rest if text is not None)
        yield comment, atoms


def _structure(comment: str, lines: list[str], energy_key: str, forces_key: str, stress_key: str) -> Structure:
    info = {key: value.strip('"{}[]') for key, value, _ in ENTRY.findall(comment) if key}
    columns = _columns(info.pop("Properties", DEFAULT_PROPERTIES), lines)
    for name in ("species", "pos"):
        if name not in columns and not (name == "species" and "Z" in columns):
            raise ValueError(f"its Properties lack {name!r}")
    lattice = info.pop("Lattice", None)
    cell = None if lattice is None else _numbers("Lattice", lattice, 9).reshape(3, 3)
    pbc = info.pop("pbc", "F F F" if cell is None else "T T T").split()
    if len(pbc) != 3:
        raise ValueError(f"pbc={' '.join(pbc)!r} is not allowed; give three of T and F")
    energy, stress = info.pop(energy_key, None), info.pop(stress_key, None)
    forces = columns.get(forces_key)
    if forces is not None and forces.shape != (len(lines), 3):
        raise ValueError(f"{forces_key} have {forces.shape[1]} columns; give 3")
    return Structure(
        numbers=_atomic_numbers(columns),
        pos=columns["pos"],
        cell=cell,
        pbc=(pbc[0].lower() in TRUE, pbc[1].lower() in TRUE, pbc[2].lower() in TRUE),
        energy=None if energy is None else float(_numbers(energy_key, energy, 1)[0]),
        forces=forces,
        # Column by column, as ASE writes it.
        stress=None if stress is None else _numbers(stress_key, stress, 9).reshape(3, 3).T.copy(),
        info=info,
    )


def _columns(properties: str, lines: list[str]) -> dict[str, Array]:
    parts = properties.split(":")
    if len(parts) % 3 or not all(width.isdigit() for width in parts[2::3]):
        raise ValueError(f"Properties={properties!r} is not allowed; give name:type:columns, again and again")
    widths = [int(width) for width in parts[2::3]]
    rows = [line.split() for line in lines]
    for number, row in enumerate(rows):
        if len(row) < sum(widths):
            raise ValueError(f"atom {number} has {len(row)} columns instead of {sum(widths)}")
    columns, first = {}, 0
    for name, kind, width in zip(parts[::3], parts[1::3], widths, strict=True):
        text = [row[first : first + width] for row in rows]
        first += width
        if kind in ("R", "I"):
            try:
                columns[name] = np.array(text, dtype=np.float64 if kind == "R" else np.int64).reshape(-1, width)
            except ValueError as error:
                raise ValueError(f"{name} of an atom is no number: {error}") from error
        else:
            columns[name] = np.array(text, dtype=object).reshape(-1, width)
    return columns


def _atomic_numbers(columns: dict[str, Array]) -> Array:
    if "species" not in columns:
        numbers = columns["Z"][:, 0]
        if len(numbers) and not 1 <= numbers.min() <= numbers.max() < len(SYMBOLS):
            raise ValueError(f"Z reaches from {numbers.min()} to {numbers.max()}; allowed: 1 to {len(SYMBOLS) - 1}")
        return numbers.astype(np.int64)
    symbols = columns["species"][:, 0]
    unknown = sorted(set(symbols) - set(NUMBERS))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no element")
    return np.array([NUMBERS[symbol] for symbol in symbols], dtype=np.int64)


def _numbers(name: str, text: str, count: int) -> Array:
    try:
        values = np.array(text.replace(",", " ").split(), dtype=np.float64)
    except ValueError as error:
        raise ValueError(f"{name}={text!r} is not allowed; give numbers") from error
    if len(values) != count:
        raise ValueError(f"{name} holds {len(values)} numbers; give {count}")
    return values
