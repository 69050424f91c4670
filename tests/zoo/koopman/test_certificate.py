import itertools

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from tests.zoo.koopman.systems import duffing, quadratic, radial, random_snapshots, slow_manifold
from zoo.koopman.certificate import REMAINING, TrainingDataWarning, certify, standard_errors
from zoo.koopman.edmd import edmd
from zoo.koopman.factors import factorize_snapshots
from zoo.koopman.gram import triangle_of_snapshots
from zoo.koopman.residuals import data_residuals

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def shards_of(psi_x, psi_y, count=10):
    ones = torch.ones(len(psi_x)).double()
    parts = zip(psi_x.chunk(count), psi_y.chunk(count), ones.chunk(count), strict=True)
    return [triangle_of_snapshots(*part) for part in parts]


def gram_of(triangle):
    return triangle.mH @ triangle


def learned(size=20):
    x, y = duffing(150, steps=1)
    centers = x[:size]
    pairs = edmd(factorize_snapshots(radial(x, centers), radial(y, centers)))
    fresh_x, fresh_y = duffing(400, steps=1, seed=7)
    return pairs, (radial(x, centers), radial(y, centers)), (radial(fresh_x, centers), radial(fresh_y, centers))


@pytest.mark.parametrize("count", [1, 3, 10])
def test_residuals_are_those_of_all_shards_together(count):
    pairs, _, (psi_x, psi_y) = learned()
    found = certify(shards_of(psi_x, psi_y, count), pairs.eigenvalues, pairs.right, origin="held_out")
    expected = data_residuals(psi_x, psi_y, pairs.eigenvalues, pairs.right)
    torch.testing.assert_close(found.residual, expected, **EXACT)
    torch.testing.assert_close(torch.hypot(found.projected, found.leak), expected, **EXACT)
    assert found.shards == count
    if count == 1:
        assert found.lower.isnan().all()
        assert found.upper.isnan().all()
    else:
        assert (found.lower <= found.residual).all()
        assert (found.residual <= found.upper).all()


def test_gram_statistics_give_the_same_and_say_so():
    pairs, _, held_out = learned(8)
    triangles = shards_of(*held_out)
    one = certify(triangles, pairs.eigenvalues, pairs.right, origin="held_out")
    other = certify(
        [gram_of(t) for t in triangles], pairs.eigenvalues, pairs.right, origin="held_out", arithmetic="gram"
    )
    torch.testing.assert_close(one.residual, other.residual, rtol=0, atol=1e-6)
    torch.testing.assert_close(one.upper, other.upper, rtol=0, atol=1e-6)
    assert (one.arithmetic, other.arithmetic) == ("triangular", "gram")
    assert one.clamped == 0


def test_training_data_are_refused_as_held_out_and_marked_otherwise():
    pairs, training, _ = learned()
    triangles = shards_of(*training)
    statistic = triangle_of_snapshots(*training)  # weighted by 1 / M, the shards by 1
    arguments = (triangles, pairs.eigenvalues, pairs.right)
    with pytest.raises(ValueError, match="origin='held_out' is not allowed: these statistics are those of"):
        certify(*arguments, origin="held_out", training=statistic)
    with pytest.raises(ValueError, match="those of the training"):
        certify(
            [gram_of(t) for t in triangles],
            *arguments[1:],
            origin="held_out",
            training=gram_of(statistic),
            arithmetic="gram",
        )
    with pytest.warns(TrainingDataWarning, match="too small"):
        found = certify(*arguments, origin="training")
    assert found.origin == "training"
    assert found.upper.isnan().all()
    with pytest.raises(TypeError):
        certify(*arguments)


def test_held_out_data_differ_from_training_data():
    pairs, training, held_out = learned()
    found = certify(
        shards_of(*held_out),
        pairs.eigenvalues,
        pairs.right,
        origin="held_out",
        training=triangle_of_snapshots(*training),
    )
    hidden = data_residuals(*training, pairs.eigenvalues, pairs.right)
    assert found.residual.median() > hidden.median()


def test_intervals_cover_the_truth_as_often_as_they_say():
    # y = x / 2 + noise of a known size: the residual of (1/2, x) is the noise's deviation over that of x.
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for _ in range(150):
        x = torch.randn(400, 1, dtype=torch.float64, generator=generator)
        y = 0.5 * x + 0.3 * torch.randn(400, 1, dtype=torch.float64, generator=generator)
        found = certify(shards_of(x, y, 20), torch.tensor([0.5]), torch.ones(1, 1), origin="held_out", level=0.9)
        covered += bool(found.lower[0] <= 0.3 <= found.upper[0])
    assert covered / 150 == pytest.approx(0.9, abs=0.06)


def test_central_limit_and_jackknife_agree():
    pairs, _, (psi_x, psi_y) = learned(8)
    errors = standard_errors(psi_x, psi_y, pairs.eigenvalues, pairs.right)
    found = certify(shards_of(psi_x, psi_y, 40), pairs.eigenvalues, pairs.right, origin="held_out", level=0.6827)
    width = (found.upper**2 - found.lower**2) / 2
    assert ((width / errors - 1).abs() < 0.5).all()


def test_an_invariant_dictionary_is_certified_to_rounding():
    x, y = slow_manifold()
    pairs = edmd(factorize_snapshots(quadratic(x), quadratic(y)))
    fresh_x, fresh_y = slow_manifold(seed=1)
    found = certify(
        shards_of(quadratic(fresh_x), quadratic(fresh_y), 5), pairs.eigenvalues, pairs.right, origin="held_out"
    )
    assert found.upper.max() < 1e-12


def test_limits_that_remain():
    pairs, _, held_out = learned(4)
    shards = shards_of(*held_out)
    for assumption, remaining in REMAINING.items():
        found = certify(shards, pairs.eigenvalues, pairs.right, origin="held_out", assumption=assumption)
        assert found.remaining == remaining
    assert REMAINING["continuous"]["spectrum"] == ("M", "N", "epsilon")
    assert REMAINING["modulus_measure_preserving"]["spectrum"] == ("N",)


def test_rows_ascend_and_precision_is_judged():
    pairs, _, held_out = learned(4)
    found = certify(shards_of(*held_out), pairs.eigenvalues, pairs.right, origin="held_out")
    rows = found.rows()
    assert len(rows) == 4
    assert all(one["residual"] <= other["residual"] for one, other in itertools.pairwise(rows))
    assert rows[0]["data"] == "held_out"
    assert found.trustworthy
    psi_x, psi_y, weights = random_snapshots(2, dtype=torch.float64)
    psi_x[:, 1] = psi_x[:, 0] + 1e-6 * psi_x[:, 1]
    badly = certify(
        [triangle_of_snapshots(psi_x, psi_y, weights)],
        torch.zeros(2),
        torch.eye(2),
        origin="held_out",
        feature_dtype=torch.float32,
    )
    assert not badly.trustworthy


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origin": "test"}, "origin='test'"),
        ({"assumption": "chaotic"}, "assumption='chaotic'"),
        ({"level": 1.0}, r"level=1\.0"),
        ({"arithmetic": "float16"}, "arithmetic='float16'"),
        ({"shards": []}, "shards="),
        ({"coefficients": torch.ones(3, 2)}, "coefficients="),
    ],
)
def test_bad_arguments_are_refused(change, message):
    shards = [triangle_of_snapshots(*random_snapshots(2))]
    arguments = {
        "shards": shards,
        "eigenvalues": torch.zeros(2),
        "coefficients": torch.eye(2),
        "origin": "held_out",
    } | change
    with pytest.raises(ValueError, match=message):
        certify(**arguments)
