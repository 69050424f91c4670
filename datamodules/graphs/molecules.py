"""Molecules as graphs: atoms without hydrogens, kekulised bonds."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch_geometric.data import Data

from datamodules.graphs.vocabulary import Vocabulary

MAX_CHARACTERS = 10_000


def molecule_graph(smiles: str, vocabulary: Vocabulary) -> Data:
    """Return the graph of a molecule, with `x`, `edge_index` and `edge_attr`.

    The type of an atom is its symbol, its explicitly written hydrogens and its charge ("N", "C H1", "O -").

    Args:
        smiles: SMILES string.
        vocabulary: the types of atoms and bonds that are known.

    Raises:
        ValueError: the string is no molecule, or has an atom or bond that is not in the vocabulary.
        ImportError: rdkit is missing.
    """
    try:
        from rdkit import Chem, rdBase
    except ImportError as error:
        raise ImportError("molecules need rdkit: pip install 'eigenzoo[chem]'") from error

    if len(vocabulary.atom_types) == 1:
        raise ValueError(f"molecule {smiles[:50]!r} is not allowed: this benchmark's graphs have no atom types")
    if not 0 < len(smiles) <= MAX_CHARACTERS:
        raise ValueError(f"molecule {smiles[:50]!r} has {len(smiles)} characters; allowed: 1 to {MAX_CHARACTERS}")
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles)
    if molecule is None:
        raise ValueError(f"molecule {smiles!r} is no valid SMILES string")
    Chem.Kekulize(molecule, clearAromaticFlags=True)

    def number(kind: str, name: str, names: tuple[str, ...]) -> int:
        if name not in names:
            raise ValueError(f"molecule {smiles!r}: {kind} {name!r} is unknown; allowed: {', '.join(names)}")
        return names.index(name)

    atoms = [number("atom", _atom_type(atom), vocabulary.atom_types) for atom in molecule.GetAtoms()]
    bonds = [number("bond", bond.GetBondType().name.lower(), vocabulary.bond_types) for bond in molecule.GetBonds()]
    ends = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in molecule.GetBonds()]
    edges = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return vocabulary.graph(f"molecule {smiles!r}", len(atoms), edges, np.array(atoms), np.array(bonds, dtype=np.int64))


def _atom_type(atom: Any) -> str:
    hydrogens, charge = atom.GetNumExplicitHs(), atom.GetFormalCharge()
    sign = {0: "", 1: " +", -1: " -"}.get(charge, f" {charge:+d}")
    return atom.GetSymbol() + (f" H{hydrogens}" if hydrogens else "") + sign
