"""Learned dictionaries and the autoencoder without a trainer."""

import math
import pickle
from typing import get_args

import pytest
import torch

from tests.zoo.koopman.systems import duffing, slow_manifold
from zoo.koopman.autoencoder_module import KoopmanAutoencoder
from zoo.koopman.dictionary_module import DeepDictionary, LossName
from zoo.koopman.estimator import batches_of
from zoo.koopman.losses import forecast_error
from zoo.koopman.network_dictionary import NetworkDictionary
from zoo.koopman.verification import certify

SMALL = {"outputs": 5, "width": 16, "depth": 2}


def learner(**arguments):
    torch.manual_seed(0)
    return DeepDictionary(**{"network_kwargs": SMALL, "lr": 3e-3, **arguments})


def median_residual(found, seed=1):
    return float(certify(found, *duffing(200, steps=2, seed=seed)).residual.median())


@pytest.fixture(scope="module")
def untrained():
    found = learner()
    data = found._read(*duffing(200, steps=2), 1, None)
    found.adapt(data.x)
    found.train_on(data)
    return found


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_whitened_residual_makes_held_out_residuals_smaller(untrained, precision):
    found = learner().to(getattr(torch, precision)).fit(*duffing(200, steps=2), epochs=150)
    assert median_residual(found) < 0.6 * median_residual(untrained)
    # Judged in float64 whatever the weights: an eigenpair of the training data has no projected part there.
    held_out = certify(found, *duffing(200, steps=2, seed=1))
    assert held_out.trustworthy
    assert found.dictionary(duffing(3)[0]).dtype == torch.float64


@pytest.mark.parametrize("loss", get_args(LossName))
def test_every_loss_is_made_smaller(loss):
    found = learner(loss=loss)
    x, y = duffing(100, steps=2)
    before = found.fit(x, y, epochs=1)
    (batch,) = batches_of(before._read(x, y, 1, None))
    start = before.loss(batch).item()
    trained = found.fit(x, y, epochs=100)
    assert trained.loss(batch).item() < start
    assert int(trained.rank) == 8


def test_penalties_enter_the_loss():
    x, y = duffing(100, steps=2)
    plain, penalised = learner(), learner(condition_penalty=0.1)
    for found in (plain, penalised):
        found.fit(x, y, epochs=1)
        found.load_state_dict(plain.state_dict())
    (batch,) = batches_of(plain._read(x, y, 1, None))
    condition = torch.linalg.cond(plain.dictionary(batch["state"])).log() / 10
    assert penalised.loss(batch).item() == pytest.approx((plain.loss(batch) + condition).item(), rel=1e-5)


def test_forecasts_several_lags_ahead_enter_the_loss():
    """The term is the error of the forecasts of the learner itself, whose matrix is that of the batch."""
    x, _ = slow_manifold(60)
    found = learner(forecast_weight=2.0, forecast_steps=3).double()
    orbits = [x]
    for _ in range(4):
        orbits.append(step(orbits[-1]))
    trajectories = [torch.stack(states) for states in zip(*orbits, strict=True)]
    found.fit(trajectories, epochs=1)
    data = found._read(trajectories, None, 1, None)
    found._follow(data.x, data.y)
    batch = {"state": data.x, "next_state": data.y, "weight": data.weights, "index": torch.arange(len(data))}
    total = found.loss(batch).item()
    found.hparams["forecast_weight"] = 0.0
    term = (total - found.loss(batch).item()) / 2
    deviation = data.x.std(0, correction=0)
    truth, known = found._futures.after(batch["index"], 3)
    psi = found.dictionary(data.x)
    error = forecast_error(
        psi, truth / deviation, found.matrix, torch.eye(8).double()[:, 1:3] / deviation, known.double()
    )
    assert term == pytest.approx(error.item(), rel=1e-6)
    assert not known.all()


def test_precision_asked_for_before_the_coordinates_are_known_is_kept():
    found = learner().double().fit(*duffing(20, steps=1), epochs=1)
    assert {parameter.dtype for parameter in found.dictionary.parameters()} == {torch.float64}


def test_a_loss_that_is_not_finite_says_what_to_do():
    found = learner(lr=1e30)
    with pytest.raises((RuntimeError, ValueError), match=r"lower lr|NaN"):
        found.fit(*duffing(50, steps=1), epochs=5)


def step(x):
    return torch.stack([0.9 * x[:, 0], 0.5 * x[:, 1] + (0.81 - 0.5) * 0.7 * x[:, 0] ** 2], dim=1)


