"""Graph Laplacians and their spectra, in float64 and reproducible.

With A the symmetric weight matrix without its diagonal, D = diag(A 1), D^-1 := 0 and D^-1/2 := 0 where a degree is 0:

    "sym"   I - D^-1/2 A D^-1/2        "rw"   I - D^-1 A        None   D - A

These are torch_geometric's `get_laplacian` conventions: an isolated node has L_ii = 1 under "sym" and "rw", 0 under
None. The eigenvectors of "sym" and None are orthonormal; those of "rw" are D^-1/2 times those of "sym" (D^-1/2 := 1 at
isolated nodes), hence orthonormal in the inner product of the degrees.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from torch import Tensor

from zoo.spectral.eigensolver import count_below, lanczos
from zoo.spectral.eigensolver import end_of_eigenspace as end_of_eigenspace

Normalization = Literal["sym", "rw"] | None

# Shift-invert Lanczos beats the dense solver above this size, if few pairs are wanted.
SPARSE_SIZE = 600
SPARSE_FRACTION = 1 / 8


def check_normalization(normalization: str | None) -> None:
    """Raise a ValueError unless the name is one of the Laplacians of this file."""
    if normalization is not None and normalization not in get_args(get_args(Normalization)[0]):
        raise ValueError(f"normalization={normalization!r} is not allowed; give 'sym', 'rw' or None")


def check_nodes(edge_index: Tensor, num_nodes: int) -> None:
    """Raise a ValueError unless all edges are between nodes 0 .. num_nodes - 1."""
    if edge_index.numel() and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < num_nodes:
        raise ValueError(
            f"edge_index holds nodes {int(edge_index.min())}..{int(edge_index.max())}; allowed: 0..{num_nodes - 1}"
        )


def adjacency(edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None) -> scipy.sparse.csr_matrix:
    """Return the symmetric weight matrix of an undirected graph, without self-loops.

    Args:
        edge_index: (2, E) int64, each edge in both directions; repeated edges add up.
        num_nodes: number of nodes n.
        edge_weight: (E,) non-negative, equal in both directions; ones if None.

    Returns:
        (n, n) float64.

    Raises:
        ValueError: the edges are not symmetric, leave the range of nodes, or a weight is negative or not finite.
    """
    check_nodes(edge_index, num_nodes)
    row, column = edge_index.cpu().numpy()
    weight = np.ones(row.size) if edge_weight is None else edge_weight.detach().cpu().double().numpy().reshape(-1)
    if weight.size != row.size or not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError(
            f"edge_weight must hold {row.size} finite numbers >= 0, one per edge; got {weight.size} values, {weight}"
        )
    keep = row != column
    matrix = scipy.sparse.coo_matrix((weight[keep], (row[keep], column[keep])), shape=(num_nodes, num_nodes)).tocsr()
    if abs(matrix - matrix.T).max() > 1e-12 * matrix.max():
        raise ValueError(
            "edge_index is directed (some edge lacks its reverse, or has another weight); the Laplacian needs an "
            "undirected graph: symmetrise it first, for instance with torch_geometric.utils.to_undirected"
        )
    return matrix


def _inverse_root(degree: np.ndarray, at_isolated: float) -> np.ndarray:
    return np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1.0)), at_isolated)


def laplacian(weights: scipy.sparse.csr_matrix, normalization: Normalization = "sym") -> scipy.sparse.csr_matrix:
    """Return the Laplacian of a weight matrix from `adjacency`, (n, n) float64.

    Raises:
        ValueError: unknown normalization.
    """
    check_normalization(normalization)
    degree = np.asarray(weights.sum(axis=1)).ravel()
    if normalization is None:
        return (scipy.sparse.diags(degree) - weights).tocsr()
    root = scipy.sparse.diags(_inverse_root(degree, at_isolated=0.0))
    walk = root @ weights @ root if normalization == "sym" else root @ root @ weights
    return (scipy.sparse.identity(len(degree)) - walk).tocsr()


def magnitudes(weights: scipy.sparse.csr_matrix, num_graphs: int, normalization: Normalization = "sym") -> np.ndarray:
    """Return the order of magnitude of the spectra of many graphs of one size, (G,) float64.

    The largest eigenvalue is at most twice it: 1 under "sym" and "rw", under None the largest degree; 1 without edges.

    Args:
        weights: weight matrix from `adjacency` of the disjoint union of the graphs, (G n, G n).
        num_graphs: number of graphs G.
        normalization: which Laplacian.
    """
    if normalization is not None:
        return np.ones(num_graphs)
    largest = np.asarray(weights.sum(axis=1)).reshape(num_graphs, -1).max(axis=1)
    return np.where(largest > 0, largest, 1.0)


def fix_signs(eigvecs: Tensor) -> Tensor:
    """Flip eigenvectors, columns of (..., n, k), so that the first entry of nearly largest magnitude is positive."""
    magnitude = eigvecs.abs()
    # Entries equal in exact arithmetic differ in the last bits: all within 1e-6 of the largest count as largest.
    leading = (magnitude >= (1 - 1e-6) * magnitude.amax(dim=-2, keepdim=True)).int().argmax(dim=-2, keepdim=True)
    return eigvecs * torch.where(eigvecs.gather(-2, leading) < 0, -1.0, 1.0)


def use_sparse_solver(num_nodes: int, k: int) -> bool:
    """Tell whether the k smallest of n eigenpairs are better found by shift-invert Lanczos than by the dense solver."""
    return num_nodes > SPARSE_SIZE and k <= SPARSE_FRACTION * num_nodes


def smallest_eigenpairs(matrix: scipy.sparse.csr_matrix, k: int) -> tuple[Tensor, Tensor]:
    """Return the k smallest eigenpairs of one sparse, symmetric, positive semi-definite matrix by shift-invert Lanczos.

    Args:
        matrix: (n, n) float64, eigenvalues of order one.
        k: number of pairs, well below n.

    Returns:
        Eigenvalues (k,) ascending and orthonormal eigenvectors (n, k), float64, signs fixed.
    """
    values, vectors = lanczos(matrix.tocsc(), k)
    return torch.from_numpy(values), fix_signs(torch.from_numpy(vectors))


def all_eigenpairs(matrices: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return eigenvalues (..., n), ascending, and eigenvectors (..., n, n) of dense symmetric matrices (..., n, n)."""
    # NumPy copies each matrix into a buffer of its own. The last bits of torch.linalg.eigh depend on where in memory
    # the matrix lies, hence on how graphs were grouped.
    values, vectors = np.linalg.eigh(matrices)
    return torch.from_numpy(values), fix_signs(torch.from_numpy(vectors))


