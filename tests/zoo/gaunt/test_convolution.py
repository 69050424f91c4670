import math

import pytest
import torch
from e3nn import o3
from torch.autograd import gradcheck, gradgradcheck

from tests.zoo.gaunt.features import TIGHT, double_precision, error, features, inversion, rotation, wigner
from zoo.gaunt.bracket import BracketTensorProduct
from zoo.gaunt.coefficients import gaunt_tensor
from zoo.gaunt.convolution import FORMS, BracketConvolution, GauntConvolution
from zoo.gaunt.harmonics import degrees, dim, spherical_harmonics
from zoo.gaunt.layout import from_flat, to_flat
from zoo.gaunt.paths import PathCoupling

DEGREES = [(1, 1, 1), (2, 3, 3), (3, 2, 1), (0, 3, 2), (4, 4, 4)]
POLES = [[0.0, 1, 0], [0, -2, 0], [0, 1e-8, 0], [1e-8, 0, 0], [1e-9, -1, 0], [0.3, 0.9, -0.2]]


def inputs(lmax_in, lmax_filter, rank=2, channels=3, nodes=5, edges=14):
    generator = torch.Generator().manual_seed(4)
    vectors = torch.randn(edges, 3, generator=generator, dtype=torch.float64)
    vectors[: len(POLES)] = torch.tensor(POLES, dtype=torch.float64)[:edges]
    radial = torch.randn(edges, rank, channels, lmax_filter + 1, generator=generator, dtype=torch.float64)
    weights = torch.randn(edges, rank, channels, lmax_in + 1, generator=generator, dtype=torch.float64)
    edge_index = torch.randint(nodes, (2, edges), generator=generator)
    return features(lmax_in, channels, nodes), vectors, radial, edge_index, weights


def by_definition(lmaxes, x, vectors, radial, edge_index, weights):
    lmax_in, lmax_filter, _ = lmaxes
    harmonics = spherical_harmonics(lmax_filter, vectors)
    filters = radial[..., degrees(lmax_filter)] * harmonics[:, None, None]
    inputs = x[edge_index[0]][:, None] * weights[..., degrees(lmax_in)]
    messages = torch.einsum("erci,ercj,ijk->eck", inputs, filters, gaunt_tensor(*lmaxes))
    return torch.zeros(len(x), *messages.shape[1:]).double().index_add(0, edge_index[1], messages)


@pytest.mark.parametrize("lmaxes", DEGREES)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_definition(form, lmaxes):
    x, vectors, radial, edge_index, weights = inputs(*lmaxes[:2])
    convolution = GauntConvolution(*lmaxes, form=form).double()
    if form == "grid":
        with pytest.raises(ValueError, match="weights are not allowed with form='grid'"):
            convolution(x, vectors, radial, edge_index, weights)
        expected = by_definition(lmaxes, x, vectors, radial, edge_index, torch.ones_like(weights))
        actual = convolution(x, vectors, radial, edge_index)
    else:
        expected = by_definition(lmaxes, x, vectors, radial, edge_index, weights)
        actual = convolution(x, vectors, radial, edge_index, weights)
    assert error(actual, expected) < 1e-11


@pytest.mark.parametrize("form", FORMS)
def test_equivariant(form):
    x, vectors, radial, edge_index, _ = inputs(2, 3)
    convolution, matrix = GauntConvolution(2, 3, 3, form=form).double(), rotation(5)
    result = convolution(x, vectors, radial, edge_index)
    turned = convolution(x @ wigner(2, matrix).T, vectors @ matrix.T, radial, edge_index)
    assert error(turned, result @ wigner(3, matrix).T) < 1e-11
    inverted = convolution(x * inversion(2), -vectors, radial, edge_index)
    assert error(inverted, result * inversion(3)) < 1e-11


@pytest.mark.parametrize("form", FORMS)
def test_gradients_of_both_orders_also_at_the_poles(form):
    x, vectors, radial, edge_index, weights = inputs(1, 2, rank=1, channels=1, nodes=2, edges=3)
    vectors = torch.tensor([[0.0, 1, 0], [0.1, -1, 0.05], [1, 0.2, 0]], dtype=torch.float64)
    convolution = GauntConvolution(1, 2, 2, form=form).double()
    given = (x, vectors, radial) if form == "grid" else (x, vectors, radial, weights)
    given = tuple(tensor.requires_grad_() for tensor in given)

    def function(x, vectors, radial, weights=None):
        return convolution(x, vectors, radial, edge_index, weights)

    assert gradcheck(function, given)
    assert gradgradcheck(function, given)


