import math
from fractions import Fraction

import numpy as np
import pytest

from datamodules.dynamics import AnzaiTorus
from trainers.adversaries import torus


def test_denominators_are_those_of_best_approximations():
    rotation, denominators = torus.resonant_rotation(2)
    assert denominators[0] == torus.FIRST_DENOMINATOR
    for j, denominator in enumerate(denominators, start=1):
        distance = denominator * rotation % 1
        distance = min(distance, 1 - distance)
        # |h_q| = f_q / (2 pi distance) is about j.
        logarithm = math.log(distance.numerator) - math.log(distance.denominator)
        value = math.exp(torus.log_coefficient(denominator) - logarithm - math.log(2 * math.pi))
        assert value == pytest.approx(j, rel=0.02)


def test_norms_are_those_of_the_system():
    rotation = torus.resonant_rotation(1)[0]
    for nu in (rotation, torus.golden_rotation()):
        expected = [
            AnzaiTorus(float(nu), amplitude=torus.AMPLITUDE, decay=torus.DECAY, harmonics=n).coboundary_norm()
            for n in (1, 5, 9)
        ]
        assert torus.coboundary_norms(nu, [1, 5, 9]) == pytest.approx(expected, rel=1e-9)


def test_norms_settle_for_the_golden_mean_and_jump_at_every_denominator():
    golden = torus.coboundary_norms(torus.golden_rotation(), [20, 200])
    assert golden[1] == pytest.approx(golden[0], rel=1e-4)
    rotation, denominators = torus.resonant_rotation(2)
    before, at, after = torus.coboundary_norms(rotation, [denominators[1] - 1, denominators[1], denominators[1] + 50])
    assert before == pytest.approx(math.sqrt(2), rel=0.02)
    assert at == pytest.approx(math.sqrt(2 * (1 + 4)), rel=0.02)
    assert after == pytest.approx(at, rel=1e-6)


def test_golden_rotation_has_the_digits():
    nu = torus.golden_rotation()
    assert float(nu) == pytest.approx((math.sqrt(5) - 1) / 2)
    assert abs(nu * nu + nu - 1) < Fraction(1, 10**55)


@pytest.mark.parametrize("options", [{"harmonics": 3}, {"winding": 1, "harmonics": 0}])
def test_observations_follow_the_orbit(options):
    system = AnzaiTorus(**options)
    state, expected = np.array([[0.1, 0.2]]), []
    for _ in range(40):
        expected.append(np.exp(2j * np.pi * state[0, 1]))
        state = system.step(state)
    assert np.allclose(torus.observe(system, 40), expected, atol=1e-12)


def test_limits_of_rage_do_not_commute_where_the_spectrum_is_continuous():
    system = AnzaiTorus(winding=1, harmonics=0)
    first = torus.study_rage(system, "L", {"n": [1, 4], "L": [16, 256, 1024]})
    for (horizon, delays), stage in first.stages.items():
        exact = min(1, delays / (horizon + 1))
        assert float(stage.points.real) == pytest.approx(exact, abs=3 * delays / torus.SAMPLES + 0.01)
    second = torus.study_rage(system, "n", {"n": [1, 4, 16], "L": [2, 8]})
    assert [name for name, _ in second.limits] == ["n", "L"]
    assert float(second.stages[16, 8].points.real) == pytest.approx(1, abs=1e-4)  # but for the mean


def test_limits_of_rage_commute_for_a_coboundary():
    system = AnzaiTorus(harmonics=1, amplitude=0.05)
    for inner in ("L", "n"):
        study = torus.study_rage(system, inner, {"n": [8, 16], "L": [64, 128]})
        assert study.verdict(0.01).converged
        assert float(next(reversed(study.stages.values())).points.real) > 0.99


def test_report():
    report = torus.demonstrate(most=8100)
    text = "\n".join(report.lines)
    assert "identical bit by bit: yes" in text
    assert report.figures.keys() == {"coboundaries", "rage"}
