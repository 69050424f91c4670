import numpy as np
import pytest
import torch
from torch import nn

from datamodules.fields import Darcy, Elasticity, ElasticityGrid, NavierStokes
from tests.tolerances import tolerance
from trainers import build_trainer
from zoo.lsm import LSMModule
from zoo.lsm.losses import relative_gradient_l2, relative_l2
from zoo.lsm.rollout import rollout

CLOSE = tolerance(torch.float64)
SIZES = {"num_train": 4, "num_val": 2, "num_test": 4, "batch_size": 2}


def module_of(in_channels=1, out_channels=1, **arguments):
    torch.manual_seed(0)
    kwargs = {"in_channels": in_channels, "out_channels": out_channels, "width": 8, "norm": "group"}
    module = LSMModule(network_kwargs={**kwargs, **arguments.pop("network_kwargs", {})}, **arguments).double()
    module.log = lambda *args, **kwargs: None
    return module


def batch_of(in_channels=1, out_channels=1):
    generator = torch.Generator().manual_seed(0)
    fields = torch.randn(3, 20, 18, in_channels + out_channels, dtype=torch.float64, generator=generator)
    return {"input": fields[..., :in_channels], "target": fields[..., in_channels:]}


def test_the_loss_is_a_sum_of_relative_errors_in_the_units_of_the_target():
    module, batch = module_of(), batch_of()
    module.target_normalizer.fit(torch.full((20, 18, 1), 2.0), torch.full((20, 18, 1), 5.0))
    module.input_normalizer.fit(torch.tensor([0.5]), torch.tensor([3.0]))
    raw = module.network((batch["input"] - 0.5) / (3 + 1e-5))
    prediction = raw * (5 + 1e-5) + 2
    torch.testing.assert_close(module.predict_step(batch), prediction, **CLOSE)
    errors = relative_l2(prediction, batch["target"])
    torch.testing.assert_close(module.training_step(batch), errors.sum(), **CLOSE)
    mean = module_of(reduction="mean")
    torch.testing.assert_close(
        mean.training_step(batch), relative_l2(mean.predict_step(batch), batch["target"]).mean(), **CLOSE
    )


def test_frames_are_predicted_from_predictions():
    module, batch = module_of(3, 1, num_steps=4), batch_of(3, 4)
    prediction = rollout(module.network, batch["input"], 4)
    torch.testing.assert_close(module.predict_step(batch), prediction, **CLOSE)
    frames = sum(relative_l2(prediction[..., t], batch["target"][..., t]).sum() for t in range(4))
    torch.testing.assert_close(module.training_step(batch), frames, **CLOSE)
    forced = module_of(3, 1, num_steps=4, teacher_forcing=True)
    expected = rollout(forced.network, batch["input"], 4, batch["target"])
    frames = sum(relative_l2(expected[..., t], batch["target"][..., t]).sum() for t in range(4))
    torch.testing.assert_close(forced.training_step(batch), frames, **CLOSE)
    torch.testing.assert_close(forced.predict_step(batch), prediction, **CLOSE)  # there is no truth to force


def test_gradients_of_fields_in_the_loss():
    batch, prediction = batch_of(), module_of().predict_step(batch_of())
    expected = relative_l2(prediction, batch["target"]) + 0.1 * relative_gradient_l2(prediction, batch["target"])
    torch.testing.assert_close(module_of(gradient_weight=0.1).training_step(batch), expected.sum(), **CLOSE)


def test_predictions_are_zero_outside_of_the_mask():
    module, batch = module_of(), batch_of()
    mask = (batch["input"] > 0).double()
    masked = module.predict_step({**batch, "mask": mask})
    torch.testing.assert_close(masked, module.predict_step(batch) * mask, **CLOSE)
    assert set(module.pack({**batch, "mask": mask})) == {"input", "mask"}


def test_biases_are_decayed_as_published():
    for decay, expected in ((True, {1e-4}), (False, {1e-4, 0.0})):
        groups = module_of(decay_biases=decay).configure_optimizers()["optimizer"].param_groups
        assert {group["weight_decay"] for group in groups} == expected


def test_a_training_step_is_that_of_the_published_optimiser():
    module, batch = module_of(lr=5e-4), batch_of()
    twin = module_of(lr=5e-4)
    optimizer = module.configure_optimizers()["optimizer"]
    reference = torch.optim.Adam(twin.parameters(), lr=5e-4, weight_decay=1e-4)
    for model, steps in ((module, optimizer), (twin, reference)):
        for _ in range(3):
            steps.zero_grad()
            model.training_step(batch).backward()
            steps.step()
    for ours, theirs in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


