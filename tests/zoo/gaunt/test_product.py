import copy
import math

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from tests.zoo.gaunt.features import TIGHT, error, features, inversion, rotation, wigner
from zoo.gaunt import low_rank
from zoo.gaunt.bracket import BracketTensorProduct
from zoo.gaunt.coefficients import bracket_tensor, gaunt_tensor, wigner_3j
from zoo.gaunt.e3nn_paths import decompose, from_e3nn, path_weights, to_e3nn
from zoo.gaunt.harmonics import dim, spherical_harmonics
from zoo.gaunt.layout import from_flat, to_flat
from zoo.gaunt.low_rank import RANKS, RESIDUAL, LowRankSampling, decomposition, residual
from zoo.gaunt.product import BACKENDS, GauntTensorProduct, available_backends, unit
from zoo.gaunt.quadrature import gauss_legendre, gauss_legendre_nodes, product_rule
from zoo.gaunt.sampling import DenseSampling

CASES = [
    (lmaxes, backend)
    for lmaxes in ((1, 1, 1), (2, 1, 3), (3, 3, 3), (4, 4, 4), (3, 2, 5), (2, 2, 7), (0, 2, 2), (6, 6, 6), (12, 3, 13))
    for backend in available_backends(*lmaxes)
]


def product(*lmaxes, **arguments):
    return GauntTensorProduct(*lmaxes, **arguments).double()


@pytest.mark.parametrize(("lmaxes", "backend"), CASES)
def test_every_backend_is_the_gaunt_tensor(lmaxes, backend):
    x, y = features(lmaxes[0]), features(lmaxes[1], seed=1)
    expected = torch.einsum("bci,bcj,ijk->bck", x, y, gaunt_tensor(*lmaxes))
    assert error(product(*lmaxes, backend=backend)(x, y), expected) < TIGHT


@pytest.mark.parametrize("backend", BACKENDS)
def test_single_precision_is_as_good_as_it_can_be(backend):
    x, y = features(3), features(3, seed=1)
    single = GauntTensorProduct(3, 3, 3, backend=backend)
    assert error(single(x.float(), y.float()).double(), product(3, 3, 3)(x, y)) < 1e-5


@pytest.mark.parametrize("lmax", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [GauntTensorProduct, BracketTensorProduct])
def test_equals_e3nn(kind, lmax):
    x, y = features(lmax), features(lmax, seed=1)
    ours = kind(lmax, lmax, lmax, channels=3, rank=2, normalize=True).double()
    theirs = to_e3nn(ours)
    assert error(to_flat(ours(x, y)), theirs(to_flat(x), to_flat(y))) < TIGHT
    assert str(ours.irreps_in1) == str(theirs.irreps_in1)
    assert str(ours.irreps_out) == str(theirs.irreps_out)


@pytest.mark.parametrize("lmaxes", [(2, 2, 2), (3, 1, 3)])
def test_one_point_too_few_is_noticed(lmaxes):
    x, y = features(lmaxes[0]), features(lmaxes[1], seed=1)
    expected = torch.einsum("bci,bcj,ijk->bck", x, y, gaunt_tensor(*lmaxes))
    nodes, weights, azimuths = gauss_legendre_nodes(sum(lmaxes))
    fewer_nodes, fewer_weights, _ = gauss_legendre_nodes(sum(lmaxes) - 2)
    assert len(fewer_nodes) == len(nodes) - 1
    for rule, exact in (
        (product_rule(nodes, weights, azimuths), True),
        (product_rule(nodes, weights, azimuths - 1), False),
        (product_rule(fewer_nodes, fewer_weights, azimuths), False),
    ):
        sampling = DenseSampling(*lmaxes, rule=rule).double()
        actual = sampling.project(sampling.sample1(x) * sampling.sample2(y))
        assert (error(actual, expected) < TIGHT) == exact
        turn = [wigner(lmax, rotation()) for lmax in lmaxes]
        turned = sampling.project(sampling.sample1(x @ turn[0].T) * sampling.sample2(y @ turn[1].T))
        assert (error(turned, actual @ turn[2].T) < TIGHT) == exact


