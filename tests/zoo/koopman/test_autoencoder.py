import math

import pytest
import torch

from tests.tolerances import LINEAR_ALGEBRA, tolerance
from zoo.koopman.autoencoder import LuschAutoencoder, ReluNetwork
from zoo.koopman.autoencoder_loss import autoencoder_errors, squared_weights

EXACT = tolerance(torch.float64, LINEAR_ALGEBRA)


def autoencoder(**changes):
    torch.manual_seed(0)
    arguments = {"dim": 2, "pairs": 1, "real": 1, "widths": (7, 5), "auxiliary_widths": (4,), "dt": 0.3, **changes}
    network = LuschAutoencoder(**arguments).double()
    for parameter in network.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return network


def trajectories(number=6, length=5):
    return torch.randn(number, length, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_pairs_turn_and_single_coordinates_grow_as_complex_numbers_do():
    network = autoencoder(pairs=2, real=2)
    y = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    pairs, real = network.rates(y)
    z = torch.view_as_complex(y[:, :4].unflatten(1, (2, 2)).contiguous())
    z = z * torch.exp(0.3 * torch.complex(pairs[..., 1], pairs[..., 0]))
    expected = torch.cat([torch.view_as_real(z).flatten(1), y[:, 4:] * torch.exp(0.3 * real)], dim=1)
    torch.testing.assert_close(network.advance(y), expected, **EXACT)


def test_rates_depend_on_the_radius_of_their_own_pair_alone():
    network = autoencoder(pairs=2, real=1)
    y = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    pairs, real = network.rates(y)
    turned = y.clone()
    turned[:, 0], turned[:, 1] = 0.6 * y[:, 0] - 0.8 * y[:, 1], 0.8 * y[:, 0] + 0.6 * y[:, 1]
    torch.testing.assert_close(network.rates(turned)[0], pairs, **EXACT)
    larger = y.clone()
    larger[:, 0] *= 2
    changed_pairs, changed_real = network.rates(larger)
    assert not torch.allclose(changed_pairs[:, 0], pairs[:, 0])
    assert torch.equal(changed_pairs[:, 1], pairs[:, 1])
    assert torch.equal(changed_real, real)
    # Single coordinates by their value, not by its square.
    opposite = y.clone()
    opposite[:, 4] *= -1
    assert not torch.allclose(network.rates(opposite)[1], real)


def test_steps_of_constant_rates_are_powers():
    network = autoencoder(pairs=1, real=1)
    with torch.no_grad():
        for rates, values in ((network.pair_rates[0], [2.0, -0.5]), (network.real_rates[0], [-1.0])):
            rates[-1].weight.zero_()
            rates[-1].bias.copy_(torch.tensor(values))
    y = torch.tensor([[1.0, 0.0, 2.0]], dtype=torch.float64)
    found = network.advanced(y, 4)[0]
    angle, decay = 4 * 0.3 * 2.0, math.exp(-0.5 * 4 * 0.3)
    expected = [decay * math.cos(angle), decay * math.sin(angle), 2 * math.exp(-4 * 0.3)]
    torch.testing.assert_close(found[-1], torch.tensor(expected, dtype=torch.float64), **EXACT)
    assert found.shape == (5, 3)


@pytest.mark.parametrize(("pairs", "real"), [(1, 0), (0, 2), (2, 1)])
def test_shapes(pairs, real):
    network = autoencoder(pairs=pairs, real=real)
    x = trajectories()[:, 0]
    assert network(x).shape == (6, 2 * pairs + real)
    assert network.forecast(x, 3).shape == (6, 4, 2)
    torch.testing.assert_close(network.forecast(x, 0)[:, 0], network.decoder(network(x)), **EXACT)


def test_initial_weights():
    torch.manual_seed(0)
    network = ReluNetwork([100, 400, 3])
    for layer, fan_in in ((network[0], 100), (network[2], 400)):
        assert not layer.bias.any()
        assert 0.95 * fan_in**-0.5 < layer.weight.abs().max() <= fan_in**-0.5
    assert isinstance(network[-1], torch.nn.Linear)


def test_errors_by_loops():
    network, states = autoencoder(), trajectories()
    weights = torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 3.0], dtype=torch.float64)
    errors = autoencoder_errors(network, states, 3, weights)
    reconstruction = prediction = linearity = 0.0
    largest = [0.0, 0.0]
    for trajectory, weight in zip(states, weights / weights.sum(), strict=True):
        y = network.encoder(trajectory[:1])
        reconstructed = network.decoder(y)[0] - trajectory[0]
        reconstruction += weight * (reconstructed**2).mean()
        largest[0] = max(largest[0], reconstructed.abs().max().item())
        for k in range(1, 5):
            y = network.advance(y)
            linearity += weight * ((y[0] - network.encoder(trajectory[k : k + 1])[0]) ** 2).mean() / 4
            error = network.decoder(y)[0] - trajectory[k]
            if k <= 3:
                prediction += weight * (error**2).mean() / 3
            if k == 1:
                largest[1] = max(largest[1], error.abs().max().item())
    torch.testing.assert_close(errors.reconstruction, reconstruction, **EXACT)
    torch.testing.assert_close(errors.prediction, prediction, **EXACT)
    torch.testing.assert_close(errors.linearity, linearity, **EXACT)
    assert errors.largest.item() == pytest.approx(sum(largest), rel=1e-12)
    total = 0.1 * (reconstruction + prediction) + linearity + 1e-2 * sum(largest)
    torch.testing.assert_close(errors.total(0.1, 1e-2), total, **EXACT)


