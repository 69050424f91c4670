import pytest
import torch

from tests.zoo.gaunt.features import TIGHT, error, features, inversion, rotation, wigner
from zoo.gaunt.self_mix import GauntSelfMix


def test_is_the_identity_at_first_and_equivariant_always():
    layer, x, matrix = GauntSelfMix(3, 4, rank=2).double(), features(3, 4), rotation()
    assert torch.equal(layer(x), x)
    torch.nn.init.normal_(layer.linear.weight)
    assert error(layer(x), x) > 0.1
    assert error(layer(x @ wigner(3, matrix).T), layer(x) @ wigner(3, matrix).T) < TIGHT
    assert error(layer(x * inversion(3)), layer(x) * inversion(3)) < TIGHT


def test_mixes_degrees():
    layer, x = GauntSelfMix(2, 4).double(), features(2, 4)
    torch.nn.init.normal_(layer.linear.weight)
    x[..., 4:] = 0  # nothing of degree 2 goes in
    assert layer(x)[..., 4:].abs().max() > 1e-3


@pytest.mark.parametrize("change", [{"lmax": -1}, {"channels": 0}, {"rank": 0}])
def test_bad_arguments_are_named(change):
    with pytest.raises(ValueError, match=next(iter(change))):
        GauntSelfMix(**{"lmax": 2, "channels": 4, **change})
