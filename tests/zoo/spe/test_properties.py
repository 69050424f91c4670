"""Exact properties of W, of the encodings and of both networks, in float64 (SPE, arXiv 2310.02579)."""

import math

import pytest
import torch

import zoo
from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.spe.graphs import (
    SYMMETRIC,
    batch_of,
    bipartite,
    complete,
    cycle,
    dense,
    graph,
    hypercube,
    molecules,
    pair_tensor_of,
    path,
    permuted,
    random_graph,
    rook,
    rotate_eigenspaces,
    shrikhande,
    star,
    union,
)
from zoo.spe.encoding import SPE, pair_tensor
from zoo.spe.pairs import NodePairs
from zoo.spe.phi import PHIS
from zoo.spectral.laplacian import adjacency, laplacian

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)
CLOSE = tolerance(torch.float64)
SMALL = {"phi_channels": 4, "phi_width": 8, "rho_layers": 2, "rho_width": 8, "num_eigs": None, "pe_width": 6}
NETWORKS = {
    "gine": ("spe-gine", {"width": 8, "num_layers": 2}),
    "gine with everything": (
        "spe-gine",
        {
            "width": 8,
            "num_layers": 2,
            "inject": "every_layer",
            "aggregate": "concat",
            "norm": "layer",
            "random_epsilon": True,
        },
    ),
    "transformer": ("spe-transformer", {"width": 8, "num_layers": 2, "num_heads": 2, "pair_width": 6}),
    "transformer with everything": (
        "spe-transformer",
        {"width": 8, "num_layers": 2, "num_heads": 2, "pair_width": 6, "value_modulation": True, "pair_update": True},
    ),
}


def settled(module):
    """Float64, evaluation mode, batch statistics that are not the trivial ones."""
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm1d):
            part.running_mean.normal_(std=0.1)
            part.running_var.uniform_(0.5, 2.0)
    return module.double().eval()


def network_of(name):
    architecture, arguments = NETWORKS[name]
    return settled(zoo.get_network(architecture, **arguments, **SMALL))


def pair_tensor_by(spe, batch):
    return pair_tensor(*spe.spectrum(batch), NodePairs(batch.edge_index, batch.ptr))


def matrix_of(data, normalization="sym"):
    return torch.from_numpy(laplacian(adjacency(data.edge_index, data.num_nodes), normalization).toarray())


# ---- 1. invariance to the basis of eigenspaces


@pytest.mark.parametrize("phi", PHIS)
@pytest.mark.parametrize("data", SYMMETRIC.values(), ids=SYMMETRIC)
def test_basis_invariance(phi, data):
    spe, batch = settled(SPE(phi=phi, **SMALL)), batch_of(data)
    rotated = rotate_eigenspaces(batch, seed=1)
    assert not torch.allclose(rotated.eigvecs, batch.eigvecs)
    torch.testing.assert_close(pair_tensor_by(spe, rotated), pair_tensor_by(spe, batch), **EXACT)
    torch.testing.assert_close(spe(rotated), spe(batch), **CLOSE)


@pytest.mark.parametrize("first", range(0, 2000, 400))
def test_basis_invariance_on_molecules(first):
    """All molecules of the official test and validation sets."""
    spe, batch = settled(SPE(**SMALL)), batch_of(*molecules(400, first))
    repeated = sum(
        bool((values[: int(m)].diff() < 1e-8).any()) for values, m in zip(batch.eigvals, batch.num_eigs, strict=True)
    )
    assert 200 < repeated < 300  # 64 % as published
    rotated = rotate_eigenspaces(batch, seed=1)
    torch.testing.assert_close(pair_tensor_by(spe, rotated), pair_tensor_by(spe, batch), **EXACT)
    torch.testing.assert_close(spe(rotated), spe(batch), **CLOSE)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_basis_invariant(name):
    network, batch = network_of(name), batch_of(*SYMMETRIC.values())
    torch.testing.assert_close(network(rotate_eigenspaces(batch, seed=2)), network(batch), **CLOSE)


def test_a_function_of_signs_alone_is_not_basis_invariant():
    """Negative control: |V| is invariant to signs, as SignNet is, and not to rotations."""
    spe, batch = settled(SPE(**SMALL)), batch_of(cycle(8))
    rotated = rotate_eigenspaces(batch, seed=1)
    batch.eigvecs, rotated.eigvecs = batch.eigvecs.abs(), rotated.eigvecs.abs()
    assert (spe(rotated) - spe(batch)).abs().max() > 1e-3 * spe(batch).abs().max()