def spectra(
    weights: scipy.sparse.csr_matrix, num_graphs: int, k: int | None, normalization: Normalization = "sym"
) -> list[tuple[Tensor, Tensor]]:
    """Return Laplacian eigenpairs of many graphs of one size, ascending, decomposed together.

    Args:
        weights: weight matrix from `adjacency` of the disjoint union of the graphs, (G n, G n).
        num_graphs: number of graphs G.
        k: how many pairs are wanted; all n if None.
        normalization: which Laplacian, see the top of this file.

    Returns:
        Per graph eigenvalues (m,) and eigenvectors (n, m), float64, with m >= min(n, k): all n pairs where the dense
        solver was used, otherwise as many as it takes to end outside a repeated eigenvalue.
    """
    check_normalization(normalization)
    n = weights.shape[0] // num_graphs
    # One sparse matrix for all graphs: making one for each would take ten times as long as decomposing it.
    union = laplacian(weights, "sym" if normalization == "rw" else normalization)
    scales = magnitudes(weights, num_graphs, normalization)
    union = scipy.sparse.diags(np.repeat(1 / scales, n)) @ union
    if k is not None and use_sparse_solver(n, k + 1):
        starts = range(0, num_graphs * n, n)
        pairs = [_complete_smallest(union[start : start + n, start : start + n], k) for start in starts]
    else:
        values, vectors = all_eigenpairs(_dense_blocks(union, num_graphs))
        pairs = list(zip(values, vectors, strict=True))
    pairs = [(values * scale, vectors) for scale, (values, vectors) in zip(scales.tolist(), pairs, strict=True)]
    if normalization == "rw":
        degree = np.asarray(weights.sum(axis=1)).reshape(num_graphs, n, 1)
        roots = torch.from_numpy(_inverse_root(degree, at_isolated=1.0))
        pairs = [(values, fix_signs(root * vectors)) for (values, vectors), root in zip(pairs, roots, strict=True)]
    return pairs


def _dense_blocks(union: scipy.sparse.csr_matrix, num_graphs: int) -> np.ndarray:
    """Return the diagonal blocks of a block-diagonal matrix, (G, n, n)."""
    n = union.shape[0] // num_graphs
    entries = union.tocoo()
    blocks = np.zeros((num_graphs, n, n))
    blocks[entries.row // n, entries.row % n, entries.col % n] = entries.data
    return blocks


def _complete_smallest(matrix: scipy.sparse.csr_matrix, k: int) -> tuple[Tensor, Tensor]:
    """Return the k smallest pairs and the rest of the eigenspace that the k-th belongs to, or all pairs.

    Lanczos iterations can miss copies of a repeated eigenvalue. The result is therefore certified by counting; where it
    fails, the dense solver takes over.
    """
    n, wanted = matrix.shape[0], k + 1
    while use_sparse_solver(n, wanted):
        try:
            values, vectors = smallest_eigenpairs(matrix, wanted)
        except scipy.sparse.linalg.ArpackError:  # it found the whole of an eigenspace and cannot go on
            break
        end = end_of_eigenspace(values, k)
        if end < wanted:
            if count_below(matrix, float(values[end - 1] + values[end]) / 2) == end:
                return values[:end], vectors[:, :end]
            break
        wanted *= 2
    return all_eigenpairs(matrix.toarray())
