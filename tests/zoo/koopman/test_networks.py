import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.koopman.dictionaries import ModuleDictionary
from zoo.koopman.networks import TanhNetwork

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


@pytest.mark.parametrize("layers", ["residual", "plain"])
def test_layers_one_by_one(layers):
    torch.manual_seed(0)
    network = TanhNetwork(2, outputs=4, width=5, depth=3, layers=layers).double()
    x = torch.randn(6, 2, dtype=torch.float64)
    h = x @ network.first.weight.T
    for layer in network.hidden:
        image = torch.tanh(h @ layer.weight.T + layer.bias)
        h = image + h if layers == "residual" else image
    torch.testing.assert_close(network(x), h @ network.last.weight.T + network.last.bias, **EXACT)
    assert network.first.bias is None
    assert len(network.hidden) == 3


def test_defaults_are_those_of_the_duffing_oscillator():
    network = TanhNetwork(2)
    shapes = [tuple(parameter.shape) for parameter in network.parameters() if parameter.ndim == 2]
    assert shapes == [(100, 2), (100, 100), (100, 100), (100, 100), (22, 100)]
    assert ModuleDictionary(network, 2, network.outputs).size == 25


def test_dictionary_begins_with_one_and_the_state():
    network = TanhNetwork(2, outputs=3, width=4).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    psi = ModuleDictionary(network, 2, 3)(x)
    torch.testing.assert_close(psi, torch.cat([torch.ones(5, 1), x, network(x)], dim=1), **EXACT)


@pytest.mark.parametrize(
    ("name", "value"), [("dim", 0), ("outputs", 0), ("width", -1), ("depth", 0), ("layers", "relu")]
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        TanhNetwork(**{"dim": 2, name: value})