# ---- 2. equivariance to permutations of the nodes


@pytest.mark.parametrize("phi", PHIS)
def test_permutation_equivariance(phi):
    data, permutation = random_graph(12, 3, 0), torch.randperm(12)
    spe = settled(SPE(phi=phi, **SMALL))
    original, moved = batch_of(data), batch_of(permuted(data, permutation))
    w, w_moved = (dense(pair_tensor_by(spe, batch), batch) for batch in (original, moved))
    torch.testing.assert_close(w_moved[permutation][:, permutation], w, **EXACT)
    torch.testing.assert_close(spe(moved)[permutation], spe(original), **CLOSE)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("data", [random_graph(12, 3, 0), *SYMMETRIC.values()])
def test_networks_are_permutation_invariant(name, data):
    network = network_of(name)
    moved = permuted(data, torch.randperm(data.num_nodes))
    torch.testing.assert_close(network(batch_of(moved)), network(batch_of(data)), **CLOSE)


def test_node_numbers_as_features_are_noticed():
    """Negative control: a network that sees the order of the nodes is not invariant."""
    network, data = network_of("gine"), random_graph(12, 3, 0)
    moved = permuted(data, torch.arange(12).flip(0))
    batch, moved_batch = batch_of(data), batch_of(moved)
    batch.x = moved_batch.x = torch.arange(12)
    assert (network(moved_batch) - network(batch)).abs() > 1e-6


# ---- 3. independence of what else is in the batch, and of padding


@pytest.mark.parametrize("rho", ["gin", "mlp"])
def test_encodings_do_not_depend_on_the_batch(rho):
    spe = settled(SPE(rho=rho, **SMALL))
    graphs = [random_graph(n, 3, n) for n in (5, 9, 4, 9, 12)] + [graph([], 1), graph([], 3)]
    alone = torch.cat([spe(batch_of(data)) for data in graphs])
    torch.testing.assert_close(spe(batch_of(*graphs)), alone, **EXACT)


@pytest.mark.parametrize("name", NETWORKS)
def test_predictions_do_not_depend_on_the_batch(name):
    network, graphs = network_of(name), [*SYMMETRIC.values(), random_graph(15, 3, 0), graph([], 2)]
    alone = torch.cat([network(batch_of(data)) for data in graphs])
    torch.testing.assert_close(network(batch_of(*graphs)), alone, **EXACT)


@pytest.mark.parametrize("phi", PHIS)
@pytest.mark.parametrize("training", [False, True])
def test_padding_of_the_spectrum_changes_nothing(phi, training):
    spe = settled(SPE(phi=phi, **SMALL)).train(training)
    batch = batch_of(random_graph(7, 3, 0), random_graph(5, 3, 1))
    padded = batch.clone()
    padded.eigvals = torch.nn.functional.pad(batch.eigvals, (0, 4))
    padded.eigvecs = torch.nn.functional.pad(batch.eigvecs, (0, 4))
    difference = (spe(padded) - spe(batch)).abs().max()
    if phi in ("deepsets", "bare_transformer"):  # the published ones take the padding for eigenvalues 0
        assert difference > 1e-6
    else:
        assert difference < CLOSE["atol"]


# ---- 4. closed forms


def function(eigvals):
    return torch.exp(-eigvals) + eigvals**3


def w_of(data, phi=function, **arguments):
    batch = batch_of(data, **arguments)
    return dense(pair_tensor_of(phi, batch), batch)[:, :, 0]


def test_complete_graph():
    n = 7
    zero, other = function(torch.tensor([0, n / (n - 1)], dtype=torch.float64))
    mean = torch.full((n, n), 1 / n, dtype=torch.float64)
    torch.testing.assert_close(w_of(complete(n)), zero * mean + other * (torch.eye(n).double() - mean), **EXACT)


@pytest.mark.parametrize("n", [5, 8])
def test_cycle(n):
    k = torch.arange(n).double()
    difference = k[:, None] - k
    terms = function(1 - torch.cos(2 * math.pi * k / n)) * torch.cos(2 * math.pi * k * difference[..., None] / n)
    torch.testing.assert_close(w_of(cycle(n)), terms.sum(-1) / n, **EXACT)