def test_unknown_states_do_not_count():
    network, states = autoencoder(), trajectories()
    weights = torch.ones(6, 5, dtype=torch.float64)
    weights[4:] = 0
    spoilt = states.clone()
    spoilt[4:] = torch.nan
    found, expected = autoencoder_errors(network, spoilt, 2, weights), autoencoder_errors(network, states[:4], 2)
    for name in ("reconstruction", "prediction", "linearity", "largest"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), **EXACT)
    weights[0, 3:] = 0
    changed = states.clone()
    changed[0, 3:] = torch.nan
    assert torch.equal(
        autoencoder_errors(network, changed, 2, weights).total(1, 1),
        autoencoder_errors(network, states, 2, weights).total(1, 1),
    )


def test_a_linear_system_has_no_error_with_the_right_networks():
    """The identity as x = relu(x) - relu(-x), and the rates of the system: all terms vanish; with other rates not."""
    network = LuschAutoencoder(2, pairs=1, widths=(4,), auxiliary_widths=(1,), dt=0.1).double()
    both = torch.cat([torch.eye(2), -torch.eye(2)])
    with torch.no_grad():
        for coder in (network.encoder, network.decoder):
            coder[0].weight.copy_(both)
            coder[2].weight.copy_(both.T)
        rates = network.pair_rates[0][-1]
        rates.weight.zero_()
        rates.bias.copy_(torch.tensor([1.5, -0.2], dtype=torch.float64))
        z = torch.randn(5, 1, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
        z = z * torch.exp((-0.2 + 1.5j) * 0.1 * torch.arange(6, dtype=torch.float64))
        errors = autoencoder_errors(network, torch.view_as_real(z), 5)
        assert errors.total(1.0, 1.0).item() < 1e-14
        rates.bias[0] = -1.5  # the other way round
        wrong = autoencoder_errors(network, torch.view_as_real(z), 5)
    assert wrong.reconstruction.item() < 1e-30
    assert min(wrong.prediction, wrong.linearity) > 1e-2


def test_squared_weights_leave_biases_out():
    network = autoencoder()
    expected = sum((p**2).sum() for p in network.parameters() if p.ndim == 2)
    torch.testing.assert_close(squared_weights(network), expected, **EXACT)


def test_gradients():
    network, states = autoencoder(widths=(3,), auxiliary_widths=(2,)), trajectories(3, 3)
    names, values = zip(*network.named_parameters(), strict=True)

    def total(*parameters):
        class Patched(torch.nn.Module):
            def forward(self, _):
                return autoencoder_errors(network, states, 2).total(0.5, 0.1)

        wrapped = Patched()
        wrapped.network = network
        given = {f"network.{name}": value for name, value in zip(names, parameters, strict=True)}
        return torch.func.functional_call(wrapped, given, (None,))

    assert torch.autograd.gradcheck(total, values)


@pytest.mark.parametrize(
    ("name", "value"),
    [("dim", 0), ("pairs", -1), ("real", 0.5), ("widths", (0,)), ("auxiliary_widths", (2.0,)), ("dt", 0.0)],
)
def test_bad_arguments_are_named(name, value):
    with pytest.raises(ValueError, match=name):
        autoencoder(**{name: value})


def test_bad_data_are_named():
    network = autoencoder()
    with pytest.raises(ValueError, match="pairs"):
        autoencoder(pairs=0, real=0)
    with pytest.raises(ValueError, match="states"):
        autoencoder_errors(network, trajectories()[:, :1], 1)
    with pytest.raises(ValueError, match="prediction_steps"):
        autoencoder_errors(network, trajectories(), 5)
