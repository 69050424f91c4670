"""The API that all learners share, without a trainer."""

import pickle

import numpy as np
import pytest
import torch
from torch import nn

from datamodules.dynamics import CircleRotation, LinearSlowManifold, OrnsteinUhlenbeck
from zoo.koopman import EDMD, KernelEDMD, certify
from zoo.koopman.certificate import TrainingDataWarning
from zoo.koopman.dictionaries import ModuleDictionary
from zoo.koopman.factors import RankDeficiencyWarning
from zoo.koopman.tensor_bases import Monomials

SLOW, FAST = 0.9, 0.5


def slow_manifold(number, seed=0):
    x = 2 * torch.rand(number, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1
    return x, torch.stack([SLOW * x[:, 0], FAST * x[:, 1] + (SLOW**2 - FAST) * x[:, 0] ** 2], dim=1)


def trajectory(start, steps):
    states = [torch.tensor([start], dtype=torch.float64)]
    for _ in range(steps):
        x1, x2 = states[-1].T
        states.append(torch.stack([SLOW * x1, FAST * x2 + (SLOW**2 - FAST) * x1**2], dim=1))
    return torch.cat(states)


@pytest.mark.parametrize("statistic", ["tsqr", "gram"])
def test_exact_span_gives_exact_eigenpairs_modes_and_forecasts(statistic):
    x, y = slow_manifold(200)
    learner = EDMD.wrap(Monomials(2, 2), statistic=statistic, dt=0.1).fit(x, y)
    exact = torch.tensor([1.0, SLOW, SLOW**2, FAST], dtype=torch.complex128)
    gap = (learner.eigenvalues_[:, None] - exact).abs().amin(0)
    assert gap.max() < (1e-12 if statistic == "tsqr" else 1e-9)
    orbit = trajectory([0.7, -0.4], 20)
    torch.testing.assert_close(learner.predict(orbit[0], 20), orbit, rtol=0, atol=1e-9)
    assert learner.predict(orbit[:3], 5).shape == (3, 6, 2)
    phi = learner.eigenfunctions(orbit)
    by_modes = (learner.eigenvalues_ ** torch.arange(21)[:, None] * phi[0]) @ learner.modes_
    torch.testing.assert_close(by_modes.real, orbit, rtol=0, atol=1e-8)
    slow = (learner.eigenvalues_ - SLOW).abs().argmin()
    torch.testing.assert_close(phi[1:, slow], SLOW * phi[:-1, slow], rtol=0, atol=1e-9)
    assert learner.continuous_eigenvalues_[slow].real == pytest.approx(np.log(SLOW) / 0.1)
    assert learner.score(*slow_manifold(50, seed=1)) == pytest.approx(1)


def test_trajectories_and_pairs_are_the_same_data():
    orbits = [trajectory([0.7, -0.4], 12), trajectory([-0.9, 0.3], 30)]
    by_lists = EDMD("monomials", {"degree": 2}).fit(orbits, lag=2)
    by_pairs = EDMD("monomials", {"degree": 2}).fit(
        torch.cat([orbit[:-2] for orbit in orbits]).numpy(), torch.cat([orbit[2:] for orbit in orbits]).numpy()
    )
    assert torch.equal(by_lists.matrix, by_pairs.matrix)
    assert by_lists.hparams["target_names"] == ["x1", "x2"]


@pytest.mark.parametrize("statistic", ["tsqr", "gram"])
def test_parts_add_up_to_the_whole_also_after_loading(statistic):
    x, y = slow_manifold(300)
    whole = EDMD("chebyshev", {"degree": 4}, statistic=statistic).fit(x, y)
    parts = EDMD("chebyshev", {"degree": 4}, statistic=statistic).partial_fit(x[:120], y[:120])
    loaded = EDMD(**parts.hparams)
    loaded.load_state_dict(parts.state_dict())
    for learner in (parts, loaded):
        learner.partial_fit(x[120:], y[120:])
        torch.testing.assert_close(learner.matrix, whole.matrix, rtol=0, atol=1e-10)


def test_all_data_count_as_their_pairs_however_they_came():
    """Two systems x -> rate x, whose common eigenvalue is the mean of the rates by numbers of pairs."""
    x = torch.ones(100, 1).double() * torch.tensor([-1.0, 1.0]).repeat(50)[:, None]
    arguments = {"dictionary": "monomials", "dictionary_kwargs": {"degree": 1}, "target_names": ["x"]}
    for weights in (None, torch.full((100,), 7.0)):
        learner = EDMD(**arguments).fit(x, 0.9 * x, weights=weights).partial_fit(x[:50], 0.3 * x[:50])
        assert float((learner.eigenvalues_ - 0.7).abs().min()) < 1e-12
        other = EDMD(**arguments)
        other.load_state_dict(EDMD(**arguments).fit(x[:50], 0.3 * x[:50]).state_dict())
        other.partial_fit(x, 0.9 * x, weights=weights)
        assert float((other.eigenvalues_ - 0.7).abs().min()) < 1e-12
    thrice = EDMD(**arguments)
    for rate, number in ((0.9, 20), (0.3, 40), (0.6, 40)):
        thrice.partial_fit(x[:number], rate * x[:number])
    assert float((thrice.eigenvalues_ - 0.54).abs().min()) < 1e-12
    learner = EDMD(**arguments).fit(x, 0.9 * x)
    learner.load_state_dict(EDMD(**arguments).fit(x, 0.3 * x).state_dict())  # sums of before are not what is continued
    assert float((learner.partial_fit(x, 0.5 * x).eigenvalues_ - 0.4).abs().min()) < 1e-12


def test_what_is_judged_is_as_far_apart_as_what_was_learnt():
    orbits = [trajectory([0.7, -0.4], 30), trajectory([-0.6, 0.8], 30)]
    learner = EDMD("monomials", {"degree": 2}).fit(orbits, lag=3)
    assert learner.dt == 3.0
    assert float((learner.continuous_eigenvalues_.real - np.log(SLOW)).abs().min()) < 1e-10
    others = [trajectory([0.5, 0.1], 30), trajectory([-0.2, -0.9], 30)]
    found = certify(learner, others)
    assert found.residual[(found.eigenvalues - SLOW**3).abs().argmin()] < 1e-10
    assert learner.score(others) == pytest.approx(1)
    loaded = EDMD(**learner.hparams)
    loaded.load_state_dict(learner.state_dict())
    assert torch.equal(certify(loaded, others).residual, found.residual)


def test_kernels_drop_what_is_below_rounding():
    angles = torch.linspace(0, 6, 60, dtype=torch.float64)
    circle = torch.stack([angles.cos(), angles.sin()], 1)
    with pytest.warns(RankDeficiencyWarning, match="eigenvalues above rounding, fewer than functions=50"):
        learner = KernelEDMD("gaussian", functions=50, max_snapshots=60, cutoff=0.0).fit(circle[:-1], circle[1:])
    assert len(learner.eigenvalues_) < 50


def test_kernel_edmd_parts_add_up_too():
    x, y = slow_manifold(60)
    whole = KernelEDMD("polynomial", 2, functions=6, max_snapshots=60).fit(x, y)
    parts = KernelEDMD("polynomial", 2, functions=6, max_snapshots=60).partial_fit(x[:20], y[:20])
    loaded = KernelEDMD(**parts.hparams)
    loaded.load_state_dict(parts.state_dict())
    for learner in (parts, loaded):
        learner.partial_fit(x[20:], y[20:])
        torch.testing.assert_close(learner.coefficients.abs(), whole.coefficients.abs(), rtol=1e-6, atol=1e-6)
    with pytest.raises(ValueError, match="max_snapshots=60 is not allowed; give at least 61"):
        whole.partial_fit(x[:1], y[:1])


def test_rkhs_residuals_sort_the_pairs_of_a_kernel():
    learner = KernelEDMD("polynomial", 2, functions=6, max_snapshots=200).fit(*slow_manifold(200))
    assert (learner.rkhs_residuals_.diff() >= 0).all()
    held_out = learner.certify(*slow_manifold(200, seed=1))
    exact = (learner.eigenvalues_ - SLOW).abs().argmin()
    assert held_out.residual[exact] < 1e-6


def test_delays_of_one_coordinate_see_the_other():
    orbit = torch.cos(0.3 * torch.arange(60.0, dtype=torch.float64))
    learner = EDMD("delays", {"delays": 2}, delays=2).fit(orbit)
    torch.testing.assert_close(learner.eigenvalues_.angle().abs(), torch.full((2,), 0.3).double())
    forecast = learner.predict(orbit[:2], 50)
    torch.testing.assert_close(forecast[:, 0], orbit[1:52], rtol=0, atol=1e-10)
    assert learner.hparams["target_names"] == ["x1[t-1]", "x1[t]"]
    assert learner.target_names == ["x1[t]"]


def test_delays_of_complex_observables():
    angle = 0.7 * torch.arange(80.0, dtype=torch.float64)
    inner = {"name": "fourier", "degree": 1}
    learner = EDMD("delayed", {"inner": inner, "delays": 2}, delays=2)
    with pytest.warns(RankDeficiencyWarning, match="span only 3 dimensions"):  # e^(ix) at two times is one function
        learner.fit(angle)
    torch.testing.assert_close(learner.eigenvalues_.angle().sort().values, torch.tensor([-0.7, 0, 0.7]).double())
    assert learner.dictionary.names[:2] == ["e(0)(t)", "e(-1)(t)"]
    assert certify(learner, angle + 0.3).residual.max() < 1e-12


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_any_module_is_a_dictionary(precision):
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
    learner = EDMD.wrap(ModuleDictionary(network, dim=2, outputs=3), precision=precision).fit(*slow_manifold(100))
    assert learner.eigenfunctions(torch.zeros(4, 2)).shape == (4, 6)
    assert learner.not_exportable_because
    assert not any(parameter.requires_grad for parameter in learner.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert not [name for name in learner.state_dict() if "wrapped" in name]


def test_complex_observables_everywhere():
    datamodule = CircleRotation(num_train=101, num_test=400, quadrature="equispaced")
    datamodule.setup("fit")
    batch = datamodule.entries("train")
    learner = EDMD("fourier", {"degree": 3, "period": 1.0}, variant="measure_preserving", dt=2.0)
    learner.fit(batch["state"], batch["next_state"])
    exact = torch.polar(torch.ones(7).double(), 2 * torch.pi * datamodule.rotation * torch.arange(-3.0, 4).double())
    assert (learner.eigenvalues_[:, None] - exact).abs().amin(0).max() < 1e-13
    found = certify(learner, datamodule)
    assert found.residual.max() < 1e-13
    assert found.shards == 8
    assert learner.predict([0.25], 3).shape == (4, 1)


def test_certificates_of_held_out_data_and_of_training_data():
    x, y = slow_manifold(400)
    learner = EDMD("monomials", {"degree": 3}, assumption="modulus").fit(x, y)
    held_out = certify(learner, *slow_manifold(4000, seed=1))
    torch.testing.assert_close(held_out.residual**2, held_out.projected**2 + held_out.leak**2, rtol=1e-9, atol=1e-25)
    assert (held_out.lower <= held_out.residual).all()
    assert (held_out.residual <= held_out.upper).all()
    assert held_out.remaining["pseudospectrum"] == ("N",)
    assert held_out.rows()[0].keys() >= {
        "real",
        "imag",
        "residual",
        "projected",
        "leak",
        "lower",
        "upper",
        "arithmetic",
    }
    with pytest.raises(ValueError, match="399 of these 399 pairs are known from the training data"):
        certify(learner, x[1:], y[1:])
    loaded = EDMD(**learner.hparams)
    loaded.load_state_dict(learner.state_dict())
    with pytest.raises(ValueError, match="1 of these 5 pairs"):
        certify(loaded, torch.cat([x[:1], x[:4] / 3]), torch.cat([y[:1], y[:4]]))
    with pytest.warns(TrainingDataWarning):
        trained = certify(learner, x, y, origin="training")
    assert trained.lower.isnan().all()
    assert (trained.projected < 1e-12).all()  # on its own data an EDMD pair has nothing but the leak


@pytest.mark.parametrize("statistic", ["tsqr", "gram"])
def test_variance_residuals_of_a_stochastic_system(statistic):
    datamodule = OrnsteinUhlenbeck(num_train=20000, num_test=20000)
    datamodule.setup("fit")
    learner = EDMD("hermite", {"degree": 2}, variant="stochastic", statistic=statistic)
    train = datamodule.entries("train")
    learner.fit(train["state"], torch.stack([train["next_state"], train["second_next_state"]]))
    found = certify(learner, datamodule)
    for pair in datamodule.truth().pairs[:2]:
        nearest = (found.eigenvalues - pair.eigenvalue).abs().argmin()
        assert (found.eigenvalues[nearest] - pair.eigenvalue).abs() < 0.02
        assert float(found.residual[nearest]) == pytest.approx(pair.variance**0.5, abs=0.02)


def test_dependent_functions_are_reported_and_dropped():
    dictionary = Monomials(2, 2)
    x, y = slow_manifold(100)
    with pytest.warns(RankDeficiencyWarning, match="span only 3 dimensions"):
        learner = EDMD.wrap(dictionary).fit(torch.stack([x[:, 0]] * 2, 1), torch.stack([SLOW * x[:, 0]] * 2, 1))
    assert len(learner.eigenvalues_) == 3
    assert learner.certify(torch.stack([y[:, 0]] * 2, 1), torch.stack([SLOW * y[:, 0]] * 2, 1)).residual.max() < 1e-10


def test_float32_features_of_a_bad_dictionary_are_warned_of():
    x, y = slow_manifold(500)
    with pytest.warns(UserWarning, match="use an orthogonal or smaller dictionary, or float64"):
        EDMD("monomials", {"degree": 15}, precision="float32").fit(x, y)


def test_a_learner_is_pickled_and_rebuilt():
    learner = EDMD("radial", {"count": 5}).fit(*slow_manifold(50))
    twin = pickle.loads(pickle.dumps(learner))
    rebuilt = EDMD(**learner.hparams)
    rebuilt.load_state_dict(learner.state_dict())
    for other in (twin, rebuilt):
        assert torch.equal(other.predict([0.1, 0.2], 3), learner.predict([0.1, 0.2], 3))


def test_scikit_learn_clones_it():
    sklearn = pytest.importorskip("sklearn.base")
    learner = EDMD("monomials", {"degree": 2}, target_names=["a", "b"], dt=0.5).fit(*slow_manifold(50))
    clone = sklearn.clone(learner)
    assert clone.get_params() == learner.get_params()
    assert not clone.is_fitted


def test_what_comes_too_early_or_does_not_fit_is_refused():
    with pytest.raises(RuntimeError, match="call fit, or load a checkpoint"):
        EDMD().predict([0.0], 1)
    with pytest.raises(ValueError, match="target_names=None is not allowed"):
        EDMD().fit_batches([])
    learner = EDMD("monomials", {"degree": 2}).fit(*slow_manifold(50))
    with pytest.raises(ValueError, match=r"x.shape=\(3,\) is not allowed; give \(2,\)"):
        learner.predict([0.0, 1.0, 2.0], 1)
    with pytest.raises(ValueError, match="two successors of each state"):
        learner.certify(torch.rand(9, 2), torch.rand(2, 9, 2))
    with pytest.raises(ValueError, match="states of 2"):
        learner.score(torch.rand(9, 3))
    with pytest.raises(ValueError, match="entries state, next_state, second_next_state"):
        EDMD("monomials", {"degree": 1}, variant="stochastic").fit(torch.rand(9, 1))
    with pytest.raises(ValueError, match=r"dictionary\.dim=1 is not allowed; give 2"):
        EDMD.wrap(Monomials(1, 2)).fit(torch.rand(9, 2))


def test_a_datamodule_of_other_coordinates_is_refused(tmp_path):
    from trainers import build_trainer

    trainer = build_trainer(preset="cpu", logger=None, output=tmp_path, max_epochs=1)
    with pytest.raises(ValueError, match=r"target_names=\['a', 'b'\]"):
        trainer.fit(EDMD(target_names=["a", "b"], dictionary_kwargs={"degree": 1}), LinearSlowManifold(num_train=20))


def test_a_test_lists_pairs_and_draws_them(tmp_path):
    from trainers import build_trainer

    trainer = build_trainer(
        preset="cpu", logger=None, output=tmp_path, max_epochs=1, enable_progress_bar=False, enable_model_summary=False
    )
    datamodule = CircleRotation(num_train=64, num_val=16, num_test=64, quadrature="equispaced", batch_size=16)
    arguments = {"variant": "measure_preserving", "assumption": "measure_preserving"}
    learner = EDMD("fourier", {"degree": 2, "period": 1.0}, **arguments)
    trainer.fit(learner, datamodule)
    (metrics,) = trainer.test(learner, datamodule, verbose=False)
    assert {metric for metric in metrics if metric.startswith("test/pair 01/")} == {
        f"test/pair 01/{name}" for name in ("real", "imag", "residual", "lower", "upper", "projected", "leak")
    }
    assert len({metric.split("/")[1] for metric in metrics if "pair" in metric}) == 5
    assert metrics["test/largest_residual"] < 1e-12
    drawn = {path.name for path in (tmp_path / "figures").glob("*.png")}
    assert drawn == {"test_spectrum.png", "test_measure_x.png"}
    assert learner.unitary().eigenvalues.abs().sub(1).abs().max() < 1e-13
    with pytest.raises(ValueError, match="variant='edmd' is not allowed"):
        EDMD("monomials", {"degree": 1}).fit(torch.rand(9, 1)).unitary()