def projections(data):
    """Projections on the eigenspaces 0, 1, 2 of the Laplacian, by Lagrange interpolation."""
    matrix, one = matrix_of(data), torch.eye(data.num_nodes).double()
    return (one - matrix) @ (2 * one - matrix) / 2, matrix @ (2 * one - matrix), matrix @ (matrix - one) / 2


@pytest.mark.parametrize("data", [star(6), bipartite(3, 5)])
def test_star_and_complete_bipartite(data):
    values = function(torch.tensor([0.0, 1.0, 2.0]).double())
    expected = sum(value * projection for value, projection in zip(values, projections(data), strict=True))
    torch.testing.assert_close(w_of(data), expected, **EXACT)


def test_path():
    n = 6
    k = torch.arange(n).double()
    modes = torch.cos(math.pi * k[:, None] * k / (n - 1))
    modes[[0, -1]] /= math.sqrt(2)  # square roots of the degrees
    modes /= modes.norm(dim=0)
    torch.testing.assert_close(w_of(path(n)), modes * function(1 - torch.cos(math.pi * k / (n - 1))) @ modes.T, **EXACT)


def test_hypercube():
    dimension = 3
    nodes = torch.arange(2**dimension)
    bits = (nodes[:, None] >> torch.arange(dimension)) & 1
    characters = (-1.0) ** (bits.double() @ bits.double().T)  # in columns, with eigenvalue 2 |bits| / dimension
    expected = characters * function(2 * bits.sum(1).double() / dimension) @ characters.T / 2**dimension
    torch.testing.assert_close(w_of(hypercube(dimension)), expected, **EXACT)


# ---- 5. functional calculus


@pytest.mark.parametrize("data", [random_graph(14, 3, 0), union(cycle(5), graph([], 2)), *SYMMETRIC.values()])
def test_functional_calculus(data):
    matrix, one = matrix_of(data), torch.eye(data.num_nodes).double()
    adjacency_matrix = torch.from_numpy(adjacency(data.edge_index, data.num_nodes).toarray())
    torch.testing.assert_close(w_of(data, lambda x: x), matrix, **EXACT)
    torch.testing.assert_close(w_of(data, lambda x: x**2), matrix @ matrix, **EXACT)
    torch.testing.assert_close(w_of(data, torch.ones_like), one, **EXACT)
    torch.testing.assert_close(w_of(data, lambda x: torch.exp(-1.5 * x)), torch.matrix_exp(-1.5 * matrix), **EXACT)
    torch.testing.assert_close(
        w_of(data, lambda x: torch.cos(x) * x**2), w_of(data, torch.cos) @ w_of(data, lambda x: x**2), **EXACT
    )
    degree = adjacency_matrix.sum(1)
    if (degree > 0).all():
        walk = torch.linalg.matrix_power(adjacency_matrix / degree[:, None], 3)
        expected = degree.sqrt()[:, None] * walk / degree.sqrt()
        torch.testing.assert_close(w_of(data, lambda x: (1 - x) ** 3), expected, **EXACT)


# ---- 6. resistance distance


def test_resistance_distance():
    data = random_graph(13, 3, 4)
    w = w_of(data, lambda x: torch.where(x > 1e-8, 1 / x.clamp(min=1e-8), 0.0), normalization=None)
    resistance = w.diagonal()[:, None] + w.diagonal() - 2 * w
    weights = torch.from_numpy(adjacency(data.edge_index, 13).toarray())
    grounded = torch.linalg.inv((torch.diag(weights.sum(1)) - weights)[1:, 1:])  # node 0 grounded: R_0i is the diagonal
    torch.testing.assert_close(resistance[0, 1:], grounded.diagonal(), **CLOSE)
    n, degree = 13, weights.sum(1)
    hitting = torch.zeros(n, n).double()  # expected steps of a random walk, by solving for each target
    for target in range(n):
        others = [i for i in range(n) if i != target]
        walk = (weights / degree[:, None])[others][:, others]
        hitting[others, target] = torch.linalg.solve(torch.eye(n - 1).double() - walk, torch.ones(n - 1).double())
    torch.testing.assert_close(hitting + hitting.T, weights.sum() * resistance, **CLOSE)