def test_units_of_the_states_do_not_matter():
    x, y = duffing(100, steps=2)
    unit = torch.tensor([1e4, 1e-3], dtype=torch.float64)
    found = [learner().double().fit(*(unit**power * z + 3 * power for z in (x, y)), epochs=5) for power in (0, 1)]
    torch.testing.assert_close(found[0].eigenvalues_, found[1].eigenvalues_, rtol=1e-4, atol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_loading_goes_on():
    x, y = duffing(100, steps=2)
    first, second = (learner().fit(x, y, epochs=3, batch_size=64) for _ in range(2))
    assert torch.equal(first.eigenvalues_, second.eigenvalues_)
    loaded = DeepDictionary(**first.hparams)
    loaded.load_state_dict(first.state_dict())
    assert torch.equal(loaded.predict(x[:3], 4), first.predict(x[:3], 4))
    assert pickle.loads(pickle.dumps(first)).hparams == first.hparams
    more = [one.partial_fit(*duffing(50, seed=3)) for one in (first, loaded)]
    assert torch.equal(more[0].eigenvalues_, more[1].eigenvalues_)


def test_first_partial_fit_trains():
    x, y = duffing(50, steps=1)
    found = learner()
    found.fit = lambda *arguments: "trained"
    assert found.partial_fit(x, y) == "trained"


def test_coordinates_that_do_not_vary_keep_their_unit():
    dictionary = NetworkDictionary(torch.nn.Linear(2, 1).double(), 2, 1)
    dictionary.adapt(torch.tensor([[1.0, 5.0], [3.0, 5.0]], dtype=torch.float64))
    assert torch.equal(dictionary.standardization.deviation, torch.ones(2).double())
    assert torch.equal(dictionary.standardization.mean, torch.tensor([2.0, 5.0]).double())


def test_what_is_missing_is_named():
    x, y = duffing(20, steps=1)
    with pytest.raises(RuntimeError, match="'edmd_dl' needs eigenpairs"):
        learner(loss="edmd_dl", target_names=["a", "b"]).loss({"state": x, "next_state": y})
    with pytest.raises(RuntimeError, match="several lags ahead"):
        learner(forecast_weight=1.0, target_names=["a", "b"]).loss({"state": x, "next_state": y})
    with pytest.raises(ValueError, match="steps ahead=10 is not allowed; give at most 1"):
        learner(forecast_weight=1.0).fit(x, y)
    with pytest.raises(ValueError, match="epochs"):
        learner().fit(x, y, epochs=0)
    with pytest.raises(ValueError, match="batch_size"):
        learner().fit(x, y, batch_size=0)
    with pytest.raises(ValueError, match=r"network_kwargs\.dim"):
        DeepDictionary(network_kwargs={"dim": 2})


def oscillation(number=20, length=12, decay=-0.3, frequency=2.0, dt=0.1, seed=0):
    z = torch.randn(number, 1, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))
    z = z * torch.exp(complex(decay, frequency) * dt * torch.arange(length, dtype=torch.float64))
    return list(torch.view_as_real(z))


def test_autoencoder_learns_the_rates_of_an_oscillation():
    """Its own rates and the eigenvalues of EDMD with its coordinates agree with the truth, and forecasts follow."""
    torch.manual_seed(1)
    found = KoopmanAutoencoder(
        network_kwargs={"pairs": 1, "widths": [32], "auxiliary_widths": [8]},
        prediction_steps=8,
        linearity_steps=10,
        state_weight=1.0,
        lr=1e-2,
        dt=0.1,
    )
    trajectories = oscillation()
    before = found.fit(trajectories, epochs=1).score(torch.cat(oscillation(seed=1)))
    found.fit(trajectories, epochs=100, batch_size=100)
    held_out = oscillation(seed=1)
    assert found.score(held_out) > 0.98 > before
    rates = found.rates(torch.cat(held_out))
    assert rates.shape == (240, 1)
    assert rates.real.median().item() == pytest.approx(-0.3, abs=0.2)
    assert rates.imag.abs().median().item() == pytest.approx(2.0, abs=0.2)
    continuous = found.continuous_eigenvalues_
    assert (continuous - complex(-0.3, 2.0)).abs().min() < 0.2
    forecast = found.predict(held_out[0][0], 8)
    assert (forecast - held_out[0][:9]).abs().max() < 0.2 * held_out[0].abs().max()
    assert found.eigenfunctions(held_out[0]).shape == (12, 3)
    assert certify(found, held_out).residual.min() < 1e-6  # the constant


def test_trajectories_must_be_as_long_as_the_loss_looks():
    with pytest.raises(ValueError, match="steps ahead=50 is not allowed; give at most 11"):
        KoopmanAutoencoder().fit(oscillation())


def test_delays_forecast_the_newest_snapshot():
    orbit = torch.cos(0.3 * torch.arange(80, dtype=torch.float64))
    found = learner(delays=2, forecast_weight=1.0, forecast_steps=4).double().fit(orbit, epochs=5)
    assert found.target_names == ["x1[t]"]
    assert (found.eigenvalues_ - complex(math.cos(0.3), math.sin(0.3))).abs().min() < 1e-9
    torch.testing.assert_close(found.predict(orbit[:2], 3)[:, 0], orbit[1:5], rtol=0, atol=1e-6)
    data = found._read(orbit, None, 1, None)
    found._follow(data.x, data.y)
    batch = {"state": data.x, "next_state": data.y, "index": torch.arange(len(data))}
    total = found.loss(batch).item()
    found.hparams["forecast_weight"] = 0.0
    # The states are in the dictionary, whose linear part is invariant: forecasts are exact, whatever the network.
    assert total == pytest.approx(found.loss(batch).item(), abs=1e-12)