def fitted(module, datamodule, folder, **arguments):
    trainer = build_trainer(
        preset="cpu",
        output=folder,
        logger=None,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": 1, **arguments},
    )
    trainer.fit(module, datamodule)
    return trainer, trainer.test(module, datamodule, verbose=False)[0]


def test_the_rate_is_halved(tmp_path):
    rates = []
    module = LSMModule(network_kwargs={"in_channels": 1, "out_channels": 1, "width": 8}, lr=0.01, halving_epochs=2)
    module.on_train_batch_start = lambda *_: rates.append(module.optimizers().param_groups[0]["lr"])
    fitted(module, Darcy(resolution=17, subsample=1, **SIZES), tmp_path, max_epochs=5, limit_val_batches=0)
    assert rates == pytest.approx(4 * [0.01] + 4 * [0.005] + 2 * [0.0025])


def test_statistics_come_from_the_data_and_go_with_the_weights(tmp_path):
    module = LSMModule(network_kwargs={"in_channels": 1, "out_channels": 1, "width": 8})
    datamodule = Darcy(resolution=33, subsample=2, **SIZES)
    _, metrics = fitted(module, datamodule, tmp_path)
    assert set(metrics) == {"test/relative_l2"}
    expected = datamodule.entries("train")["target"].mean(0)
    torch.testing.assert_close(module.target_normalizer.mean, expected, **tolerance(torch.float32))
    rebuilt = LSMModule(**module.hparams)
    rebuilt.load_state_dict(module.state_dict())
    batch = next(iter(datamodule.test_dataloader()))
    assert torch.equal(rebuilt.eval().predict_step(batch), module.eval().predict_step(batch))
    with pytest.raises(ValueError, match=r"the grid \(20, 18\) are not allowed"):
        rebuilt.predict_step({"input": torch.zeros(1, 20, 18, 1)})


def test_both_statistics_of_batch_norms_are_reported(tmp_path):
    kwargs = {"in_channels": 3, "out_channels": 1, "width": 8}
    module = LSMModule(network_kwargs=kwargs, num_steps=2, test_batch_statistics=True)
    datamodule = NavierStokes(num_inputs=3, num_outputs=2, resolution=32, subsample=1, time_step=0.1, **SIZES)
    _, metrics = fitted(module, datamodule, tmp_path)
    assert set(metrics) == {"test/relative_l2", "test/batch_statistics_relative_l2"}
    batches = list(datamodule.test_dataloader())
    state = {name: value.clone() for name, value in module.state_dict().items()}
    for name, training in (("relative_l2", False), ("batch_statistics_relative_l2", True)):
        module.network.train(training)
        errors = torch.cat([relative_l2(module.predict_step(batch), batch["target"]) for batch in batches])
        assert metrics[f"test/{name}"] == pytest.approx(errors.mean().item(), rel=1e-5)
        module.load_state_dict(state)
    assert metrics["test/relative_l2"] != pytest.approx(metrics["test/batch_statistics_relative_l2"], rel=1e-3)


@pytest.mark.parametrize("points", [True, False])
def test_unit_cells(tmp_path, points):
    arguments = {"rays": 12, "rings": 5, "kept_rings": 3, "grid_size": 20, "normalization": "channel", **SIZES}
    if points:
        kwargs = {"code_channels": 42, "width": 8, "modes": 4, "latent_size": 32}
        module, datamodule = LSMModule("lsm-points", kwargs), Elasticity(**arguments)
    else:
        module = LSMModule(network_kwargs={"in_channels": 1, "out_channels": 1, "width": 8})
        datamodule = ElasticityGrid(**arguments)
    trainer, metrics = fitted(module, datamodule, tmp_path)
    assert 0 < metrics["test/relative_l2"] < 10
    predictions = torch.cat(trainer.predict(module, datamodule))
    assert predictions.shape == datamodule.entries("test")["target"].shape
    assert len(module.tabulate(predictions)["rms"]) == len(module.arrays(predictions)["prediction"]) == 4
    (figure,) = module.figures().values()
    assert len(figure.axes) == 2 * 2 * (3 if points else 4)  # panels and their scales
    module.on_fit_start()
    assert module.figures() == {}


def test_figures_of_lines_and_solids():
    from zoo.lsm.figures import compared_fields

    line = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 30, 1)))
    assert len(compared_fields(line, line, line, torch.zeros(2)).axes) == 4
    solid = torch.zeros(1, 4, 5, 6, 2)
    assert len(compared_fields(solid[..., :1], solid, solid, torch.zeros(1)).axes) == 8


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_batch_norms_are_those_of_the_global_batch(dim):
    module = LSMModule(network_kwargs={"in_channels": 1, "out_channels": 1, "dim": dim, "width": 8})
    norms = [layer for layer in module.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    assert norms and all(type(layer).__module__ == "zoo.batch_norm" for layer in norms)