# ---- 7. symmetry, positivity, trace


POSITIVE = {"heat": {}, "constant": {}, "deepsets": {"phi_final_activation": True}}


@pytest.mark.parametrize("phi", POSITIVE)
@pytest.mark.parametrize("data", [random_graph(14, 3, 1), star(7)])
def test_symmetric_positive_and_trace(data, phi):
    torch.manual_seed(0)
    spe, batch = settled(SPE(phi=phi, **POSITIVE[phi], **SMALL)), batch_of(data)
    w, z = dense(pair_tensor_by(spe, batch), batch), spe.spectrum(batch)[0]
    torch.testing.assert_close(w, w.transpose(0, 1), **EXACT)
    assert w.abs().max() > 0.1  # rectified phi may be dead, which would make all of this trivial
    assert (torch.linalg.eigvalsh(w.permute(2, 0, 1)) > -EXACT["atol"] * w.abs().max()).all()
    torch.testing.assert_close(w.diagonal().sum(1), z.sum(dim=(0, 1)), **EXACT)


# ---- 8. disjoint unions


@pytest.mark.parametrize("phi", ["mlp", "heat", "polynomial", "constant", "masked_deepsets"])
def test_disjoint_union_is_block_diagonal(phi):
    first, second = random_graph(6, 3, 0), cycle(5)
    spe = settled(SPE(phi=phi, **SMALL))
    batch = batch_of(union(first, second))
    w = dense(pair_tensor_by(spe, batch), batch)
    parts = []
    for data in (first, second):
        alone = batch_of(data)
        parts.append(dense(pair_tensor_by(spe, alone), alone))
    assert w[:6, 6:].abs().max() < EXACT["atol"]
    same = torch.allclose(w[:6, :6], parts[0], **EXACT) and torch.allclose(w[6:, 6:], parts[1], **EXACT)
    assert same == (phi != "masked_deepsets")  # which couples the parts through the joint spectrum


# ---- 9. truncation


def test_cut_eigenspace_is_not_invariant():
    with pytest.warns(UserWarning, match="cuts a repeated eigenspace"):
        cut = batch_of(star(6), k=3)
    everything = rotate_eigenspaces(batch_of(star(6)), seed=1)
    everything.eigvals, everything.eigvecs = everything.eigvals[:, :3], everything.eigvecs[:, :3]
    everything.num_eigs = cut.num_eigs
    spe = settled(SPE(**SMALL))
    assert (pair_tensor_by(spe, everything) - pair_tensor_by(spe, cut)).abs().max() > 1e-2


def test_complete_eigenspace_is_invariant():
    spe, batch = settled(SPE(**SMALL)), batch_of(star(6), k=3, complete_eigenspace=True)
    torch.testing.assert_close(spe(rotate_eigenspaces(batch, seed=1)), spe(batch), **CLOSE)


# ---- 10. stability


def perturbed(data, size, seed):
    """Laplacians L and L' = L + symmetric perturbation of Frobenius norm `size`."""
    matrix = matrix_of(data)
    noise = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(seed)).double()
    noise = noise + noise.T
    return matrix, matrix + size * noise / noise.norm()


@pytest.mark.parametrize("size", [1e-1, 1e-3, 1e-6])
@pytest.mark.parametrize("data", [random_graph(14, 3, 0), *SYMMETRIC.values()])
def test_w_is_as_lipschitz_as_phi(data, size):
    def apply(matrix, phi):
        values, vectors = torch.linalg.eigh(matrix)
        n = len(values)
        pairs = NodePairs(data.edge_index, torch.tensor([0, n]))
        return pair_tensor(phi(values)[None, :, None], vectors, pairs)

    before, after = perturbed(data, size, seed=0)
    for phi, constant in ((torch.tanh, 1.0), (lambda x: torch.exp(-2 * x.clamp(min=0)), 2.0), (torch.abs, 1.0)):
        change = (apply(after, phi) - apply(before, phi)).norm()
        assert change <= constant * size * (1 + 1e-6)