def test_rotated_form_has_the_published_blocks():
    """With an edge along the pole, orders do not mix: K^|m|_{l3 l1} = sum_l2 h_l2 sqrt((2 l2 + 1) / 4 pi) G."""
    x, _, radial, _, _ = inputs(2, 3, rank=1, channels=1, nodes=1, edges=1)
    tensor = gaunt_tensor(2, 3, 2)
    expected = torch.zeros(9, dtype=torch.float64)
    for l1 in range(3):
        for l3 in range(3):
            for m in range(-min(l1, l3), min(l1, l3) + 1):
                block = sum(
                    radial[0, 0, 0, l2]
                    * math.sqrt((2 * l2 + 1) / (4 * math.pi))
                    * tensor[l1**2 + l1 + m, l2**2 + l2, l3**2 + l3 + m]
                    for l2 in range(4)
                )
                expected[l3**2 + l3 + m] += block * x[0, 0, l1**2 + l1 + m]
    edge_index = torch.zeros(2, 1, dtype=torch.int64)
    pole = torch.tensor([[0.0, 3, 0]], dtype=torch.float64)
    for form in FORMS:
        actual = GauntConvolution(2, 3, 2, form=form).double()(x, pole, radial, edge_index)
        assert error(actual[0, 0], expected) < 1e-11


def test_messages_of_other_numbers_of_targets():
    x, vectors, radial, edge_index, weights = inputs(1, 1)
    result = GauntConvolution(1, 1, 2).double()(x, vectors, radial, edge_index, weights, num_nodes=9)
    assert result.shape == (9, 3, 9)
    assert not result[5:].any()


def test_normalised_messages_have_unit_variance():
    edges = 20000
    x = torch.randn(edges, 1, dim(2))
    vectors = torch.randn(edges, 3)
    radial = torch.full((edges, 1, 4), math.sqrt(4 * math.pi))
    edge_index = torch.arange(edges).expand(2, -1)
    result = GauntConvolution(2, 3, 3, normalize=True)(x, vectors, radial, edge_index)
    for block in result.split([1, 3, 5, 7], dim=-1):
        assert float(block.square().mean()) == pytest.approx(1.0, abs=0.06)


def test_paths_are_e3nns():
    coupling = PathCoupling(2, 3, 3).double()
    x, vectors, _, _, _ = inputs(2, 3)
    x = features(2, 3, len(vectors))
    weights = torch.randn(len(vectors), 3, len(coupling.paths), dtype=torch.float64)
    with double_precision():
        theirs = o3.TensorProduct(
            "3x0e+3x1o+3x2e",
            "0e+1o+2e+3o",
            "3x0e+3x1o+3x2e+3x3o",
            [(*path, "uvu", True) for path in coupling.paths],
            irrep_normalization="none",
            path_normalization="none",
            internal_weights=False,
            shared_weights=False,
        )
    harmonics = spherical_harmonics(3, vectors)
    expected = from_flat(theirs(to_flat(x), harmonics, weights.transpose(1, 2).flatten(1)), 3)
    assert error(coupling(x, harmonics, weights), expected) < TIGHT


@pytest.mark.parametrize("normalize", [False, True])
def test_bracket_is_that_of_features_and_filters(normalize):
    x, vectors, radial, edge_index, weights = inputs(2, 3)
    bracket = BracketTensorProduct(2, 3, 3, normalize=normalize).double()
    filters = radial[..., degrees(3)] * spherical_harmonics(3, vectors)[:, None, None]
    messages = bracket(x[edge_index[0]][:, None] * weights[..., degrees(2)], filters).sum(1)
    expected = torch.zeros(len(x), 3, 16).double().index_add(0, edge_index[1], messages)
    actual = BracketConvolution(2, 3, 3, normalize=normalize).double()(x, vectors, radial, edge_index, weights)
    assert error(actual, expected) < 1e-11


@pytest.mark.parametrize("arguments", [{"form": "fft"}, {"lmax_filter": -1}])
def test_bad_arguments_are_named(arguments):
    (name, value), *_ = arguments.items()
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        GauntConvolution(**{"lmax_in": 1, "lmax_filter": 1, "lmax_out": 1, **arguments})
