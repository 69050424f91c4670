import math
from itertools import product

import numpy as np
import pytest
import scipy.special
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import match
from zoo.koopman.delays import Delays
from zoo.koopman.dictionaries import Concatenation, ModuleDictionary, Product
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize_snapshots
from zoo.koopman.multi_indices import multi_indices
from zoo.koopman.radial_functions import RadialFunctions, kmeans_centers, mean_radius
from zoo.koopman.tensor_bases import Chebyshev, Fourier, Hermite, HermiteFunctions, Monomials

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def states(count=7, dim=2, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (count, dim)))


@pytest.mark.parametrize(("kind", "signed"), list(product(["total", "cross", "full"], [False, True])))
def test_multi_indices_are_those_of_the_definition(kind, signed):
    n = 4
    inside = {
        "total": lambda k: sum(map(abs, k)) <= n,
        "cross": lambda k: math.prod(max(1, abs(i)) for i in k) <= n,
        "full": lambda k: True,
    }[kind]
    expected = {k for k in product(range(-n if signed else 0, n + 1), repeat=3) if inside(k)}
    found = multi_indices(3, n, kind, signed)
    assert {tuple(k) for k in found.tolist()} == expected
    assert len(found) == len(expected)
    assert (found.abs().sum(dim=1).diff() >= 0).all()


def test_hyperbolic_crosses_of_many_coordinates_are_small():
    assert len(multi_indices(8, 4, "cross")) < 5**8 / 50


EXPECTED = {
    "monomials": (Monomials, lambda k, x: x**k),
    "chebyshev": (Chebyshev, lambda k, x: scipy.special.eval_chebyt(k, x)),
    "hermite": (Hermite, lambda k, x: scipy.special.eval_hermitenorm(k, x) / math.sqrt(math.factorial(k))),
    "hermite functions": (
        HermiteFunctions,
        lambda k, x: (
            scipy.special.eval_hermite(k, x)
            * np.exp(-(x**2) / 2)
            / math.sqrt(2**k * math.factorial(k) * math.sqrt(math.pi))
        ),
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("kind", ["total", "cross", "full"])
def test_products_of_known_functions(name, kind):
    cls, function = EXPECTED[name]
    dictionary, x = cls(2, 5, kind), states()
    expected = [function(j, x[:, 0].numpy()) * function(k, x[:, 1].numpy()) for j, k in dictionary.indices.tolist()]
    torch.testing.assert_close(dictionary(x), torch.from_numpy(np.stack(expected, axis=1)), **EXACT)
    assert dictionary.size == len(expected) == len(set(dictionary.names))
    assert dictionary(x.float()).dtype == torch.float32


@pytest.mark.parametrize("kind", ["total", "cross", "full"])
def test_fourier_functions(kind):
    dictionary, x = Fourier(2, 3, kind, period=1.0), states()
    expected = [
        np.exp(2j * np.pi * (j * x[:, 0].numpy() + k * x[:, 1].numpy())) for j, k in dictionary.indices.tolist()
    ]
    torch.testing.assert_close(dictionary(x), torch.from_numpy(np.stack(expected, axis=1)), **EXACT)
    assert dictionary(x.float()).dtype == torch.complex64


def test_names():
    assert Monomials(2, 2).names == ["1", "x2", "x1", "x2^2", "x1 x2", "x1^2"]
    assert Chebyshev(1, 2).names == ["1", "T1(x1)", "T2(x1)"]
    assert Hermite(1, 1).names == ["1", "He1(x1)"]
    assert HermiteFunctions(1, 1).names == ["h0(x1)", "h1(x1)"]
    assert Fourier(2, 1).names[0] == "e(0,0)"
    assert Delays(2, 2, 3).names == ["x1(t)", "x2(t)", "x1(t+3)", "x2(t+3)"]
    assert Product(Monomials(2, 1), Monomials(12, 1)).names[-1] == "x1 * x3"
    assert Product(Fourier(1, 1), HermiteFunctions(1, 1)).names[:2] == ["e(0) * h0(x2)", "e(0) * h1(x2)"]


def test_boxes_and_scales():
    x = torch.tensor([[2.0], [4.0], [3.0]]).double()
    torch.testing.assert_close(Chebyshev(1, 1, low=2.0, high=4.0)(x)[:, 1], torch.tensor([-1.0, 1.0, 0.0]).double())
    torch.testing.assert_close(Hermite(1, 2, scale=2.0)(x), Hermite(1, 2)(x / 2), **EXACT)


@pytest.mark.parametrize("kernel", ["gaussian", "laplacian", "thin_plate"])
def test_radial_functions(kernel):
    x = states(20)
    dictionary = RadialFunctions(x[:5], kernel, scale=0.7, factor=2.0)
    r = np.linalg.norm(x.numpy()[:, None] - x.numpy()[None, :5], axis=2)
    expected = {
        "gaussian": np.exp(-((2 * r / 0.7) ** 2)),
        "laplacian": np.exp(-2 * r / 0.7),
        "thin_plate": r**2 * np.log(r + 1e-4),
    }[kernel]
    torch.testing.assert_close(dictionary(x), torch.from_numpy(expected), **EXACT)


def test_centres_of_clusters():
    generator = np.random.default_rng(0)
    middles = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    x = torch.from_numpy(np.concatenate([m + 0.1 * generator.standard_normal((50, 2)) for m in middles]))
    centers = kmeans_centers(x, 3, seed=1)
    assert match(centers[:, 0] + 1j * centers[:, 1], middles[:, 0] + 1j * middles[:, 1]) < 0.1
    assert torch.equal(centers, kmeans_centers(x, 3, seed=1))
    assert mean_radius(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])) == 1


