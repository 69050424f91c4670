import itertools
import json
from types import SimpleNamespace

import matplotlib.image
import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from torch.utils.data import DataLoader

import checkpoints
from tests.trainers.toys import ToyData, ToyModule
from trainers import build_trainer
from trainers.callbacks import EMA, Checkpoints, Figures, NonFiniteError, Throughput

QUIET = {"preset": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}


def build(folder, *callbacks, logger=None, **arguments):
    seed_everything(3, verbose=False)
    return build_trainer(output=folder, logger=logger, callbacks=callbacks, **{**QUIET, "max_epochs": 2, **arguments})


def logged(folder):
    lines = [line.split(",") for line in next(folder.glob("logs/*/metrics.csv")).read_text().splitlines()]
    return {name: [float(row[i]) for row in lines[1:] if row[i]] for i, name in enumerate(lines[0])}


# ---- EMA


class Averages(Callback):
    """Do by hand what EMA is to do, and remember what was validated."""

    def __init__(self, decay):
        self.decay, self.average, self.validated = decay, None, []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        weights = pl_module.network[0].weight.detach().clone()
        self.average = weights if self.average is None else torch.lerp(self.average, weights, 1 - self.decay)

    def on_validation_end(self, trainer, pl_module):
        if not trainer.sanity_checking:
            self.raw = pl_module.network[0].weight.detach().clone()

    def on_validation_batch_end(self, trainer, pl_module, *_):
        self.validated.append(pl_module.network[0].weight.detach().clone())


def test_ema_is_validated_saved_and_kept(tmp_path):
    by_hand = Averages(0.9)
    trainer = build(tmp_path, EMA(0.9), by_hand)
    module = ToyModule(batch_norm=True)
    trainer.fit(module, ToyData())
    average = by_hand.average
    assert not torch.allclose(average, by_hand.raw), "the average is something else than the weights"
    torch.testing.assert_close(by_hand.validated[-1], average)
    torch.testing.assert_close(module.network[0].weight.detach(), average)
    last = torch.load(tmp_path / "checkpoints/last.ckpt")
    torch.testing.assert_close(last["state_dict"]["network.0.weight"], average)
    torch.testing.assert_close(last["current_model_state"]["network.0.weight"], by_hand.raw)


def test_ema_leaves_constants_and_counters_alone(tmp_path):
    module = ToyModule(batch_norm=True)
    constant, index = module.constant.clone(), module.index.clone()
    trainer = build(tmp_path, EMA(0.9))
    trainer.fit(module, ToyData())
    assert torch.equal(module.constant, constant)
    assert torch.equal(module.index, index)
    assert module.network[4].num_batches_tracked == trainer.global_step


def test_test_of_a_checkpoint_after_fit_tests_the_average(tmp_path):
    trainer = build(tmp_path, EMA(0.9))
    module = ToyModule()
    trainer.fit(module, ToyData())
    averaged = module.network[0].weight.detach().clone()
    tested = trainer.test(module, ToyData(), verbose=False)
    reloaded = trainer.test(module, ToyData(), ckpt_path=tmp_path / "checkpoints/last.ckpt", verbose=False)
    assert tested == reloaded
    assert torch.equal(module.network[0].weight, averaged)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_ema_bad_decay(decay):
    with pytest.raises(ValueError, match=f"decay={decay}"):
        EMA(decay)


# ---- NaN


@pytest.mark.parametrize(
    ("poison", "message"),
    [
        ("loss", r"loss is not finite in epoch 0, step 2"),
        ("parameter", r"parameter network\.0\.weight is not finite in epoch 0, step 3"),
    ],
)
def test_nan_guard_names_the_first_bad_tensor(poison, message, tmp_path):
    with pytest.raises(NonFiniteError, match=message):
        build(tmp_path).fit(ToyModule(poison=poison), ToyData())