def test_projection_inverts_sampling():
    for degree in (5, 6):
        rule = gauss_legendre(2 * degree)
        harmonics = spherical_harmonics(degree, rule.points)
        identity = (rule.weights[:, None] * harmonics).T @ harmonics
        torch.testing.assert_close(identity, torch.eye(dim(degree)).double(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("kind", [GauntTensorProduct, BracketTensorProduct])
def test_equivariant_under_rotations_and_inversion(kind):
    module = kind(3, 2, 4, channels=3, rank=2, normalize=True).double()
    x, y, matrix = features(3), features(2, seed=1), rotation(3)
    turned = module(x @ wigner(3, matrix).T, y @ wigner(2, matrix).T)
    assert error(turned, module(x, y) @ wigner(4, matrix).T) < TIGHT
    parity = -1 if kind is BracketTensorProduct else 1
    assert error(module(x * inversion(3), y * inversion(2)), parity * module(x, y) * inversion(4)) < TIGHT


@pytest.mark.parametrize("backend", BACKENDS)
def test_algebra(backend):
    module = product(2, 2, 4, backend=backend) if backend != "low_rank" else product(2, 2, 2, backend=backend)
    x, y, z = (features(2, seed=seed) for seed in range(3))
    assert error(module(y, x), module(x, y)) < 1e-14
    assert error(module(x + 2 * z, y), module(x, y) + 2 * module(z, y)) < 1e-14
    assert error(module(unit(2), x)[..., :9], x) < 1e-14
    # Parseval: the mean of f^2.
    torch.testing.assert_close(module(x, x)[..., 0], x.square().sum(-1) / math.sqrt(4 * math.pi))


def test_associative_only_without_truncation():
    f, g, h = (features(2, seed=seed) for seed in range(3))
    left = product(4, 2, 2)(product(2, 2, 4)(f, g), h)
    right = product(2, 4, 2)(f, product(2, 2, 4)(g, h))
    assert error(left, right) < TIGHT
    truncated = product(2, 2, 2)
    assert error(truncated(truncated(f, g), h), truncated(f, truncated(g, h))) > 1e-3


def test_product_with_a_point():
    """f times the projected delta function at r0 is, at degree 0, the value f(r0)."""
    direction = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    delta = spherical_harmonics(3, direction)[:, None]
    x = features(3)
    values = product(3, 3, 0)(x, delta)[..., 0] * math.sqrt(4 * math.pi)
    assert error(values, (x * delta).sum(-1)) < TIGHT


def test_odd_paths_vanish_and_the_bracket_has_them():
    for l1, l2, l3 in ((1, 1, 1), (2, 1, 2), (2, 3, 2)):
        x, y = torch.zeros(1, 1, 16).double(), torch.zeros(1, 1, 16).double()
        first, second, third = (slice(degree**2, (degree + 1) ** 2) for degree in (l1, l2, l3))
        x[..., first], y[..., second] = features(3, 1, 1)[..., first], features(3, 1, 1, 1)[..., second]
        assert product(3, 3, 3)(x, y)[..., third].abs().max() < 1e-15 * 10
        assert BracketTensorProduct(3, 3, 3).double()(x, y)[..., third].abs().max() > 1e-2


def test_both_products_span_all_clebsch_gordan_paths():
    weights = features(2, 1, 9)[:, 0].reshape(3, 3, 9)[..., :3]  # any weights of paths (l1, l2, l3)
    x, y = features(2, 1), features(2, 1, seed=1)
    paths = wigner_3j(2, 2, 2).clone()
    for l1 in range(3):
        for l2 in range(3):
            for l3 in range(3):
                paths[l1**2 : (l1 + 1) ** 2, l2**2 : (l2 + 1) ** 2, l3**2 : (l3 + 1) ** 2] *= weights[l1, l2, l3]
    expected = torch.einsum("bci,bcj,ijk->bck", x, y, paths)
    total = torch.zeros_like(expected)
    for kind in (GauntTensorProduct, BracketTensorProduct):
        factors = kind(2, 2, 2).path_factors()
        terms = decompose(torch.where(factors > 0, weights / factors, 0.0)[None], factors > 0)
        module = kind(2, 2, 2, channels=1, rank=len(terms[0])).double()
        total = total + module(x, y, terms)
    assert error(total, expected) < TIGHT


@pytest.mark.parametrize("lmaxes", [(1, 1, 1), (2, 3, 4), (4, 4, 4), (0, 2, 2)])
def test_bracket_is_its_integral(lmaxes):
    x, y = features(lmaxes[0]), features(lmaxes[1], seed=1)
    expected = torch.einsum("bci,bcj,ijk->bck", x, y, bracket_tensor(*lmaxes))
    actual = BracketTensorProduct(*lmaxes).double()(x, y)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_bracket_is_a_lie_bracket():
    f, g, h = (features(2, seed=seed) for seed in range(3))
    inner, outer = BracketTensorProduct(2, 2, 3).double(), BracketTensorProduct(2, 3, 4).double()
    assert inner(f, f).abs().max() < 1e-13
    assert error(inner(f, g), -inner(g, f)) < TIGHT
    cyclic = outer(f, inner(g, h)) + outer(g, inner(h, f)) + outer(h, inner(f, g))
    assert cyclic.abs().max() < 1e-12 * outer(f, inner(g, h)).abs().max()


def test_bracket_of_vectors_is_their_cross_product():
    x, y = features(1), features(1, seed=1)
    actual = BracketTensorProduct(1, 1, 1).double()(x, y)[..., 1:]
    expected = math.sqrt(3 / (4 * math.pi)) * torch.linalg.cross(x[..., 1:], y[..., 1:])
    assert error(actual, expected) < TIGHT


@pytest.mark.parametrize("kind", [GauntTensorProduct, BracketTensorProduct])
def test_normalised_products_have_unit_variance(kind):
    module = kind(3, 2, 3, normalize=True)
    x, y = (torch.randn(40000, 1, dim(lmax)) for lmax in (3, 2))
    variances = [block.square().mean() for block in module(x, y).split([1, 3, 5, 7], dim=-1)]
    wanted = [
        0.0 if kind is BracketTensorProduct and degree == 0 and module.factor(0, 0, 0) else 1.0 for degree in range(4)
    ]
    present = [any(module.factor(a, b, c) for a in range(4) for b in range(3)) for c in range(4)]
    for variance, value, there in zip(variances, wanted, present, strict=True):
        assert float(variance) == pytest.approx(value if there else 0.0, abs=0.06)


def test_weights_of_edges_replace_the_learnt_ones():
    module = product(2, 2, 2, channels=3, rank=2)
    x, y = features(2), features(2, seed=1)
    learnt = tuple(getattr(module, f"weight{number}") for number in (1, 2, 3))
    assert error(product(2, 2, 2)(x, y, learnt), module(x, y)) < 1e-14
    by_edge = tuple(weight.expand(4, -1, -1, -1) for weight in learnt)
    assert error(module(x, y, by_edge), module(x, y)) < 1e-14
    only_output = product(2, 2, 2)(x, y, (None, None, learnt[2][:1]))
    assert error(only_output, product(2, 2, 2)(x, y) * learnt[2][0, :, [0, 1, 1, 1, 2, 2, 2, 2, 2]]) < 1e-14


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_both_orders(backend):
    module = product(2, 1, 2, channels=2, backend=backend)
    x = features(2, 2, 1).requires_grad_()
    y = features(1, 2, 1, seed=1).requires_grad_()
    assert gradcheck(module, (x, y))
    assert gradgradcheck(module, (x, y))


def test_gradients_of_the_bracket():
    module = BracketTensorProduct(2, 1, 2, channels=2).double()
    x = features(2, 2, 1).requires_grad_()
    y = features(1, 2, 1, seed=1).requires_grad_()
    assert gradcheck(module, (x, y))
    assert gradgradcheck(module, (x, y))


@pytest.mark.parametrize("backend", BACKENDS)
def test_graph_has_no_breaks(backend):
    module = GauntTensorProduct(2, 2, 2, channels=3, backend=backend)
    x, y = features(2, dtype=torch.float32), features(2, seed=1, dtype=torch.float32)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, y), module(x, y))
    torch._dynamo.reset()


