"""What benchmarks on small graphs share: a table on disk, Laplacian spectra from the cache, a user's own graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from torch_geometric.data import Batch, Data

from datamodules.graphs.batches import collate_graphs
from datamodules.graphs.inputs import read_graphs
from datamodules.graphs.spectra import with_spectra
from datamodules.graphs.tables import GraphTable
from datamodules.graphs.vocabulary import Vocabulary
from datamodules.module import Samples, ZooDataModule, require_integer
from datamodules.sources import sha256_of
from zoo.spectral.transforms import AddLaplacianSpectrum

SPLITS = ("train", "val", "test")


class GraphDataModule(ZooDataModule):
    """Base of benchmarks on small graphs whose nodes and edges have types.

    Subclasses set `target_names` and `vocabulary`, and define `source`, `read_table`, `target_statistics` and
    `metadata`.

    Args:
        num_eigs: Laplacian eigenpairs per graph, > 0; None for all.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: see `ZooDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range.
    """

    vocabulary: ClassVar[Vocabulary]

    def __init__(
        self,
        num_eigs: int | None,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(batch_size=batch_size, num_workers=num_workers, seed=seed, predict_path=predict_path)
        if num_eigs is not None:
            require_integer("num_eigs", num_eigs, least=1)
        self.num_eigs = num_eigs
        self._spectrum = AddLaplacianSpectrum(num_eigs)
        self._sha256 = ""

    def source(self) -> Path:
        """Return the file that holds the graphs, generating or downloading it first where needed."""
        raise NotImplementedError(f"{type(self).__name__} must define source()")

    def read_table(self, path: Path) -> GraphTable:
        """Read the file that `source` returned."""
        raise NotImplementedError(f"{type(self).__name__} must define read_table()")

    def prepare_data(self) -> None:
        """Generate or download what is missing and compute the spectra; one process of each machine calls it."""
        if self.predict_path is None:  # else predicting three molecules would wait for the whole benchmark
            self.setup()

    def build_datasets(self) -> dict[str, Samples]:
        """Return the splits as lists of graphs with all entries of `datamodules.keys`."""
        path = self.source()
        table = self.read_table(path)
        self._sha256 = sha256_of(path)
        return {split: with_spectra(table.split(split), self._spectrum) for split in SPLITS}

    def provenance(self) -> dict[str, Any]:
        """Return the part of `metadata` that every benchmark on graphs has."""
        return {
            "sizes": {split: len(dataset) for split, dataset in self.datasets.items()},
            "sha256": self._sha256,
            "num_eigs": self.num_eigs,
            "seed": self.seed,
        }

    def collate(self, samples: list[Data]) -> Batch:
        """Return the batch of some graphs."""
        return collate_graphs(samples)

    def read_inputs(self, path: str) -> tuple[list[str], list[Data]]:
        """Read a user's graphs and compute their spectra as for training.

        Args:
            path: a file in one of the formats of `datamodules.graphs.inputs`.

        Returns:
            The names of the graphs, and the graphs, without `y`.

        Raises:
            ValueError: the file cannot be used; the message names the graph and the fault.
            FileNotFoundError: there is no such file.
            ImportError: the file holds molecules and rdkit is missing.
        """
        names, graphs = read_graphs(path, self.vocabulary)
        return names, self._spectrum.transform_many(graphs)