def test_nan_guard_names_a_gradient(tmp_path):
    module = ToyModule()
    module.network[3].bias.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(NonFiniteError, match=r"gradient of network\.3\.bias .* \(1 of 1 values\)"):
        build(tmp_path).fit(module, ToyData())


def test_last_checkpoint_is_from_before_the_nan(tmp_path):
    with pytest.raises(NonFiniteError):
        build(tmp_path, every_n_train_steps=1).fit(ToyModule(poison="loss"), ToyData())
    state = torch.load(tmp_path / "checkpoints/last.ckpt")["state_dict"]
    assert all(torch.isfinite(value).all() for value in state.values())


# ---- what is logged


def test_throughput_and_gradient_norms_are_logged(tmp_path):
    build(tmp_path, logger="csv").fit(ToyModule(), ToyData())
    values = logged(tmp_path)
    assert len(values["throughput/samples_per_second"]) == 2, "once an epoch"
    assert min(values["throughput/samples_per_second"]) > 0
    assert min(values["throughput/peak_memory_gb"]) > 0.01
    total, parts = values["gradient_norm/total"], [values[f"gradient_norm/{child}"] for child in ("0", "3")]
    assert len(total) == 12
    assert total == pytest.approx(
        [sum(norm**2 for norm in norms) ** 0.5 for norms in zip(*parts, strict=True)], rel=1e-5
    )


