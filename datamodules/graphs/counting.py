"""Counting cycles in random graphs, after Chen et al., "Can graph neural networks count substructures?" (2020).

Each graph is a random k-regular graph on n nodes, (n, k) drawn from `FAMILIES`, from which n random edges are deleted.
The targets are the numbers of simple cycles of length 3, 4, 5 and 6, counted exactly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from datamodules.graphs.cycles import LENGTHS, node_cycle_counts
from datamodules.graphs.module import GraphDataModule
from datamodules.graphs.tables import Array, GraphTable, read_arrays, write_arrays
from datamodules.graphs.vocabulary import Vocabulary
from datamodules.module import require_integer
from datamodules.sources import generated

FAMILIES = ((10, 6), (15, 6), (20, 5), (30, 5))
FILE_NAME = "substructure_count.npz"
ARRAYS = ("num_nodes", "num_edges", "edge_uv", "cycle_counts", "train_index", "val_index", "test_index")
VERSION = 1  # of the generator; to be raised when a seed gives other graphs


class SubstructureCounting(GraphDataModule):
    """Numbers of 3-, 4-, 5- and 6-cycles of random graphs with 10 to 30 nodes; all nodes and edges have type 0.

    Generated in seconds without a network, or read from `substructure_count.npz` in a folder: `num_nodes` (G,),
    `num_edges` (G,), `edge_uv` (E, 2) numbered within the graph, each edge once, `cycle_counts` (G, 4), and the rows
    `train_index`, `val_index`, `test_index`. Models are trained on counts standardised by the training split.

    Args:
        root: folder with `substructure_count.npz`; None generates the graphs from `seed`.
        num_train: number of training graphs, > 0; of a folder's, the first so many are taken.
        num_val: number of validation graphs, likewise.
        num_test: number of test graphs, likewise.
        num_eigs: Laplacian eigenpairs per graph, > 0; None for all.
        batch_size: see `ZooDataModule`.
        num_workers: see `ZooDataModule`.
        seed: see `ZooDataModule`.
        predict_path: see `ZooDataModule`.

    Raises:
        TypeError: see `ZooDataModule`.
        ValueError: an argument is out of its range; in `setup`, the folder has fewer graphs.
    """

    target_names: ClassVar[list[str]] = [f"{length}-cycle" for length in LENGTHS]
    vocabulary: ClassVar[Vocabulary] = Vocabulary()

    def __init__(
        self,
        root: str | None = None,
        num_train: int = 1500,
        num_val: int = 1000,
        num_test: int = 2500,
        num_eigs: int | None = 30,
        batch_size: int = 128,
        num_workers: int = 0,
        seed: int = 0,
        predict_path: str | None = None,
    ) -> None:
        super().__init__(num_eigs, batch_size, num_workers, seed, predict_path)
        self.root = root
        self.sizes = {"train": num_train, "val": num_val, "test": num_test}
        for split, size in self.sizes.items():
            require_integer(f"num_{split}", size, least=1)

    def source(self) -> Path:
        """Return the file with the graphs: the user's, or one generated from the seed."""
        if self.root is not None:
            return Path(self.root, FILE_NAME)

        def build(path: Path) -> None:
            write_arrays(path, generate(self.sizes, self.seed))

        return generated(FILE_NAME, {"version": VERSION, "sizes": self.sizes, "seed": self.seed}, build)

    def read_table(self, path: Path) -> GraphTable:
        """Read a file with graphs.

        Raises:
            ValueError: it is no such file, or has fewer graphs than asked for.
            FileNotFoundError: there is no such file.
        """
        arrays = read_arrays(path, ARRAYS)
        for split, size in self.sizes.items():
            available = len(arrays[f"{split}_index"])
            if size > available:
                raise ValueError(f"num_{split}={size} is not allowed; {path} has {available} graphs for it")
        return GraphTable(
            num_nodes=arrays["num_nodes"],
            num_edges=arrays["num_edges"],
            edges=arrays["edge_uv"],
            y=arrays["cycle_counts"],
            splits={split: arrays[f"{split}_index"][:size] for split, size in self.sizes.items()},
        )

    def target_statistics(self) -> tuple[list[float], list[float]]:
        """Return mean and standard deviation of the counts in the training split; 1 where a count does not vary."""
        counts = torch.cat([graph.y for graph in self.dataset("train")])
        deviation = counts.std(0, correction=0)
        return counts.mean(0).tolist(), deviation.where(deviation > 0, 1.0).tolist()

    def metadata(self) -> dict[str, Any]:
        """Return the provenance of the graphs."""
        return {
            "name": "substructure counting",
            "source": "generated" if self.root is None else FILE_NAME,
            "split": "generated" if self.root is None else "of the file",
            "licence": "none, synthetic",
            **self.provenance(),
        }


def generate(sizes: dict[str, int], seed: int) -> dict[str, Array]:
    """Draw random graphs and count their cycles.

    Args:
        sizes: number of graphs of each split.
        seed: same seed, same bits.

    Returns:
        The arrays of the file that `SubstructureCounting` reads.
    """
    generator = np.random.default_rng(seed)
    families = generator.choice(FAMILIES, sum(sizes.values()))
    graphs = [thinned_regular_graph(num_nodes, degree, generator) for num_nodes, degree in families.tolist()]
    num_nodes, num_edges = families[:, 0], np.array([len(edges) for edges in graphs])
    edges = np.concatenate(graphs)
    first_node = np.cumsum(num_nodes) - num_nodes

    # All graphs are counted together, as one disconnected graph.
    through_node = node_cycle_counts(edges + np.repeat(first_node, num_edges)[:, None], int(num_nodes.sum()))
    rows = np.split(np.arange(len(graphs)), np.cumsum(list(sizes.values()))[:-1])
    return {
        "num_nodes": num_nodes.astype(np.uint8),
        "num_edges": num_edges.astype(np.uint8),
        "edge_uv": edges.astype(np.uint8),
        "cycle_counts": (np.add.reduceat(through_node, first_node) // LENGTHS).astype(np.int32),
        **{f"{split}_index": index for split, index in zip(sizes, rows, strict=True)},
    }


def thinned_regular_graph(num_nodes: int, degree: int, generator: np.random.Generator) -> Array:
    """Draw a k-regular graph and delete n of its edges, for n nodes; returns the edges (nk/2 - n, 2), u < v."""
    edges = random_regular_graph(num_nodes, degree, generator)
    kept = generator.choice(len(edges), len(edges) - num_nodes, replace=False)
    return edges[np.sort(kept)]


def random_regular_graph(num_nodes: int, degree: int, generator: np.random.Generator) -> Array:
    """Draw a k-regular graph by random pairing of half-edges, asymptotically uniform (Steger and Wormald, 1999).

    Args:
        num_nodes: number of nodes n > k, with n k even.
        degree: k.
        generator: source of randomness.

    Returns:
        The edges (nk/2, 2), u < v, in ascending order.
    """
    while True:
        edges: set[tuple[int, int]] = set()
        halves = np.repeat(np.arange(num_nodes), degree)
        while len(halves):
            generator.shuffle(halves)
            left = []
            for u, v in np.sort(halves.reshape(-1, 2)).tolist():
                if u == v or (u, v) in edges:
                    left += [u, v]
                else:
                    edges.add((u, v))
            nodes = sorted(set(left))
            if left and all((u, v) in edges for u in nodes for v in nodes if u < v):
                break  # a dead end: no two of the nodes that are left may still be joined
            halves = np.array(left, dtype=np.int64)
        else:
            return np.array(sorted(edges))
