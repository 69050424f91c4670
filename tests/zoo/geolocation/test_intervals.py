import math

import pytest
import torch

from zoo.geolocation.intervals import dkw_halfwidth, paired_bootstrap, wilson


def test_dkw():
    assert dkw_halfwidth(200, 0.05) == pytest.approx(math.sqrt(math.log(40) / 400))


def test_wilson_against_published_values():
    low, value, high = wilson(8, 10)
    assert (round(low, 4), value, round(high, 4)) == (0.4902, 0.8, 0.9433)
    assert wilson(0, 10).low == pytest.approx(0.0, abs=1e-12)


def test_wilson_solves_the_score_equation():
    z = 1.959963984540054
    for bound in (wilson(13, 40).low, wilson(13, 40).high):
        assert (13 / 40 - bound) ** 2 == pytest.approx(z * z * bound * (1 - bound) / 40, rel=1e-9)


def test_bootstrap_of_a_difference():
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(400, dtype=torch.float64, generator=generator)
    interval = paired_bootstrap(one + 1, one, lambda areas: areas.mean(-1))
    assert interval.low == pytest.approx(1, abs=1e-9)  # paired: what both share cancels
    other = torch.randn(400, dtype=torch.float64, generator=generator)
    low, value, high = paired_bootstrap(one, other, lambda areas: areas.mean(-1))
    assert low < value < high
    half = 1.96 * float((one - other).std()) / math.sqrt(400)
    assert (high - low) / 2 == pytest.approx(half, rel=0.15)


def test_refused():
    with pytest.raises(ValueError, match="number"):
        dkw_halfwidth(0)
    with pytest.raises(ValueError, match="delta"):
        dkw_halfwidth(10, 1.0)
    with pytest.raises(ValueError, match="found"):
        wilson(11, 10)
    with pytest.raises(ValueError, match=r"other\.shape"):
        paired_bootstrap(torch.ones(3), torch.ones(4), lambda areas: areas.mean(-1))
