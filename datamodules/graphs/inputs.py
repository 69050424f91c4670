"""A user's own graphs, from files that are not trusted: nothing in them is executed, every fault has its own message.

Formats, by suffix:

    .smi .txt   one molecule per line: a SMILES string and, after a blank, its name (else the SMILES string is the name)
    .csv        one molecule per row, columns `smiles` and, optionally, `id`
    .json       [{"id": "a", "num_nodes": 3, "edges": [[0, 1], [1, 2]], "atom_types": [0, 0, 2], "bond_types": [1, 2]}]
                with each edge once; `id` is optional, types are left out where the benchmark has none
    .pt         a torch_geometric `Data` or a list of them with each edge in both directions; `x` (n,) or (n, 1) and
                `edge_attr` (E,) or (E, 1) hold integer types; where the benchmark has none, `num_nodes` is enough

Molecules need rdkit: `pip install 'eigenzoo[chem]'`. Write stereocentres out ("[C@H]"): the benchmark of molecules was
made from such strings, and a model trained on it knows the atom as "C H1".
"""

from __future__ import annotations

import csv
import json
import pickle
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
from torch_geometric.data.storage import GlobalStorage

from datamodules.graphs.molecules import molecule_graph
from datamodules.graphs.tables import Array
from datamodules.graphs.vocabulary import Vocabulary, check_edges, check_size

MAX_BYTES = 64 << 20  # of one file, unpacked
JSON_KEYS = ("id", "num_nodes", "edges", "atom_types", "bond_types")
INTEGERS = (torch.int64, torch.int32, torch.uint8)

# What torch and torch_geometric raise on files that are damaged or were made to do harm.
UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    EOFError,
    TypeError,
    LookupError,
    AttributeError,
)


def read_graphs(path: str | Path, vocabulary: Vocabulary) -> tuple[list[str], list[Data]]:
    """Read the graphs of a file in one of the formats above.

    Args:
        path: the file.
        vocabulary: the types of nodes and edges that the benchmark knows.

    Returns:
        The names of the graphs, and the graphs with `x`, `edge_index` and `edge_attr`, see `datamodules.keys`.

    Raises:
        ValueError: the file or a graph in it cannot be used; the message names both, the fault and what is allowed.
        FileNotFoundError: there is no such file.
        ImportError: the file holds molecules and rdkit is missing.
    """
    path = Path(path)
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise ValueError(f"{path} has the suffix {path.suffix!r}; allowed: {', '.join(READERS)}")
    try:
        _check_bytes(path.stat().st_size)
        named = list(read(path, vocabulary))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not named:
        raise ValueError(f"{path}: it holds no graph; give at least one")
    return [name for name, _ in named], [graph for _, graph in named]


def _check_bytes(size: int) -> None:
    if size > MAX_BYTES:
        raise ValueError(f"it has {size} bytes; allowed: at most {MAX_BYTES}, give the graphs in several files")


def _read_smiles_lines(path: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, Data]]:
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        if line.strip():
            smiles, *name = line.strip().split(maxsplit=1)
            yield name[0] if name else smiles, molecule_graph(smiles, vocabulary)


def _read_smiles_table(path: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, Data]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            if "smiles" not in (rows.fieldnames or ()):
                raise ValueError(f"its first line names the columns {rows.fieldnames}; one must be 'smiles'")
            for row in rows:
                smiles = (row["smiles"] or "").strip()
                yield row.get("id") or smiles, molecule_graph(smiles, vocabulary)
        except csv.Error as error:
            raise ValueError(f"line {rows.line_num} is no CSV: {error}") from error


def _read_json(path: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, Data]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply for a list of graphs") from error
    if not isinstance(entries, list):
        raise ValueError(f"it holds a {type(entries).__name__}; give a list of graphs")
    for row, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise ValueError(f"graph {row} is a {type(entry).__name__}; give an object with num_nodes and edges")
        name = str(entry.get("id", row))
        yield name, _json_graph(f"graph {name!r}", entry, vocabulary)