def test_throughput_counts_samples_of_all_batches_and_not_validation(tmp_path, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr("trainers.callbacks.throughput.time", SimpleNamespace(perf_counter=lambda: next(clock)))
    build(tmp_path, logger="csv", num_sanity_val_steps=0).fit(ToyModule(), ToyData())
    # Ticks between: epoch start -> validation start, validation end -> epoch end.
    assert logged(tmp_path)["throughput/samples_per_second"] == [24 / 2, 24 / 2]


class Iterable(torch.utils.data.IterableDataset):
    def __init__(self, dataset):
        self.dataset = dataset

    def __iter__(self):
        return iter(self.dataset)


def test_throughput_counts_batches_where_samples_cannot_be_counted(tmp_path):
    class First(ToyModule):
        def training_step(self, batch, batch_idx):
            return super().training_step(batch["one"] if isinstance(batch, dict) else batch, batch_idx)

    data = ToyData()
    data.setup("fit")
    stream = DataLoader(Iterable(data.dataset), batch_size=4)
    for name, loaders in {"stream": stream, "dict": {"one": DataLoader(data.dataset, 4), "two": stream}}.items():
        build(tmp_path / name, logger="csv", max_epochs=1).fit(First(), loaders, stream)
        (rate,) = logged(tmp_path / name)["throughput/batches_per_second"]
        assert rate > 0
        assert "throughput/samples_per_second" not in logged(tmp_path / name)


def test_metrics_and_data_files(tmp_path):
    trainer, module = build(tmp_path), ToyModule()
    trainer.fit(module, ToyData())
    validation = json.loads((tmp_path / "metrics.json").read_text())
    assert validation.keys() == {"epoch", "step", "train/loss", "val/loss"}
    assert (validation["epoch"], validation["step"]) == (1, 12)
    test = trainer.test(module, ToyData(), verbose=False)[0]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["test/loss"] == test["test/loss"]
    assert metrics["val/loss"] == validation["val/loss"]
    assert json.loads((tmp_path / "data.json").read_text())["source"] == "toy"


# ---- figures


def test_figures_are_drawn_every_n_epochs_and_after_tests(tmp_path):
    trainer, module = build(tmp_path, Figures(tmp_path, every_n_epochs=2), max_epochs=1), ToyModule()
    trainer.fit(module, ToyData())
    assert not (tmp_path / "figures").exists()
    trainer = build(tmp_path, Figures(tmp_path, every_n_epochs=1), max_epochs=1, resume="auto")
    trainer.validate(module, ToyData(), verbose=False)
    trainer.test(module, ToyData(), verbose=False)
    for stage in ("val", "test"):
        assert matplotlib.image.imread(tmp_path / f"figures/{stage}_line.png").std() > 0.05


@pytest.mark.parametrize(("callback", "argument"), [(Figures, "every_n_epochs"), (Checkpoints, "every_n_train_steps")])
def test_bad_intervals(callback, argument, tmp_path):
    with pytest.raises(ValueError, match=f"{argument}=0"):
        callback(tmp_path, **{argument: 0})


# ---- checkpoints and their export


def test_best_is_the_best_epoch(tmp_path):
    class Worse(Callback):
        def on_train_epoch_start(self, trainer, pl_module):
            if trainer.current_epoch == 1:
                torch.nn.init.constant_(pl_module.network[0].weight, 50.0)

    trainer = build(tmp_path, Worse(), max_epochs=3)
    trainer.fit(ToyModule(lr=1e-4), ToyData())
    assert torch.load(tmp_path / "checkpoints/best.ckpt")["epoch"] == 0
    assert torch.load(tmp_path / "checkpoints/last.ckpt")["epoch"] == 2


def test_modules_from_elsewhere_are_not_exported(tmp_path):
    build(tmp_path).fit(ToyModule(), ToyData())
    assert not (tmp_path / "checkpoint").exists()


def spe_run(folder, command="eigenzoo fit", **arguments):
    from datamodules.graphs import SubstructureCounting
    from zoo.spe import SPEModule

    kwargs = {"num_atom_types": 1, "num_bond_types": 1, "num_eigs": 30, "width": 8, "num_layers": 1}
    module = SPEModule(
        ["3-cycle", "4-cycle", "5-cycle", "6-cycle"], network_kwargs={**kwargs, "phi_width": 4, "rho_width": 4}
    )
    limits = {"limit_train_batches": 2, "limit_val_batches": 1, "limit_test_batches": 1}
    trainer = build(folder, recipe="spe/counting", command=command, **limits, **arguments)
    return trainer, module, SubstructureCounting(num_train=16, num_val=8, num_test=8, batch_size=8)


def test_export_is_the_best_weights_with_the_metrics_of_their_test(tmp_path):
    trainer, module, datamodule = spe_run(tmp_path)
    trainer.fit(module, datamodule)
    exported = checkpoints.info(tmp_path / "checkpoint")
    assert exported["metrics"].keys() == {"val/mae"}
    test = trainer.test(module, datamodule, ckpt_path=tmp_path / "checkpoints/best.ckpt", verbose=False)[0]
    exported = checkpoints.info(tmp_path / "checkpoint")
    assert exported["metrics"] == {"val/mae": exported["metrics"]["val/mae"], **test}
    assert exported["recipe"] == "spe/counting"
    assert exported["provenance"]["command"] == "eigenzoo fit"
    assert exported["provenance"]["seeds"] == [3]
    assert exported["provenance"]["time"] > 0
    best = torch.load(tmp_path / "checkpoints/best.ckpt")["state_dict"]
    loaded = checkpoints.load(tmp_path / "checkpoint").state_dict()
    assert all(torch.equal(loaded[name], best[name]) for name in loaded)


def test_a_resumed_run_exports_the_command_that_it_was_started_with(tmp_path):
    trainer, module, datamodule = spe_run(tmp_path, max_epochs=1)
    trainer.fit(module, datamodule)
    trainer, module, datamodule = spe_run(tmp_path, command="eigenzoo fit --resume auto", resume="auto")
    trainer.fit(module, datamodule)
    provenance = checkpoints.info(tmp_path / "checkpoint")["provenance"]
    assert (provenance["command"], provenance["epochs"]) == ("eigenzoo fit", 2)


def test_throughput_is_a_default_that_can_be_replaced(tmp_path):
    own = Throughput()
    trainer = build(tmp_path, own)
    assert [callback for callback in trainer.callbacks if isinstance(callback, Throughput)] == [own]
