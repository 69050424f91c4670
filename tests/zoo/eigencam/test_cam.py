"""Eigen-CAM against what is known of it exactly: singular values, invariances, signs, gradients."""

import math
import warnings

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.eigencam import eigen_cam

F64 = {"rtol": 1e-10, "atol": 1e-10}  # identities of products of singular vectors
F32 = {"rtol": 1e-4, "atol": 1e-5}
WIDE, TALL = (3, 40, 5, 6), (3, 8, 5, 6)  # more channels than positions, and fewer


def activations(shape=WIDE, dtype=torch.float64, seed=0, signed=False):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    # A bright object, so that the first component stands out.
    values[:, :, 1:3, 2:5] += 2 * torch.rand(shape[1], generator=generator, dtype=torch.float64)[None, :, None, None]
    return (values if signed else values.relu()).to(dtype)


def matrix(values, mode="paper"):
    """Return X, (B, N, C)."""
    features = values.flatten(2).mT
    return features - features.mean(1, keepdim=True) if mode == "centered" else features


@pytest.mark.parametrize("mode", ["paper", "centered"])
@pytest.mark.parametrize("shape", [WIDE, TALL])
@pytest.mark.parametrize("solver", ["auto", "eigh", "lanczos", "svd"])
def test_the_map_is_the_first_left_singular_vector_times_its_singular_value(mode, shape, solver):
    values = activations(shape)
    maps = eigen_cam(values, mode=mode, solver=solver)
    u, s, vt = torch.linalg.svd(matrix(values, mode), full_matrices=False)
    projected = (matrix(values, mode) @ vt[:, :1].mT).squeeze(-1)
    found = maps.maps.flatten(1)
    torch.testing.assert_close(found.abs(), projected.abs(), **F64)
    torch.testing.assert_close(found.norm(dim=1), s[:, 0], **F64)
    torch.testing.assert_close(maps.singular_values[:, 0], s[:, 0], **F64)
    torch.testing.assert_close(maps.explained[:, 0], s[:, 0] ** 2 / (s**2).sum(1), **F64)
    estimate = {"rtol": 0, "atol": 1e-2} if solver == "lanczos" else F64
    torch.testing.assert_close(maps.gap, s[:, 1] / s[:, 0], **estimate)
    assert torch.allclose(u[:, :, 0].abs() * s[:, :1], found.abs(), **F64)


@pytest.mark.parametrize("mode", ["paper", "centered"])
@pytest.mark.parametrize("shape", [WIDE, TALL])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_all_components_together_hold_the_energy_of_every_position(mode, shape, dtype):
    values = activations(shape, dtype)
    maps = eigen_cam(values, mode=mode, rank=min(shape[1], 30))
    close = F64 if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(maps.energy().flatten(1), matrix(values, mode).norm(dim=2), **close)
    torch.testing.assert_close(maps.explained.sum(1), torch.ones(3, dtype=dtype), **close)


def test_eckart_young():
    values = activations()
    maps = eigen_cam(values, rank=2).maps.flatten(2)
    features = matrix(values)
    s = torch.linalg.svdvals(features)
    for rank in (1, 2):
        u = maps[:, :rank] / maps[:, :rank].norm(dim=2, keepdim=True)
        rest = features - u.mT @ (u @ features)
        torch.testing.assert_close(rest.square().sum((1, 2)), (s[:, rank:] ** 2).sum(1), **F64)


@pytest.mark.parametrize("sign", ["energy", "mean", "magnitude", "border"])
def test_maps_of_nonnegative_activations_are_nonnegative(sign):
    for seed in range(20):
        maps = eigen_cam(activations(seed=seed, dtype=torch.float32), sign=sign).maps
        assert (maps >= -1e-6 * maps.amax((2, 3), keepdim=True)).all()


def test_a_nonnegative_map_may_fall_with_the_energy():
    # One position of many channels outside the dominant direction: much energy, little of the first component.
    values = torch.zeros(1, 8, 1, 6, dtype=torch.float64)
    values[0, 0, 0, :5] = 1
    values[0, 1:, 0, 5] = 0.75
    maps = eigen_cam(values).maps
    assert (maps >= 0).all()