def test_delays_are_a_hankel_matrix_and_find_the_frequencies_of_a_signal():
    time = torch.arange(60).double()[:, None]
    signal = torch.cos(0.3 * time) + 0.5 * torch.sin(1.1 * time)
    dictionary = Delays(1, 4)
    windows = dictionary(dictionary.embed(signal))
    assert windows.shape == (57, 4)
    torch.testing.assert_close(windows[5], signal[5:9, 0])
    eigenvalues = edmd(factorize_snapshots(windows[:-1], windows[1:])).eigenvalues
    assert match(eigenvalues, np.exp([0.3j, -0.3j, 1.1j, -1.1j])) < 1e-10
    spaced = Delays(2, 3, spacing=5).embed(torch.arange(40).double().reshape(20, 2))
    assert spaced.shape == (10, 6)
    assert spaced[0].tolist() == [0, 1, 10, 11, 20, 21]


def test_products_and_their_hyperbolic_cross():
    fourier, hermite = Fourier(1, 3), HermiteFunctions(1, 5)
    x = states()
    full = Product(fourier, hermite)
    expected = torch.einsum("mj,mk->mjk", fourier(x[:, :1]), hermite(x[:, 1:]).to(torch.complex128)).flatten(1)
    torch.testing.assert_close(full(x), expected, **EXACT)
    cross = Product(fourier, hermite, cross=5)
    j, k = fourier.indices[:, 0].abs().clamp(min=1), hermite.indices[:, 0].clamp(min=1)
    kept = (j[:, None] * k <= 5).flatten()
    torch.testing.assert_close(cross(x), expected[:, kept], **EXACT)
    assert cross.size == int(kept.sum()) < full.size


def test_concatenation_and_networks():
    x = states()
    network = torch.nn.Linear(2, 3, dtype=torch.float64)
    dictionary = ModuleDictionary(network, 2, 3)
    torch.testing.assert_close(dictionary(x), torch.cat([torch.ones(7, 1).double(), x, network(x)], dim=1))
    assert dictionary.names == ["1", "x1", "x2", "network1", "network2", "network3"]
    assert list(dictionary.parameters())
    torch.testing.assert_close(ModuleDictionary(network, 2, 3, with_state=False)(x), network(x))
    both = Concatenation(Monomials(2, 1), Fourier(2, 1))
    assert both(x).shape == (7, 12)
    assert both(x).is_complex()
    assert both.names[:4] == ["1", "x2", "x1", "e(0,0)"]


@pytest.mark.parametrize("basis", [Monomials(3, 3), Chebyshev(2, 4), HermiteFunctions(2, 3)])
def test_gradients_with_respect_to_states(basis):
    x = torch.rand(4, basis.dim, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(basis, (x,))


def test_buffers_follow_the_dictionary():
    assert set(RadialFunctions(states()).state_dict()) == {"centers", "scale"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Monomials(2, 2)(torch.ones(3, 1)), r"x=\(3, 1\) is not allowed; give states \(M, 2\)"),
        (lambda: Monomials(2, 0), "degree=0"),
        (lambda: Monomials(2, 2, "round"), "kind='round'"),
        (lambda: Chebyshev(2, 2, low=[0.0, 0.0, 0.0]), "low="),
        (lambda: Chebyshev(1, 2, low=1.0), "low=1.0"),
        (lambda: Hermite(1, 2, scale=0.0), "scale=0.0"),
        (lambda: RadialFunctions(torch.ones(3, 2), "cubic"), "kernel='cubic'"),
        (lambda: kmeans_centers(torch.ones(3, 2), 4), "count=4"),
        (lambda: Delays(1, 5).embed(torch.ones(4, 1)), "trajectory='4 steps' is not allowed; give more than"),
        (lambda: Delays(1, 5).embed(torch.ones(9, 2)), "trajectory"),
        (lambda: Product(RadialFunctions(torch.ones(3, 2)), Fourier(1, 1), cross=2), "first=RadialFunctions"),
        (lambda: Concatenation(Fourier(1, 1), Fourier(2, 1)), "parts="),
        (lambda: ModuleDictionary(torch.nn.Identity(), 2, 3)(torch.ones(1, 2)), "module="),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
