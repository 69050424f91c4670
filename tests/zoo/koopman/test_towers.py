import numpy as np
import pytest
import torch

from tests.zoo.koopman.systems import fourier_map, rotation
from zoo.koopman.factors import factorize_snapshots
from zoo.koopman.pseudospectrum import grid
from zoo.koopman.spectrum import spectrum
from zoo.koopman.towers import Stage, TowerStudy, excess, hausdorff


def rotation_study(modulus=False):
    """Return a study of the spectrum of a rotation by M snapshots and N functions."""
    points = grid((-1.2, 1.2), (-1.2, 1.2), 0.1)

    def algorithm(M, N):
        psi_x, psi_y, _ = rotation(0.1234, int(N), int(M))
        found = spectrum(factorize_snapshots(psi_x, psi_y), points, measure_preserving=True)
        return Stage(found.points, found.error)

    return TowerStudy([("M", [16, 32, 64]), ("N", [1, 2, 3])], modulus=modulus).run(algorithm)


def test_all_stages_are_kept_and_run_once_innermost_first():
    calls = []

    def algorithm(M, N):
        calls.append((M, N))
        return torch.tensor([float(N)])

    study = TowerStudy([("M", [1, 2]), ("N", [10, 20])]).run(algorithm)
    assert calls == [(1, 10), (2, 10), (1, 20), (2, 20)]
    assert set(study.stages) == set(calls)
    study.run(algorithm)
    assert len(calls) == 4


def test_the_tower_of_a_rotation():
    study = rotation_study()
    assert max(study.changes("M")) < 0.11  # exact quadrature: equal residuals, and rounding chooses among them
    assert max(study.errors("N")) < 0.12
    assert min(study.changes("N")) > 0.2  # new functions show new spectrum
    verdict = study.verdict(0.11)
    assert not verdict.converged
    assert "limit of N still changes" in verdict.reason


def test_settled_towers_say_in_which_order():
    study = TowerStudy([("M", [1, 2, 4]), ("N", [1, 2, 4])])
    study.run(lambda M, N: torch.tensor([1 / N + 2.0**-M]))
    assert not study.verdict(0.1).converged
    verdict = study.verdict(0.3)
    assert verdict.converged
    assert "in the order M, then N" in verdict.reason
    assert verdict.changes["N"] == pytest.approx([0.5, 0.25])


def test_an_inner_limit_must_settle_at_every_outer_value():
    study = TowerStudy([("M", [1, 2]), ("N", [1, 2])])
    study.run(lambda M, N: torch.tensor([float(M) if N == 1 else 0.0]))
    verdict = study.verdict(0.5)
    assert not verdict.converged
    assert "N=1" in verdict.reason


def test_one_value_says_nothing():
    study = TowerStudy([("M", [1]), ("N", [1, 2])]).run(lambda M, N: torch.zeros(1))
    verdict = study.verdict(1.0)
    assert not verdict.converged
    assert "M has one value" in verdict.reason


def test_diagonal_paths_are_refused_unless_a_modulus_is_known():
    path = [{"M": 16, "N": 1}, {"M": 32, "N": 2}, {"M": 64, "N": 3}]
    with pytest.raises(ValueError, match="M and N change together"):
        rotation_study().path_verdict(path, 10.0)
    declared = rotation_study(modulus=True).path_verdict(path, 10.0)
    assert declared.converged
    straight = [{"M": m, "N": 3} for m in (16, 32, 64)]
    assert rotation_study().path_verdict(straight, 0.11).converged


def test_a_modulus_does_not_replace_other_limits():
    study = TowerStudy([("M", [1, 2]), ("N", [1, 2]), ("eps", [1, 2])], modulus=True)
    study.run(lambda M, N, eps: torch.zeros(1))
    with pytest.raises(ValueError, match="N and eps change together"):
        study.path_verdict([{"M": 1, "N": 1, "eps": 1}, {"M": 1, "N": 2, "eps": 2}], 1.0)


def test_limits_do_not_commute_for_the_cat_map():
    # Powers: n steps of the compression of size N. First N, then n: all of ||K^n g|| stays; first n, then N: none.
    def remaining(size, steps):
        factors = factorize_snapshots(*fourier_map(lambda x, y: (2 * x + y, x + y), size, 24))
        function = torch.zeros(factors.size, dtype=torch.complex128)
        function[factors.size // 2 + 1] = 1  # e(0, 1)
        vector = factors.coordinates @ function
        for _ in range(steps):
            vector = factors.compression @ vector
        return float(torch.linalg.vector_norm(vector))

    assert remaining(2, 2) == pytest.approx(0, abs=1e-12)
    assert remaining(1, 1) == pytest.approx(1, abs=1e-12)
    assert remaining(3, 2) == pytest.approx(1, abs=1e-12)
    assert remaining(3, 6) == pytest.approx(0, abs=1e-12)


def test_growing_and_shrinking_sets():
    def algorithm(n):
        return torch.arange(n).double()

    growing = TowerStudy([("n", [1, 2, 3])]).run(algorithm)
    assert growing.approach("n") == "inside"
    shrinking = TowerStudy([("n", [3, 2, 1])]).run(algorithm)
    assert shrinking.approach("n") == "outside"
    moving = TowerStudy([("n", [1, 2])]).run(lambda n: torch.tensor([float(n)]))
    assert moving.approach("n") == "neither"


def test_distances_of_sets():
    circle = torch.exp(2j * np.pi * torch.arange(1000).double() / 1000)
    one = torch.ones(1, dtype=torch.complex128)
    assert hausdorff(circle, one) == pytest.approx(2)
    assert excess(one, circle) == pytest.approx(0, abs=1e-12)
    empty = torch.zeros(0, dtype=torch.complex128)
    assert hausdorff(empty, empty) == 0
    assert hausdorff(empty, one) == float("inf")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TowerStudy([]), "limits="),
        (lambda: TowerStudy([("M", [1]), ("M", [2])]), "limits="),
        (lambda: TowerStudy([("M", [])]), "M="),
        (lambda: rotation_study().changes("K"), "name='K'"),
        (lambda: rotation_study().changes("M", {"N": 9}), "outer="),
        (lambda: rotation_study().path_verdict([{"M": 16, "N": 1}], 1.0), "path="),
        (lambda: rotation_study().path_verdict([{"M": 16, "N": 1}, {"M": 17, "N": 1}], 1.0), "stages of the study"),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