def test_rank_one_activations():
    s, a = torch.rand(1, 1, 5, 6, dtype=torch.float64), torch.rand(1, 40, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(eigen_cam(s * a).maps, s * a.norm(), **F64)
    assert eigen_cam(s * a).gap.item() == pytest.approx(0, abs=1e-7)


def rotation(size, seed=0):
    return torch.linalg.qr(
        torch.randn(size, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    ).Q


@pytest.mark.parametrize("mode", ["paper", "centered"])
def test_invariance_to_rotations_permutations_and_copies_of_channels(mode):
    values = activations(signed=True)
    expected = eigen_cam(values, mode=mode).maps
    rotated = torch.einsum("bchw,cd->bdhw", values, rotation(40))
    torch.testing.assert_close(eigen_cam(rotated, mode=mode).maps, expected, **F64)
    torch.testing.assert_close(eigen_cam(values.flip(1), mode=mode).maps, expected, **F64)
    padded = torch.cat([values, torch.zeros_like(values)], dim=1)
    torch.testing.assert_close(eigen_cam(padded, mode=mode).maps, expected, **F64)
    doubled = torch.cat([values, values], dim=1)
    torch.testing.assert_close(eigen_cam(doubled, mode=mode).maps, expected * math.sqrt(2), **F64)


@pytest.mark.parametrize("mode", ["paper", "centered"])
@pytest.mark.parametrize("sign", ["energy", "mean", "magnitude", "border"])
def test_equivariance_to_flips_and_rotations_of_positions(mode, sign):
    values = activations((3, 40, 6, 6), signed=True)
    expected = eigen_cam(values, mode=mode, sign=sign).maps
    for move in (lambda x: x.flip(-1), lambda x: x.flip(-2), lambda x: x.rot90(1, (-2, -1))):
        torch.testing.assert_close(eigen_cam(move(values), mode=mode, sign=sign).maps, move(expected), **F64)


def test_equivariance_to_permutations_of_positions():
    values = activations(signed=True)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    shuffled = values.flatten(2)[..., order].reshape(values.shape)
    expected = eigen_cam(values, mode="centered").maps.flatten(2)[..., order]
    torch.testing.assert_close(eigen_cam(shuffled, mode="centered").maps.flatten(2), expected, **F64)


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_scaling(factor):
    values = activations(signed=True)
    maps, scaled = eigen_cam(values), eigen_cam(factor * values)
    torch.testing.assert_close(scaled.maps / factor, maps.maps, **F64)
    torch.testing.assert_close(scaled.gap, maps.gap, **F64)


def test_centering_forgets_a_constant_for_each_channel():
    values = activations(signed=True)
    shifted = values + 100 * torch.randn(1, 40, 1, 1, dtype=torch.float64)
    kwargs = {"mode": "centered", "sign": "magnitude"}
    torch.testing.assert_close(eigen_cam(shifted, **kwargs).maps, eigen_cam(values, **kwargs).maps, **F64)


def test_centering_keeps_its_precision_under_a_large_constant():
    values = activations(signed=True)
    shifted = (values + 1000).float()
    exact = eigen_cam(shifted.double(), mode="centered", sign="magnitude").maps
    found = eigen_cam(shifted, mode="centered", sign="magnitude").maps
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-4 * exact.abs().max().item())


@pytest.mark.parametrize("mode", ["paper", "centered"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_images_do_not_see_each_other(mode, dtype):
    values = activations((4, 200, 9, 9), dtype)  # large enough for Lanczos in float32
    together = eigen_cam(values, mode=mode).maps
    alone = torch.cat([eigen_cam(value.unsqueeze(0), mode=mode).maps for value in values])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6 * together.abs().max().item())


@pytest.mark.parametrize("mode", ["paper", "centered"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_solvers_agree(mode, dtype):
    values = activations((4, 100, 10, 10), dtype)
    reference = eigen_cam(values.double(), mode=mode, solver="svd", rank=3).maps
    for solver in ("eigh", "lanczos", "svd", "auto"):
        found = eigen_cam(values, mode=mode, solver=solver, rank=3).maps
        bound = 1e-5 if dtype == torch.float32 else 1e-10
        # Later components are told apart by smaller gaps.
        error = (found[:, 0].double() - reference[:, 0]).abs().max() / reference[:, 0].abs().max()
        assert error < bound, solver


def test_lanczos_finds_what_its_start_cannot_see():
    # Antisymmetric under the flip that leaves the energy, where Lanczos begins, unchanged.
    side = torch.linspace(-1, 1, 81, dtype=torch.float32)
    values = torch.zeros(1, 100, 9, 9)
    values[0, 0] = 3 * side.reshape(9, 9).sign() * (1 + side.reshape(9, 9).abs())
    values[0, 1] = side.reshape(9, 9).abs()
    found = eigen_cam(values, mode="centered", solver="lanczos", sign="magnitude")
    exact = eigen_cam(values, mode="centered", solver="svd", sign="magnitude")
    torch.testing.assert_close(found.maps, exact.maps, **F32)


def test_hard_spectra_fall_back_to_a_decomposition():
    # All singular values nearly equal: Lanczos cannot separate them in its steps.
    values = torch.eye(100).reshape(1, 100, 10, 10) * torch.linspace(1, 1.01, 100).reshape(1, 100, 1, 1)
    found = eigen_cam(values, solver="lanczos")
    assert found.singular_values.item() == pytest.approx(1.01, rel=1e-5)


@pytest.mark.parametrize("rule", ["energy", "mean", "magnitude", "border"])
@pytest.mark.parametrize("seed", range(5))
def test_signs_follow_their_rule(rule, seed):
    values = activations(signed=True, seed=seed)
    maps = eigen_cam(values, mode="centered", sign=rule, rank=3).maps
    energy = values.norm(dim=1)
    if rule == "energy":
        evidence = (maps * (energy - energy.mean((1, 2), keepdim=True)).unsqueeze(1)).sum((2, 3))
    elif rule == "mean":
        evidence = (maps * values.mean(1, keepdim=True)).sum((2, 3))
    elif rule == "border":
        inside = torch.zeros(5, 6, dtype=torch.bool)
        inside[1:-1, 1:-1] = True
        evidence = maps[..., inside].mean(-1) - maps[..., ~inside].mean(-1)
    else:
        evidence = maps.amax((2, 3)) - -maps.amin((2, 3))
    assert (evidence > 0).all()


def test_the_sum_of_the_direction_is_the_covariance_with_the_mean():
    values = activations(signed=True)
    maps = eigen_cam(values, mode="centered", sign="mean")
    component, features = maps.maps.flatten(1), matrix(values, "centered")
    direction = (component.unsqueeze(1) @ features).squeeze(1) / maps.singular_values**2
    left = (component * features.mean(2)).sum(1)
    torch.testing.assert_close(left, maps.singular_values[:, 0] ** 2 * direction.sum(1) / 40, **F64)


def test_a_tie_is_broken_by_the_first_largest_entry():
    values = torch.tensor([1.0, -1.0, 0.5, -0.5], dtype=torch.float64).reshape(1, 1, 2, 2)
    for rule in ("energy", "magnitude"):
        assert eigen_cam(values, sign=rule, mode="centered").maps.flatten()[0] > 0
        assert eigen_cam(-values, sign=rule, mode="centered").maps.flatten()[0] > 0


def test_constant_activations():
    values = torch.rand(2, 40, 1, 1, dtype=torch.float64).expand(2, 40, 5, 6)
    centered = eigen_cam(torch.ones(2, 40, 5, 6), mode="centered")
    assert torch.equal(centered.maps, torch.zeros(2, 1, 5, 6))
    assert torch.equal(centered.explained, torch.zeros(2, 1))
    paper = eigen_cam(values).maps
    torch.testing.assert_close(paper, paper.amax((2, 3), keepdim=True).expand_as(paper), **F64)
    zero = eigen_cam(torch.zeros(1, 4, 3, 3, requires_grad=True))
    assert torch.equal(zero.maps, torch.zeros(1, 1, 3, 3))
    assert torch.equal(zero.gap, torch.ones(1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    values = activations(dtype=dtype)
    maps = eigen_cam(values).maps
    assert maps.dtype == torch.float32
    assert torch.equal(maps, eigen_cam(values.float()).maps)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(eigen_cam(values).maps, maps)


def test_volumes():
    values = torch.rand(2, 20, 3, 4, 5, dtype=torch.float64)
    maps = eigen_cam(values, rank=2).maps
    assert maps.shape == (2, 2, 3, 4, 5)
    flat = eigen_cam(values.reshape(2, 20, 12, 5), rank=2).maps
    torch.testing.assert_close(maps.flatten(2), flat.flatten(2), **F64)


def test_a_shared_basis_is_that_of_the_whole_batch():
    values = activations(signed=True)
    for mode in ("paper", "centered"):
        shared = eigen_cam(values, mode=mode, shared_basis=True, rank=2)
        features = matrix(values, mode)
        covariance = (features.mT @ features).sum(0)
        direction = torch.linalg.eigh(covariance).eigenvectors[:, -1]
        expected = (features @ direction).reshape(3, 5, 6)
        torch.testing.assert_close(shared.maps[:, 0].abs(), expected.abs(), **F64)
        # One direction, hence one sign.
        assert torch.allclose(shared.maps[:, 0], expected, **F64) or torch.allclose(shared.maps[:, 0], -expected, **F64)
        assert torch.equal(shared.singular_values[0], shared.singular_values[2])


def test_standardised_channels_count_alike():
    values = activations(signed=True)
    loud = values.clone()
    loud[:, 0] *= 1000
    torch.testing.assert_close(
        eigen_cam(loud, standardize=True, mode="centered", sign="magnitude").maps,
        eigen_cam(values, standardize=True, mode="centered", sign="magnitude").maps,
        **F64,
    )
    constant = values.clone()
    constant[:, 0] = 3
    assert torch.isfinite(eigen_cam(constant, standardize=True).maps).all()


@pytest.mark.parametrize("mode", ["paper", "centered"])
@pytest.mark.parametrize("shape", [(2, 12, 2, 4), (2, 3, 2, 4)])
@pytest.mark.parametrize("solver", ["eigh", "svd"])
def test_gradient(mode, shape, solver):
    values = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()

    def outputs(values):
        found = eigen_cam(values, mode=mode, rank=2, solver=solver)
        return found.maps, found.singular_values, found.explained

    assert torch.autograd.gradcheck(outputs, (values,), atol=1e-6)


def test_gradient_equals_that_through_a_decomposition():
    values = activations().requires_grad_()
    weights = torch.randn(3, 1, 5, 6, dtype=torch.float64)
    (ours,) = torch.autograd.grad((eigen_cam(values).maps * weights).sum(), values)
    u, s, _ = torch.linalg.svd(matrix(values), full_matrices=False)
    maps = (u[:, :, 0] * s[:, :1]).reshape(3, 1, 5, 6)
    maps = maps * maps.sum((2, 3), keepdim=True).sign()
    (theirs,) = torch.autograd.grad((maps * weights).sum(), values)
    torch.testing.assert_close(ours, theirs, **F64)


@pytest.mark.parametrize("shape", [(1, 4, 3, 3), (1, 12, 3, 3)])
def test_gradient_is_finite_where_gaps_close(shape):
    for values in (torch.zeros(shape), torch.ones(shape), torch.eye(9)[: shape[1]].reshape(1, -1, 3, 3)):
        values = values.double().requires_grad_()
        (gradient,) = torch.autograd.grad(eigen_cam(values, mode="centered").maps.sum(), values)
        assert torch.isfinite(gradient).all()
    zero = torch.zeros(shape, requires_grad=True)
    assert torch.equal(torch.autograd.grad(eigen_cam(zero).maps.sum(), zero)[0], torch.zeros(shape))


def test_works_under_inference_mode_and_leaves_its_input_alone():
    values = activations()
    copy = values.clone()
    with torch.inference_mode():
        maps = eigen_cam(values, mode="centered").maps
    torch.testing.assert_close(
        maps, eigen_cam(values, mode="centered").maps, **tolerance(torch.float64, LINEAR_ALGEBRA)
    )
    assert torch.equal(values, copy)


def test_any_memory_layout():
    values = activations()
    last = values.to(memory_format=torch.channels_last)
    torch.testing.assert_close(eigen_cam(last).maps, eigen_cam(values).maps, **F64)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(bad):
    values = activations(dtype=torch.float32)
    values[1, 3, 2, 2] = bad
    with pytest.raises(ValueError, match="NaN, infinite"):
        eigen_cam(values)


def test_nan_as_zero():
    values = activations()
    with_nan = values.clone()
    with_nan[1, 3, 2, 2] = torch.nan
    values[1, 3, 2, 2] = 0
    torch.testing.assert_close(eigen_cam(with_nan, nan="zero").maps, eigen_cam(values).maps, **F64)


def test_one_position_is_answered_with_a_warning():
    with pytest.warns(UserWarning, match="one position"):
        maps = eigen_cam(torch.full((1, 4, 1, 1), 2.0))
    assert maps.maps.item() == pytest.approx(4.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        eigen_cam(torch.rand(1, 4, 1, 2))


@pytest.mark.parametrize(
    ("changes", "error", "name"),
    [
        ({"activations": torch.ones(1, 2, 3, 3, dtype=torch.long)}, TypeError, "activations"),
        ({"activations": [1.0]}, TypeError, "activations"),
        ({"activations": torch.ones(2, 3, 3)}, ValueError, "activations"),
        ({"activations": torch.ones(0, 2, 3, 3)}, ValueError, "activations"),
        ({"mode": "centred"}, ValueError, "mode"),
        ({"sign": "positive"}, ValueError, "sign"),
        ({"solver": "power"}, ValueError, "solver"),
        ({"rank": 0}, ValueError, "rank"),
        ({"rank": 10}, ValueError, "rank"),
        ({"rank": 1.0}, ValueError, "rank"),
        ({"nan": "ignore"}, ValueError, "nan"),
    ],
)
def test_bad_arguments_are_named(changes, error, name):
    arguments = {"activations": torch.rand(1, 20, 3, 3), **changes}
    with pytest.raises(error, match=name):
        eigen_cam(arguments.pop("activations"), **arguments)
