"""Laplacian spectra of a data set, computed once and kept in the cache."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch_geometric.data import Data

from datamodules import keys
from datamodules.sources import generated
from zoo.spectral.transforms import AddLaplacianSpectrum

VERSION = 1  # of what is cached; to be raised when the transform's results change


def with_spectra(graphs: list[Data], transform: AddLaplacianSpectrum) -> list[Data]:
    """Return shallow copies of graphs with `eigvals`, `eigvecs` and `num_eigs`, computed unless the cache has them.

    Args:
        graphs: graphs with `x` and `edge_index`.
        transform: what computes the spectra.
    """

    def build(path: Path) -> None:
        done = transform.transform_many(graphs)
        columns = {
            "width": [torch.tensor([graph.eigvals.size(1)]) for graph in done],
            keys.EIGVALS: [graph.eigvals.reshape(-1) for graph in done],
            keys.EIGVECS: [graph.eigvecs.reshape(-1) for graph in done],
            keys.NUM_EIGS: [graph.num_eigs for graph in done],
        }
        save_file({key: torch.cat(column) for key, column in columns.items()}, path)

    arguments = {"version": VERSION, "transform": repr(transform), "graphs": _digest(graphs)}
    stored = load_file(generated("spectra.safetensors", arguments, build))
    widths = stored["width"].tolist()
    sizes = [width * len(graph.x) for width, graph in zip(widths, graphs, strict=True)]
    eigvals, eigvecs = stored[keys.EIGVALS].split(widths), stored[keys.EIGVECS].split(sizes)
    result = []
    for graph, values, vectors, number in zip(graphs, eigvals, eigvecs, stored[keys.NUM_EIGS], strict=True):
        result.append(copy.copy(graph))
        # Clones, since a graph that is saved alone would take the storage of all others with it.
        result[-1].eigvals = values[None].clone()
        result[-1].eigvecs = vectors.view(-1, len(values)).clone()
        result[-1].num_eigs = number[None].clone()
    return result


def _digest(graphs: list[Data]) -> str:
    digest = hashlib.sha256()
    for graph in graphs:
        digest.update(f"{len(graph.x)} {graph.edge_index.size(1)} ".encode())
        digest.update(graph.edge_index.contiguous().numpy().tobytes())
    return digest.hexdigest()
