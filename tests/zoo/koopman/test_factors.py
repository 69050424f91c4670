import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import quadratic, random_snapshots, slow_manifold
from zoo.koopman.factors import (
    RankDeficiencyWarning,
    factorize,
    factorize_gram,
    factorize_snapshots,
)
from zoo.koopman.gram import triangle_of_snapshots

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def weighted(psi_x, psi_y, weights):
    root = weights.sqrt()[:, None]
    return root * psi_x, root * psi_y


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_the_orthonormal_form_is_that_of_the_definition(dtype):
    data = random_snapshots(dtype=dtype)
    factors = factorize_snapshots(*data)
    x, y = weighted(*data)
    q, c = x @ factors.basis, y @ factors.basis
    identity = torch.eye(6, dtype=dtype)
    torch.testing.assert_close(q.mH @ q, identity, **EXACT)
    torch.testing.assert_close(factors.coordinates @ factors.basis, identity, **EXACT)
    torch.testing.assert_close(factors.compression, q.mH @ c, **EXACT)
    leak = c.mH @ (c - q @ (q.mH @ c))
    torch.testing.assert_close(factors.leak.mH @ factors.leak, leak, **EXACT)
    assert factors.is_real == (dtype == torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gram_and_triangular_forms_agree_up_to_a_unitary_change_of_basis(dtype):
    psi_x, psi_y, weights = random_snapshots(dtype=dtype)
    rows = torch.cat(weighted(psi_x, psi_y, weights), dim=1)
    one, other = factorize_snapshots(psi_x, psi_y, weights), factorize_gram(rows.mH @ rows)
    change = one.coordinates @ other.basis
    torch.testing.assert_close(change.mH @ change, torch.eye(6, dtype=dtype), **EXACT)
    torch.testing.assert_close(change.mH @ one.compression @ change, other.compression, **EXACT)
    assert (one.arithmetic, other.arithmetic) == ("triangular", "gram")


def test_dependent_functions_are_dropped_and_reported():
    psi_x, psi_y, weights = random_snapshots(5)
    extra = torch.randn(5, 2, generator=torch.Generator().manual_seed(1)).to(psi_x.dtype)
    whole = factorize_snapshots(psi_x, psi_y, weights)
    with pytest.warns(RankDeficiencyWarning, match="7 functions of the dictionary span only 5 dimensions"):
        factors = factorize_snapshots(
            torch.cat([psi_x, psi_x @ extra], dim=1), torch.cat([psi_y, psi_y @ extra], dim=1), weights
        )
    assert (factors.size, factors.rank) == (7, 5)
    torch.testing.assert_close(
        torch.linalg.svdvals(factors.compression), torch.linalg.svdvals(whole.compression), **EXACT
    )
    torch.testing.assert_close(torch.linalg.svdvals(factors.leak), torch.linalg.svdvals(whole.leak), **EXACT)


def test_the_leak_into_what_was_dropped_is_kept():
    x, y = slow_manifold()
    psi_x, psi_y = quadratic(x), quadratic(y)
    psi_x[:, 3] = 0  # a function that vanishes on the data, and not after one step
    with pytest.warns(RankDeficiencyWarning):
        factors = factorize_snapshots(psi_x, psi_y)
    kept = factors.basis[:3]
    c = psi_y[:, :3] @ kept / len(x) ** 0.5
    q = psi_x[:, :3] @ kept / len(x) ** 0.5
    torch.testing.assert_close(factors.leak.mH @ factors.leak, c.mH @ (c - q @ (q.mH @ c)), **EXACT)


def test_units_do_not_decide_the_rank():
    psi_x, psi_y, weights = random_snapshots(4)
    scale = torch.tensor([1.0, 1e-9, 1e9, 1e-12]).double()
    factors = factorize_snapshots(psi_x * scale, psi_y * scale, weights)
    plain = factorize_snapshots(psi_x, psi_y, weights)
    assert factors.rank == 4
    assert factors.condition == pytest.approx(plain.condition, rel=1e-10)
    torch.testing.assert_close(factors.compression, plain.compression, **EXACT)


def test_fewer_snapshots_than_functions():
    with pytest.warns(RankDeficiencyWarning):
        factors = factorize_snapshots(*random_snapshots(9, 4))
    assert factors.rank == 4
    torch.testing.assert_close(torch.linalg.svdvals(factors.leak), torch.zeros(4).double(), **EXACT)


def test_single_precision_features_are_distrusted_where_badly_conditioned():
    psi_x, psi_y, weights = random_snapshots(2)
    good = factorize_snapshots(psi_x, psi_y, weights)
    psi_x[:, 1] = psi_x[:, 0] + 1e-6 * psi_x[:, 1]
    bad = factorize_snapshots(psi_x, psi_y, weights)
    assert not good.distrusts(torch.float32)
    assert bad.distrusts(torch.float32)
    assert not bad.distrusts(torch.float64)


@pytest.mark.parametrize(
    ("triangle", "message"),
    [
        (torch.ones(3, 3), "triangle"),
        (torch.zeros(4, 4), "triangle='R11 = 0'"),
        (torch.full((2, 4), torch.inf), "triangle holds NaN or infinity"),
    ],
)
def test_bad_factors_are_refused(triangle, message):
    with pytest.raises(ValueError, match=message):
        factorize(triangle)


def test_a_factor_of_any_height_is_accepted():
    triangle = triangle_of_snapshots(*random_snapshots())
    torch.testing.assert_close(factorize(-triangle).compression, factorize(triangle).compression, **EXACT)
