"""ZINC: penalised logP of drug-like molecules, as in Dwivedi et al., "Benchmarking graph neural networks" (2020).

    y = (logP - 2.457) / 1.434 - (SA - 3.053) / 0.834 - (cycle - 0.0486) / 0.286,  cycle = max(0, longest ring - 6),

the octanol-water partition coefficient, the synthetic accessibility and a penalty of large rings, each standardised
over ZINC-250k.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from filelock import FileLock
from torch import Tensor, equal

from datamodules.graphs.module import SPLITS, GraphDataModule
from datamodules.graphs.tables import Array, GraphTable, read_arrays, write_arrays
from datamodules.graphs.vocabulary import Vocabulary
from datamodules.pickles import load_tensors
from datamodules.sources import cache_home, generated, require_online, sha256_of

# Symbol, hydrogens and charge of atoms; the order is that of the benchmark.
ATOM_TYPES = (
    "C", "O", "N", "F", "C H1", "S", "Cl", "O -", "N H1 +", "Br", "N H3 +", "N H2 +", "N +", "N -", "S -", "I", "P",
    "O H1 +", "N H1 -", "O +", "S +", "P H1", "P H2", "C H2 -", "P +", "S H1 +", "C H1 -", "P H1 +",
)  # fmt: skip
BOND_TYPES = ("none", "single", "double", "triple")

PACKAGED = Path(__file__).with_name("zinc_surrogate.npz")
FILE_NAME = "zinc_graphs.npz"
COLUMNS = ("num_atoms", "num_bonds", "atom_type", "bond_u", "bond_v", "bond_type", "y")
VERSION = 1  # of the conversion of the official files


class ZINC(GraphDataModule):
    """Penalised logP of the molecules of ZINC-12k (10,000 / 1,000 / 1,000) or of all 249,456.

    The data come from the first of these that there is:

    1. `root` with the official files `{train,val,test}.pickle` and `.index`, in the folder itself, in `raw/` (as
       torch_geometric leaves them) or in `molecules/` (as in benchmarking-gnns). Nothing in them is executed.
    2. `root` with `zinc_graphs.npz`: `num_atoms`, `num_bonds` (G,), `atom_type` (N,), `bond_u`, `bond_v`, `bond_type`
       (E,) with each bond once, `y` (G,), and the rows `surrogate_train_index`, `official_val_index` and
       `official_test_index`.
    3. `download=True`: the official files, fetched by torch_geometric. There is no published digest of them to check;
       the run's metadata record the sha256 of the molecules.
    4. A file in the package, in the format of 2. Its validation and test molecules are the official ones, its training
       molecules are NOT: they are 10,000 others of the same distribution, from the validation part of JT-VAE's random
       split of ZINC-250k. Report results as "ZINC-12k, surrogate train split". The targets were computed anew and agree
       with the published ones to about 0.003.

    Provenance of 4: SMILES from github.com/wengong-jin/icml18-jtnn (MIT licence), split indices from
    github.com/graphdeeplearning/benchmarking-gnns (MIT licence), molecules of the ZINC database (free to use,
    zinc.docking.org), targets by RDKit 2026.09.

    The protocol trains on raw targets. No molecule has more than 38 atoms.

    Args:
        root: folder with the data.
        download: fetch the official files into the cache, once.
        subset: ZINC-12k; False for all molecules, which only the official files have.
        num_eigs: Laplacian eigenpairs per molecule, > 0; None for all.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: see `ZooDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range or at odds with another; in `setup`, `root` lacks the data.
    """

    target_names: ClassVar[list[str]] = ["penalised_logp"]
    vocabulary: ClassVar[Vocabulary] = Vocabulary(ATOM_TYPES, BOND_TYPES)

    def __init__(
        self,
        root: str | None = None,
        download: bool = False,
        subset: bool = True,
        num_eigs: int | None = 37,
        batch_size: int = 128,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(num_eigs, batch_size, num_workers, seed, predict_path)
        if download and root is not None:
            raise ValueError(f"download=True is not allowed with root={root!r}; give one of them")
        if not (subset or download or root is not None):
            raise ValueError("subset=False needs the official files; give root= with them, or download=True")
        self.root = root
        self.download = download
        self.subset = subset
        self._official = False

    def source(self) -> Path:
        """Return the npz file with the molecules, downloaded or converted from the official files where needed.

        Raises:
            ValueError: `root` lacks the data.
        """
        if self.download:
            return self._converted(downloaded())
        if self.root is None:
            return PACKAGED
        root = Path(self.root)
        for folder in (root, root / "raw", root / "molecules"):
            if all(path.exists() for path in self._official_files(folder)):
                return self._converted(folder)
        if self.subset and (root / FILE_NAME).exists():
            return root / FILE_NAME
        wanted = ", ".join(path.name for path in self._official_files(root))
        raise ValueError(f"root={self.root!r} is not allowed; it needs {wanted}{f', or {FILE_NAME}' * self.subset}")

    def _official_files(self, folder: Path) -> list[Path]:
        suffixes = ("pickle", "index") if self.subset else ("pickle",)
        return [folder / f"{split}.{suffix}" for split in SPLITS for suffix in suffixes]

    def _converted(self, folder: Path) -> Path:
        files = {path.name: sha256_of(path) for path in self._official_files(folder)}

        def build(path: Path) -> None:
            write_arrays(path, convert(folder, self.subset))

        return generated(FILE_NAME, {"version": VERSION, "subset": self.subset, "files": files}, build)

    def read_table(self, path: Path) -> GraphTable:
        """Read an npz file with molecules.

        Raises:
            ValueError: it is no such file.
        """
        arrays = read_arrays(path, (*COLUMNS, "official_val_index", "official_test_index"))
        self._official = "official_train_index" in arrays
        train = arrays["official_train_index" if self._official else "surrogate_train_index"]
        return GraphTable(
            num_nodes=arrays["num_atoms"],
            num_edges=arrays["num_bonds"],
            edges=np.column_stack([arrays["bond_u"], arrays["bond_v"]]),
            y=arrays["y"][:, None],
            splits={"train": train, "val": arrays["official_val_index"], "test": arrays["official_test_index"]},
            node_types=arrays["atom_type"],
            edge_types=arrays["bond_type"],
        )

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return 0 and 1: the protocol trains on raw targets."""
        return [0.0], [1.0]

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the molecules."""
        name = "ZINC-12k" if self.subset else "ZINC"
        source = PACKAGED.name if self.root is None else FILE_NAME
        return {
            "name": name,
            "source": "official files" if self._official else source,
            "split": f"{name}, {'official' if self._official else 'surrogate train'} split",
            "licence": "molecules: ZINC database, free to use; SMILES and split indices: MIT",
            **self.provenance(),
        }


def convert(folder: Path, subset: bool) -> dict[str, Array]:
    """Return the molecules of the official files as the arrays of `zinc_graphs.npz`, with `official_train_index`.

    Args:
        folder: where the files are.
        subset: take the rows in the `.index` files only.

    Raises:
        ValueError: a file is not what it should be.
    """
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    indices = {}
    for split in SPLITS:
        path = folder / f"{split}.pickle"
        molecules = load_tensors(path)
        first = len(columns["y"])
        for row in _read_index(path.with_suffix(".index")) if subset else range(len(molecules)):
            try:
                values = _arrays_of(molecules[row])
            except (LookupError, TypeError, AttributeError, RuntimeError, ValueError) as error:
                raise ValueError(f"molecule {row} of {path} is not as it should be: {error}") from error
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
        indices[f"official_{split}_index"] = np.arange(first, len(columns["y"]))
    lengths = {name: np.array(columns[name], dtype=np.uint8) for name in COLUMNS[:2]}
    types = {name: np.concatenate(columns[name]).astype(np.uint8) for name in COLUMNS[2:-1]}
    return {**lengths, **types, "y": np.array(columns["y"]), **indices}


def _arrays_of(molecule: dict[str, Tensor]) -> tuple[int, int, Array, Array, Array, Array, float]:
    atoms, bonds = molecule["atom_type"].reshape(-1), molecule["bond_type"]
    if len(atoms) > 255 or bonds.shape != (len(atoms), len(atoms)) or not equal(bonds, bonds.T):
        raise ValueError(f"bond_type {tuple(bonds.shape)} must be symmetric and fit {len(atoms)} <= 255 atoms")
    for types, names in ((atoms, ATOM_TYPES), (bonds, BOND_TYPES)):
        if not 0 <= int(types.min()) <= int(types.max()) < len(names):
            raise ValueError(
                f"types reach from {int(types.min())} to {int(types.max())}; allowed: 0 to {len(names) - 1}"
            )
    u, v = bonds.triu(1).nonzero(as_tuple=True)
    target = float(molecule["logP_SA_cycle_normalized"])
    return len(atoms), len(u), atoms.numpy(), u.numpy(), v.numpy(), bonds[u, v].numpy(), target


def _read_index(path: Path) -> list[int]:
    try:
        return [int(number) for number in path.read_text().strip().rstrip(",").split(",")]
    except ValueError as error:
        raise ValueError(f"{path} must hold row numbers separated by commas: {error}") from error


def downloaded() -> Path:
    """Return the folder with the official files, fetched into the cache by torch_geometric if they are missing.

    Raises:
        RuntimeError: `EIGENZOO_OFFLINE` forbids the download.
    """
    folder = cache_home() / "downloads" / "zinc"
    if not folder.exists():
        require_online("ZINC", "give root= with the official files, or leave download out for the packaged ones")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                _download(folder)
    return folder / "raw"


def _download(folder: Path) -> None:
    from torch_geometric import datasets

    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    # Only the download: the constructor would go on to unpickle the files without restriction.
    dataset = datasets.ZINC.__new__(datasets.ZINC)
    dataset.root = str(partial)
    dataset.download()
    partial.rename(folder)
