import numpy as np
import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import match, orthogonal_functions, quadratic, random_snapshots, rotation, slow_manifold
from zoo.koopman import losses
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize_snapshots
from zoo.koopman.residuals import mean_leak, pair_residuals

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)
DTYPES = [torch.float64, torch.complex128]

LOSSES = {
    "whitened_residual": losses.whitened_residual,
    "eigenpair_residual": lambda x, y, w: losses.eigenpair_residual(x, y, 1e-3, w),
    "unnormalized": lambda x, y, w: losses.eigenpair_residual(x, y, 1e-3, w, normalized=False),
    "one_step_error": lambda x, y, w: losses.one_step_error(x, y, torch.eye(x.shape[1], dtype=x.dtype), w),
    "vamp2": losses.vamp2,
    "dpnet": lambda x, y, w: losses.dpnet(x, y, 0.7, w),
    "spectral_contrastive": losses.spectral_contrastive,
    "log_condition": lambda x, y, w: losses.log_condition(x, w) + losses.log_condition(y, w),
    "edmd_matrix": lambda x, y, w: (losses.edmd_matrix(x, y, w).abs() ** 2).sum(),
}


def gram_blocks(psi_x, psi_y, weights):
    weights = (weights / weights.sum())[:, None].to(psi_x.dtype)
    return psi_x.mH @ (weights * psi_x), psi_x.mH @ (weights * psi_y), psi_y.mH @ (weights * psi_y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_whitened_residual_is_the_formula_with_gram_matrices(dtype):
    psi_x, psi_y, weights = random_snapshots(dtype=dtype)
    g, a, shifted = gram_blocks(psi_x, psi_y, weights)
    inverse = torch.linalg.inv(g)
    expected = torch.trace(inverse @ (shifted - a.mH @ inverse @ a)).real / len(g)
    torch.testing.assert_close(losses.whitened_residual(psi_x, psi_y, weights), expected, **EXACT)


@pytest.mark.parametrize("dtype", DTYPES)
def test_whitened_residual_is_the_mean_leak_of_the_certificate(dtype):
    psi_x, psi_y, weights = random_snapshots(dtype=dtype)
    loss = float(losses.whitened_residual(psi_x, psi_y, weights))
    assert loss == pytest.approx(mean_leak(factorize_snapshots(psi_x, psi_y, weights)), rel=1e-13)


def test_whitened_residual_is_the_mean_squared_residual_of_edmd_pairs_of_a_normal_matrix():
    """A symmetric compression has orthonormal eigenvectors, over which the leak is averaged."""
    psi_x, noise, _ = random_snapshots(dtype=torch.float64)
    psi_x = torch.linalg.qr(psi_x).Q
    noise = noise - psi_x @ (psi_x.mT @ noise)
    matrix = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    psi_y = psi_x @ (matrix + matrix.mT) + noise
    factors = factorize_snapshots(psi_x, psi_y)
    pairs = edmd(factors)
    residual = pair_residuals(factors, pairs.eigenvalues, pairs.right).residual
    assert float(losses.whitened_residual(psi_x, psi_y)) == pytest.approx(float((residual**2).mean()), rel=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_whitened_residual_knows_the_span_alone(dtype):
    psi_x, psi_y, weights = random_snapshots(dtype=dtype)
    change = orthogonal_functions(6).to(dtype)
    plain = losses.whitened_residual(psi_x, psi_y, weights)
    changed = losses.whitened_residual(psi_x @ change, psi_y @ change, weights)
    assert float(changed) == pytest.approx(float(plain), rel=1e-12)
    tiny = losses.whitened_residual(1e-9 * psi_x, 1e-9 * psi_y, 5 * weights)
    assert float(tiny) == pytest.approx(float(plain), rel=1e-12)


def test_other_losses_shrink_with_the_functions():
    """Why those that know the scale can be made small by doing nothing."""
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    for name in ("one_step_error", "unnormalized"):
        loss = LOSSES[name]
        assert float(loss(1e-3 * psi_x, 1e-3 * psi_y, weights)) < 1e-4 * float(loss(psi_x, psi_y, weights)), name


def test_whitened_residual_vanishes_on_an_invariant_span_only():
    x, y = slow_manifold()
    assert float(losses.whitened_residual(quadratic(x), quadratic(y))) < 1e-28
    without = [quadratic(z)[:, :3] for z in (x, y)]
    assert float(losses.whitened_residual(*without)) > 1e-3


def test_whitened_residual_of_ill_conditioned_functions_is_not_squared():
    x, y = slow_manifold()
    change = torch.diag(torch.tensor([1.0, 1e-3, 1e3, 1e-6], dtype=torch.float64)) @ orthogonal_functions(4)
    psi_x, psi_y = quadratic(x) @ change, quadratic(y) @ change
    rounding = float(torch.linalg.cond(psi_x)) * torch.finfo(torch.float64).eps
    assert float(losses.whitened_residual(psi_x, psi_y)) < rounding**2 < 1e-11


def test_whitened_residual_is_one_minus_vamp2_where_the_measure_is_preserved():
    """All points of a permutation of equal weights: L = G for any functions."""
    generator = torch.Generator().manual_seed(0)
    psi = torch.randn(50, 7, dtype=torch.float64, generator=generator)
    psi_y = psi[torch.randperm(50, generator=generator)]
    vamp = float(losses.vamp2(psi, psi_y))
    assert 0 < -vamp < 7
    assert float(losses.whitened_residual(psi, psi_y)) == pytest.approx(1 + vamp / 7, rel=1e-12)
    shifted = psi_y + 0.5 * psi
    assert float(losses.whitened_residual(psi, shifted)) != pytest.approx(1 + float(losses.vamp2(psi, shifted)) / 7)


def test_dependent_functions_are_left_out():
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    doubled = [torch.cat([psi, psi @ torch.ones(6, 2, dtype=torch.float64)], dim=1) for psi in (psi_x, psi_y)]
    expected = float(losses.whitened_residual(psi_x, psi_y, weights))
    assert float(losses.whitened_residual(*doubled, weights)) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name, dtype):
    psi_x, psi_y, weights = random_snapshots(functions=3, snapshots=8, dtype=dtype)
    inputs = (psi_x.requires_grad_(), psi_y.requires_grad_())
    assert torch.autograd.gradcheck(lambda x, y: LOSSES[name](x, y, weights), inputs)


@pytest.mark.parametrize("name", LOSSES)
def test_doubled_data_and_units_of_weights_change_nothing(name):
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    loss = LOSSES[name]
    plain, in_other_units = loss(psi_x, psi_y, weights), loss(psi_x, psi_y, 7 * weights)
    torch.testing.assert_close(in_other_units, plain, **EXACT)
    twice = [torch.cat([part, part]) for part in (psi_x, psi_y, weights)]
    if name != "spectral_contrastive":  # which leaves each row's pair with itself out
        torch.testing.assert_close(loss(*twice), plain, **EXACT)
    # A weight of two is the row twice.
    heavy, repeated = weights.clone(), torch.arange(len(weights)).repeat_interleave(1 + (torch.arange(40) == 3))
    heavy[3] *= 2
    if name != "spectral_contrastive":
        again = loss(psi_x[repeated], psi_y[repeated], weights[repeated])
        torch.testing.assert_close(loss(psi_x, psi_y, heavy), again, **EXACT)
    torch.testing.assert_close(loss(psi_x, psi_y, None), loss(psi_x, psi_y, torch.full((40,), 3.0)), **EXACT)


def test_float32_features_are_taken_in_float64():
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    single = [psi.float().requires_grad_() for psi in (psi_x, psi_y)]
    loss = losses.whitened_residual(*single, weights)
    loss.backward()
    assert loss.dtype == torch.float64
    assert single[0].grad.dtype == torch.float32
    assert loss.item() == pytest.approx(float(losses.whitened_residual(psi_x, psi_y, weights)), rel=1e-5)


def test_log_condition_is_that_of_the_weighted_rows():
    psi_x, _, weights = random_snapshots()
    rows = weights.sqrt()[:, None] * psi_x
    expected = torch.linalg.cond(rows).log()
    torch.testing.assert_close(losses.log_condition(psi_x, weights), expected, **EXACT)


def test_log_condition_of_dependent_functions_is_finite():
    psi = torch.ones(5, 2, dtype=torch.float64, requires_grad=True)
    loss = losses.log_condition(psi)
    loss.backward()
    assert 30 < loss.item() < 40
    assert torch.isfinite(psi.grad).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_matrices(dtype):
    psi_x, psi_y, weights = random_snapshots(dtype=dtype)
    g, a, _ = gram_blocks(psi_x, psi_y, weights)
    expected = edmd(factorize_snapshots(psi_x, psi_y, weights)).matrix
    torch.testing.assert_close(losses.edmd_matrix(psi_x, psi_y, weights), expected, **EXACT)
    ridged = torch.linalg.inv(g + 0.3 * torch.eye(6, dtype=torch.float64)) @ a
    torch.testing.assert_close(losses.ridge_matrix(psi_x, psi_y, 0.3, weights), ridged, **EXACT)


def test_one_step_error_by_a_loop():
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    matrix = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    total = sum(
        w * ((y - matrix.mT @ x) ** 2).mean() for x, y, w in zip(psi_x, psi_y, weights / weights.sum(), strict=True)
    )
    torch.testing.assert_close(losses.one_step_error(psi_x, psi_y, matrix, weights), total, **EXACT)


def test_eigenpair_residual_of_a_small_ridge_is_that_of_the_certificate():
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    factors = factorize_snapshots(psi_x, psi_y, weights)
    pairs = edmd(factors)
    residual = pair_residuals(factors, pairs.eigenvalues, pairs.right).residual
    loss = losses.eigenpair_residual(psi_x, psi_y, 1e-13, weights)
    assert float(loss) == pytest.approx(float((residual**2).mean()), rel=1e-9)


def test_eigenpair_residual_as_published():
    """(1/M) ||(Psi_Y - Psi_X K) V||_F^2, over N."""
    psi_x, psi_y, _ = random_snapshots(dtype=torch.float64)
    matrix = losses.ridge_matrix(psi_x, psi_y, 0.01)
    _, vectors = np.linalg.eig(matrix.numpy())
    error = np.linalg.norm((psi_y - psi_x @ matrix).numpy() @ vectors) ** 2 / 40 / 6
    assert float(losses.eigenpair_residual(psi_x, psi_y, 0.01, normalized=False)) == pytest.approx(error, rel=1e-11)


def test_vamp2_of_two_views_by_square_roots():
    psi_x, _, weights = random_snapshots(functions=5, dtype=torch.float64)
    psi_y = torch.cat([random_snapshots(functions=3, seed=4, dtype=torch.float64)[0], psi_x[:, :1] ** 2], dim=1)
    w = (weights / weights.sum())[:, None]

    def inverse_root(psi):
        values, vectors = torch.linalg.eigh(psi.mT @ (w * psi))
        return vectors @ torch.diag(values**-0.5) @ vectors.mT

    score = torch.linalg.matrix_norm(inverse_root(psi_x) @ psi_x.mT @ (w * psi_y) @ inverse_root(psi_y)) ** 2
    torch.testing.assert_close(losses.vamp2(psi_x, psi_y, weights), -score, **EXACT)
    changed = losses.vamp2(psi_x @ orthogonal_functions(5), psi_y @ orthogonal_functions(4, seed=1), weights)
    torch.testing.assert_close(changed, -score, rtol=1e-11, atol=1e-12)


def test_vamp2_of_an_isometry_with_an_invariant_span_is_the_number_of_functions():
    psi_x, psi_y, _ = rotation(0.3, 3, 20)
    assert float(losses.vamp2(psi_x, psi_y)) == pytest.approx(-7, abs=1e-12)
    assert float(losses.whitened_residual(psi_x, psi_y)) < 1e-28


def test_dpnet_by_numpy():
    psi_x, psi_y, weights = (part.numpy() for part in random_snapshots(dtype=torch.float64))
    cov = np.cov(np.concatenate([psi_x, psi_y], axis=1).T, ddof=0, aweights=weights)
    c_x, c_y, c_xy = cov[:6, :6], cov[6:, 6:], cov[:6, 6:]
    expected = -(np.linalg.norm(c_xy) ** 2) / (np.linalg.norm(c_x, 2) * np.linalg.norm(c_y, 2))
    for c, psi in ((c_x, psi_x), (c_y, psi_y)):
        mean = np.average(psi, axis=0, weights=weights)
        _, log_determinant = np.linalg.slogdet(c)
        expected += 0.7 * ((np.trace(c @ c - c) - log_determinant) / 6 + 2 * mean @ mean)
    tensors = (torch.from_numpy(part) for part in (psi_x, psi_y))
    assert float(losses.dpnet(*tensors, 0.7, torch.from_numpy(weights))) == pytest.approx(expected, rel=1e-12)


def test_metric_distortion_is_least_for_orthonormal_functions_without_mean():
    psi = torch.randn(50, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    psi = torch.linalg.qr(psi - psi.mean(0)).Q * 50**0.5
    # The score of a pair with itself is N, each of its two distortions 0.
    assert float(losses.dpnet(psi, psi)) == pytest.approx(-4, rel=1e-12)
    for change in (psi + 0.1, 1.1 * psi, 0.9 * psi):
        assert float(losses.dpnet(change, change)) > -4 + 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
def test_spectral_contrastive_by_a_double_loop(dtype):
    psi_x, psi_y, weights = random_snapshots(snapshots=9, dtype=dtype)
    apart = together = total = 0.0
    for i in range(9):
        for j in range(9):
            value = torch.vdot(psi_x[i], psi_y[j])
            if i != j:
                apart += weights[i] * weights[j] * value.abs() ** 2
                total += weights[i] * weights[j]
        together += weights[i] * torch.vdot(psi_x[i], psi_y[i]).real
    expected = apart / total - 2 * together / weights.sum()
    torch.testing.assert_close(losses.spectral_contrastive(psi_x, psi_y, weights), expected, **EXACT)


def test_forecast_error_by_a_loop():
    psi, _, weights = random_snapshots(snapshots=7, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    states = torch.randn(7, 3, 2, dtype=torch.float64, generator=generator)
    matrix, coefficients = (torch.randn(6, k, dtype=torch.float64, generator=generator) for k in (6, 2))
    known = torch.rand(7, 3, generator=generator) > 0.4
    total = mass = 0.0
    for i in range(7):
        for n in range(3):
            forecast = psi[i] @ torch.linalg.matrix_power(matrix, n + 1) @ coefficients
            weight = weights[i] * known[i, n]
            total += weight * ((forecast - states[i, n]) ** 2).mean()
            mass += weight
    states[~known] = torch.nan
    loss = losses.forecast_error(psi, states, matrix, coefficients, weights[:, None] * known)
    torch.testing.assert_close(loss, total / mass, **EXACT)


def test_forecast_error_vanishes_on_an_invariant_span():
    x, y = slow_manifold()
    matrix = losses.edmd_matrix(quadratic(x), quadratic(y))
    assert match(torch.linalg.eigvals(matrix), [1.0, 0.9, 0.81, 0.5]) < 1e-12
    state = torch.eye(4, dtype=torch.float64)[:, 1:3]
    states = torch.stack([quadratic(x) @ torch.linalg.matrix_power(matrix, n) @ state for n in (1, 2, 3)], dim=1)
    torch.testing.assert_close(states[:, 0], y, **EXACT)
    assert float(losses.forecast_error(quadratic(x), states, matrix, state)) < 1e-26
    assert float(losses.forecast_error(quadratic(x), states, 0.9 * matrix, state)) > 1e-4


def test_bad_arguments_are_named():
    psi_x, psi_y, weights = random_snapshots(dtype=torch.float64)
    for name, loss in LOSSES.items():
        with pytest.raises(ValueError, match="weights"):
            loss(psi_x, psi_y, weights[1:])
        if name != "log_condition":
            with pytest.raises(ValueError, match="psi_y"):
                loss(psi_x, psi_y[1:], weights)
    with pytest.raises(ValueError, match="psi_y"):
        losses.whitened_residual(psi_x, psi_y[:, 1:])
    with pytest.raises(ValueError, match="weights"):
        losses.whitened_residual(psi_x, psi_y, -weights)
    with pytest.raises(ValueError, match="ridge"):
        losses.ridge_matrix(psi_x, psi_y, 0.0)
    with pytest.raises(ValueError, match="states"):
        losses.forecast_error(psi_x, psi_x, psi_x, psi_x)
    psi_x[4, 2] = torch.nan
    with pytest.raises(ValueError, match="psi_x holds NaN or infinity, first at index 4"):
        losses.whitened_residual(psi_x, psi_y)
    with pytest.raises(ValueError, match="vanishes"):
        losses.whitened_residual(torch.zeros_like(psi_y), psi_y)