@torch.no_grad()
def relative_changes(data, size, eigenpairs):
    """Changes of W and of the encodings, relative to their norms and to the size of the perturbation of L."""
    torch.manual_seed(1)
    spe = settled(SPE(phi_activation="tanh", phi_batch_norm=False, **SMALL))
    w, encodings = [], []
    for matrix in perturbed(data, size, seed=1):
        values, vectors = torch.linalg.eigh(matrix)
        batch = batch_of(data)
        batch.eigvals, batch.eigvecs = values[None, :eigenpairs], vectors[:, :eigenpairs]
        batch.num_eigs = torch.tensor([eigenpairs])
        w.append(pair_tensor_by(spe, batch))
        encodings.append(spe(batch))
    return [float((after - before).norm() / before.norm() / size) for before, after in (w, encodings)]


SIZES = (1e-1, 1e-3, 1e-6, 1e-8)


@pytest.mark.parametrize("data", [random_graph(14, 3, 0), cycle(8), star(7), *molecules(10)])
def test_encodings_are_stable(data):
    for ratios in zip(*(relative_changes(data, size, data.num_nodes) for size in SIZES), strict=True):
        assert 0 < max(ratios) < 3 * min(ratios)


def test_encodings_of_a_cut_eigenspace_are_not_stable():
    for ratios in zip(*(relative_changes(star(7), size, 4) for size in SIZES), strict=True):
        assert max(ratios) > 1e3 * min(ratios)


# ---- 11. gradients


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("phi", sorted(set(PHIS) - {"constant"}))
def test_gradients_of_w_and_encodings(phi, training):
    batch = batch_of(cycle(5), path(4))
    # Three wide: the layer norm of two features is their sign, whose gradient vanishes.
    arguments = {**SMALL, "phi_channels": 2, "phi_width": 2, "rho_width": 3, "pe_width": 2, "phi_activation": "tanh"}
    spe = settled(SPE(phi=phi, rho_norm="layer", **arguments))
    spe.train(training)  # with batch statistics in phi "mlp"
    names, values = zip(*spe.phi.named_parameters(), strict=True)
    pairs = NodePairs(batch.edge_index, batch.ptr)

    def compute(*parameters):
        z = torch.func.functional_call(
            spe.phi,
            dict(zip(names, parameters, strict=True)),
            (batch.eigvals, torch.arange(5) < batch.num_eigs[:, None]),
        )
        w = pair_tensor(z, batch.eigvecs, pairs)
        return w, spe.rho(w, pairs)

    assert torch.autograd.gradcheck(compute, values)
    for output in compute(*values):
        gradients = torch.autograd.grad(output.square().sum(), values, retain_graph=True)
        assert max(gradient.abs().max() for gradient in gradients) > 1e-6


# ---- 13. expressivity


def largest_difference(name, first, second, **arguments):
    """Largest relative difference of predictions for two graphs without features, over random networks."""
    architecture, defaults = NETWORKS[name]
    first, second = first.clone(), second.clone()
    for data in (first, second):
        data.x, data.edge_attr = torch.zeros_like(data.x), torch.zeros_like(data.edge_attr)
    batch, differences = batch_of(first, second), []
    for seed in range(4):
        torch.manual_seed(seed)
        network = settled(zoo.get_network(architecture, **{**defaults, **SMALL, **arguments}))
        predictions = network(batch)
        differences.append(float((predictions[0] - predictions[1]).detach().abs() / predictions.detach().abs().max()))
    return max(differences)


@pytest.mark.parametrize("name", NETWORKS)
def test_separates_what_message_passing_cannot(name):
    assert largest_difference(name, cycle(6), union(cycle(3), cycle(3))) > 1e-5


def test_without_encodings_it_cannot():
    assert largest_difference("gine", cycle(6), union(cycle(3), cycle(3)), pe="none") < CLOSE["rtol"]


@pytest.mark.parametrize("rho", ["mlp", "gin"])
def test_does_not_separate_strongly_regular_graphs(rho):
    """The 4 x 4 rook's graph and Shrikhande's have one spectrum, and W one value each for i = k, neighbours and others.

    Recorded outcome: neither rho tells them apart. A GIN on a graph with one node marked is bounded by 3-WL.
    """
    batch = batch_of(rook(), shrikhande())
    torch.testing.assert_close(batch.eigvals[0], batch.eigvals[1], **CLOSE)
    encodings = settled(SPE(rho=rho, **{**SMALL, "rho_layers": 4}))(batch)
    first, second = (part.sort(dim=0).values for part in encodings.split(16))
    torch.testing.assert_close(first, second, **CLOSE)