def _json_graph(name: str, entry: dict[str, Any], vocabulary: Vocabulary) -> Data:
    unknown = [key for key in entry if key not in JSON_KEYS]
    if unknown:
        raise ValueError(f"{name}: unknown key {unknown[0]!r}; allowed: {', '.join(JSON_KEYS)}")
    num_nodes, edges = entry.get("num_nodes"), entry.get("edges")
    if type(num_nodes) is not int:
        raise ValueError(f"{name}: num_nodes={num_nodes!r} is not allowed; give an integer")
    if not isinstance(edges, list) or not all(_are_integers(edge) and len(edge) == 2 for edge in edges):
        raise ValueError(f"{name}: edges must be a list of pairs of integers")
    check_size(name, num_nodes, len(edges))
    types: dict[str, Array | None] = {}
    for key in ("atom_types", "bond_types"):
        values = entry.get(key)
        if values is not None and not _are_integers(values):
            raise ValueError(f"{name}: {key} must be a list of integers")
        types[key] = None if values is None else np.array(values, dtype=np.int64)
    pairs = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return vocabulary.graph(name, num_nodes, pairs, types["atom_types"], types["bond_types"])


def _are_integers(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and abs(value) < 1 << 31 for value in values)


def _read_torch(path: Path, vocabulary: Vocabulary) -> Iterator[tuple[str, Data]]:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _check_bytes(sum(entry.file_size for entry in archive.infolist()))
        with torch.serialization.safe_globals([Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        graphs = loaded if isinstance(loaded, list) else [loaded]
        entries = [graph.to_dict() if isinstance(graph, Data) else None for graph in graphs]
    except UNREADABLE as error:
        raise ValueError(f"it cannot be read as torch_geometric graphs in safe mode: {error}") from error
    for row, (graph, entry) in enumerate(zip(graphs, entries, strict=True)):
        if entry is None:
            raise ValueError(f"graph {row} is a {type(graph).__name__}; give a torch_geometric Data")
        yield str(row), _torch_graph(f"graph {row}", entry, vocabulary)


def _torch_graph(name: str, entry: dict[str, Any], vocabulary: Vocabulary) -> Data:
    edge_index: Any = entry.get("edge_index")
    if not _holds_integers(edge_index) or edge_index.dim() != 2 or len(edge_index) != 2:
        raise ValueError(f"{name}: edge_index must be a tensor of integers (2, E)")
    atoms, bonds = _column(name, "x", entry), _column(name, "edge_attr", entry)
    num_nodes = entry.get("num_nodes") if atoms is None else len(atoms)
    if type(num_nodes) is not int:
        raise ValueError(f"{name}: num_nodes={num_nodes!r} is not allowed; give x, or num_nodes as an integer")
    check_size(name, num_nodes, edge_index.size(1) // 2)
    types = edge_index.new_zeros(edge_index.size(1)) if bonds is None else bonds
    if len(types) != edge_index.size(1):
        raise ValueError(f"{name}: edge_attr has {len(types)} rows for {edge_index.size(1)} columns of edge_index")

    directed = np.column_stack([edge_index.T.numpy(), types.numpy()]).astype(np.int64)
    check_edges(name, num_nodes, directed[:, :2])
    forth = directed[directed[:, 0] < directed[:, 1]]
    back = directed[directed[:, 0] > directed[:, 1]][:, [1, 0, 2]]
    if not np.array_equal(forth[np.lexsort(forth.T)], back[np.lexsort(back.T)]):
        raise ValueError(f"{name}: edge_index must hold each edge in both directions, with the same type")
    atom_types = None if atoms is None else atoms.numpy().astype(np.int64)
    return vocabulary.graph(name, num_nodes, forth[:, :2], atom_types, None if bonds is None else forth[:, 2])


def _column(name: str, key: str, entry: dict[str, Any]) -> torch.Tensor | None:
    column = entry.get(key)
    if column is None:
        return None
    if not _holds_integers(column) or column.dim() not in (1, 2) or column[:1].numel() > 1:
        raise ValueError(f"{name}: {key} must be a tensor of integers with one type per row")
    return column.reshape(-1)


def _holds_integers(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.layout == torch.strided and value.dtype in INTEGERS


READERS: dict[str, Callable[[Path, Vocabulary], Iterator[tuple[str, Data]]]] = {
    ".smi": _read_smiles_lines,
    ".txt": _read_smiles_lines,
    ".csv": _read_smiles_table,
    ".json": _read_json,
    ".pt": _read_torch,
}
