"""Graphs with known spectra and real molecules, as torch_geometric batches with spectra in float64."""

import numpy as np
import torch
from torch_geometric.data import Batch, Data

from datamodules.graphs.zinc import PACKAGED
from zoo.spe.encoding import pair_tensor
from zoo.spe.pairs import NodePairs
from zoo.spectral.transforms import AddLaplacianSpectrum, pad_spectra


def graph(edges, num_nodes, seed=0):
    """An undirected graph with random atom and bond types."""
    generator = torch.Generator().manual_seed(seed)
    edges = torch.tensor(sorted({tuple(sorted(edge)) for edge in edges}), dtype=torch.long).reshape(-1, 2).T
    bonds = torch.randint(1, 4, (edges.size(1),), generator=generator)
    return Data(
        x=torch.randint(0, 5, (num_nodes,), generator=generator),
        edge_index=torch.cat([edges, edges.flip(0)], dim=1),
        edge_attr=torch.cat([bonds, bonds]),
    )


def cycle(n):
    return graph([(i, (i + 1) % n) for i in range(n)], n)


def complete(n):
    return graph([(i, j) for i in range(n) for j in range(i)], n)


def star(leaves):
    return graph([(0, i) for i in range(1, leaves + 1)], leaves + 1)


def path(n):
    return graph([(i, i + 1) for i in range(n - 1)], n)


def hypercube(dimension):
    return graph([(i, i ^ (1 << b)) for i in range(2**dimension) for b in range(dimension)], 2**dimension)


def bipartite(left, right):
    return graph([(i, left + j) for i in range(left) for j in range(right)], left + right)


def rook():
    """The 4 x 4 rook's graph: strongly regular (16, 6, 2, 2)."""
    cells = [(a, b) for a in range(4) for b in range(4)]
    return graph(
        [
            (i, j)
            for i, p in enumerate(cells)
            for j, q in enumerate(cells)
            if i < j and (p[0] == q[0]) != (p[1] == q[1])
        ],
        16,
    )


def shrikhande():
    """The Shrikhande graph: strongly regular with the parameters of the rook's graph, not isomorphic to it."""
    steps = [(0, 1), (1, 0), (1, 1)]
    cells = [(a, b) for a in range(4) for b in range(4)]
    return graph([(4 * a + b, 4 * ((a + s) % 4) + (b + t) % 4) for a, b in cells for s, t in steps], 16)


def union(first, second):
    shift = first.num_nodes
    return Data(
        x=torch.cat([first.x, second.x]),
        edge_index=torch.cat([first.edge_index, second.edge_index + shift], dim=1),
        edge_attr=torch.cat([first.edge_attr, second.edge_attr]),
    )


def random_graph(n, degree, seed):
    generator = np.random.default_rng(seed)
    tree = [(i, int(generator.integers(i))) for i in range(1, n)]
    extra = [tuple(map(int, generator.choice(n, 2, replace=False))) for _ in range(int(n * (degree - 2) / 2) + 1)]
    return graph(tree + extra, n, seed)


def permuted(data, permutation):
    """The graph whose node permutation[i] is node i of the given one, without its spectrum."""
    order = permutation.argsort()
    return Data(x=data.x[order], edge_index=permutation[data.edge_index], edge_attr=data.edge_attr)


SYMMETRIC = {
    "cycle": cycle(8),
    "complete": complete(6),
    "star": star(7),
    "hypercube": hypercube(3),
    "two equal parts": union(cycle(5), cycle(5)),
}


def batch_of(*graphs, k=None, **arguments):
    """Batch the graphs with their spectra."""
    return Batch.from_data_list(pad_spectra(AddLaplacianSpectrum(k, **arguments).transform_many(list(graphs))))


def dense(w, batch, graph=0):
    """W of one graph of a batch as (n, n, M)."""
    sizes = batch.ptr.diff()
    start = int((sizes[:graph] ** 2).sum())
    n = int(sizes[graph])
    return w[start : start + n * n].view(n, n, -1)


def pair_tensor_of(phi, batch):
    """Rows of W for phi, a function of the eigenvalues (B, d) -> (B, d) or (B, d, M)."""
    z = phi(batch.eigvals)
    return pair_tensor(z if z.ndim == 3 else z[..., None], batch.eigvecs, NodePairs(batch.edge_index, batch.ptr))


def molecules(count, offset=0):
    """Real ZINC molecules of the official test set, then of the validation set."""
    with np.load(PACKAGED) as arrays:
        file = dict(arrays)
    atoms, bonds = (np.concatenate([[0], np.cumsum(file[key].astype(int))]) for key in ("num_atoms", "num_bonds"))
    graphs = []
    rows = np.concatenate([file["official_test_index"], file["official_val_index"]])
    for i in rows[offset : offset + count]:
        u, v, kind = (
            torch.from_numpy(file[key][bonds[i] : bonds[i + 1]].astype(int))
            for key in ("bond_u", "bond_v", "bond_type")
        )
        graphs.append(
            Data(
                x=torch.from_numpy(file["atom_type"][atoms[i] : atoms[i + 1]].astype(int)),
                edge_index=torch.stack([torch.cat([u, v]), torch.cat([v, u])]),
                edge_attr=torch.cat([kind, kind]),
                y=torch.tensor([[file["y"][i]]]),
            )
        )
    return graphs


def rotate_eigenspaces(batch, seed, gap=1e-8):
    """The batch with another orthonormal basis in every eigenspace, signs of simple eigenvalues included."""
    generator = torch.Generator().manual_seed(seed)
    rotated = batch.clone()
    for number in range(batch.num_graphs):
        count = int(batch.num_eigs[number])
        values, nodes = batch.eigvals[number, :count], slice(batch.ptr[number], batch.ptr[number + 1])
        ends = [*(i + 1 for i in range(count - 1) if values[i + 1] - values[i] >= gap), count]
        for begin, end in zip([0, *ends], ends, strict=False):
            rotation = torch.linalg.qr(
                torch.randn(end - begin, end - begin, generator=generator, dtype=torch.float64)
            ).Q
            rotated.eigvecs[nodes, begin:end] = batch.eigvecs[nodes, begin:end] @ rotation
    return rotated