def test_state_holds_the_weights_alone():
    module = GauntTensorProduct(2, 2, 2, channels=3)
    assert sorted(module.state_dict()) == ["weight1", "weight2", "weight3"]
    assert not GauntTensorProduct(2, 2, 2).state_dict()
    x = features(2)
    twin = copy.deepcopy(module).double()
    torch.testing.assert_close(twin(x, x), module.double()(x, x), rtol=0, atol=0)


def test_half_precision_regions_do_not_reach_inside():
    module = GauntTensorProduct(2, 2, 2)
    x = features(2, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(module(x, x), module(x, x).float())
        assert error(module(x, x).double(), product(2, 2, 2)(x.double(), x.double())) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lmax_in1": -1}, "lmax_in1=-1"),
        ({"lmax_out": 1.5}, "lmax_out=1.5"),
        ({"rank": 0}, "rank=0"),
        ({"rank": 2}, "rank=2"),
        ({"channels": 0}, "channels=0"),
        ({"backend": "cuda"}, "backend='cuda'"),
        ({"lmax_in1": 5, "backend": "low_rank"}, "backend='low_rank'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        GauntTensorProduct(**{"lmax_in1": 2, "lmax_in2": 2, "lmax_out": 2, **arguments})


def test_wrong_features_are_named():
    with pytest.raises(ValueError, match="y has 4 coefficients; give 9"):
        product(2, 2, 2)(features(2), features(1))


# ---- decompositions


@pytest.mark.parametrize("lmax", RANKS)
def test_stored_decompositions_are_exact_and_well_conditioned(lmax):
    factors = decomposition(lmax)
    assert factors.shape == (RANKS[lmax], dim(lmax))
    assert residual(factors, lmax) < RESIDUAL
    assert factors.abs().max() < 2


def test_damaged_decompositions_are_noticed(tmp_path, monkeypatch):
    import numpy as np

    arrays = dict(np.load(low_rank.FILE))
    arrays["lmax2"][3, 4] += 1e-6
    np.savez(tmp_path / "low_rank.npz", **arrays)
    monkeypatch.setattr(low_rank, "FILE", tmp_path / "low_rank.npz")
    decomposition.cache_clear()
    with pytest.raises(RuntimeError, match="is damaged: its decomposition for lmax=2"):
        LowRankSampling(2, 2, 2)
    decomposition.cache_clear()


def test_decompositions_are_found_again():
    assert residual(low_rank.decompose(2, 20, seed=0), 2) < RESIDUAL
    assert residual(low_rank.decompose(1, 5, seed=0, max_steps=50), 1) > 1e-5


# ---- e3nn's weights and layout


@pytest.mark.parametrize("kind", [GauntTensorProduct, BracketTensorProduct])
@pytest.mark.parametrize("rank", [None, 1, 2])
def test_weights_come_back_from_e3nn(kind, rank):
    original = kind(2, 2, 2, channels=2, rank=rank or 1).double()
    returned = from_e3nn(to_e3nn(original), rank)[kind is BracketTensorProduct]
    if rank is not None:
        assert returned.rank == rank
    x, y = features(2, 2), features(2, 2, seed=1)
    assert error(returned(x, y), original(x, y)) < 1e-8 if rank else TIGHT
    assert error(path_weights(returned), path_weights(original)) < (1e-8 if rank else TIGHT)


def test_weights_of_too_high_rank_are_refused():
    tensor_product = to_e3nn(product(2, 2, 2, channels=1, rank=3))
    with pytest.raises(ValueError, match="rank=1 is not allowed: the nearest weights of paths err by"):
        from_e3nn(tensor_product, rank=1)


def test_other_products_of_e3nn_are_refused():
    from e3nn import o3

    with pytest.raises(ValueError, match="irreps_in2"):
        from_e3nn(o3.ElementwiseTensorProduct("2x0e+2x1o", "2x0e+2x1e"))


def test_layouts():
    x = features(2, 3)
    assert torch.equal(from_flat(to_flat(x), 3), x)
    assert torch.equal(to_flat(x)[:, 3:6], x[:, 0, 1:4])
    with pytest.raises(ValueError, match="width 26"):
        from_flat(torch.zeros(26), 3)
    with pytest.raises(ValueError, match="8 coefficients"):
        from_flat(torch.zeros(24), 3)
