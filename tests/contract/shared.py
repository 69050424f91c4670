"""What all methods of the zoo must pass, whether gradients train them or a sum over the data."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer, seed_everything
from torch import Tensor, nn

import checkpoints
import zoo
from checkpoints.schema import PROVENANCE
from tests.tolerances import NETWORK, PARAMETERS_ACROSS_RANKS, tolerance
from trainers import build_trainer
from zoo.module import ZooModule


class Killed(Exception):
    """Stands for the death of a process in the middle of an epoch."""


class KillAt(Callback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            raise Killed


class SaveAt(Callback):
    def __init__(self, step: int, path: Path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


class WriteResults(Callback):
    """Write rank 0's metrics and parameters to a file: after a fork nothing else comes back."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def teardown(self, trainer, pl_module, stage):
        if trainer.is_global_zero:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            torch.save({"metrics": metrics, "state": pl_module.state_dict()}, self.path)


class SharedContract:
    """The tests; every attribute below without a value is for the method to give."""

    method: ClassVar[str]
    arguments: ClassVar[dict[str, Any]]
    bad_arguments: ClassVar[dict[str, Any]]
    not_exportable_because: ClassVar[str | None] = None
    epochs: ClassVar[int]
    arguments_across_ranks: ClassVar[dict[str, Any]] = {}

    def datamodule(self) -> LightningDataModule:
        """Return a datamodule with at least 4 training batches of an even number of samples."""
        raise NotImplementedError

    def property_error(self, module: Any, batch: Any) -> float:
        """Return how far the method is from its defining exact property, in float64."""
        raise NotImplementedError

    def break_property(self, module: Any) -> None:
        """Change the module so that the property no longer holds."""
        raise NotImplementedError

    def separate(self, batch: Any) -> list[Any]:
        """Return the samples of a batch, each as a batch of its own."""
        raise NotImplementedError

    def exportable(self, module: Any, batch: Any) -> tuple[nn.Module, tuple[Any, ...]]:
        """Return what torch.export is given: a module and what it is called with."""
        raise NotImplementedError

    def comparable(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return what of a state dict does not depend on choices, as that of the signs of eigenvectors."""
        return state

    def is_less_exact(self, name: str) -> bool:
        """Tell whether a tensor of the state dict may differ between two processes and one by more than 1e-12."""
        return False

    # ---- helpers

    def module(self, **changes: Any) -> ZooModule:
        seed_everything(0, verbose=False)
        return zoo.get_module_class(self.method)(**{**self.arguments, **changes})

    def batch(self, subset: str = "val") -> Any:
        datamodule = self.datamodule()
        datamodule.prepare_data()
        datamodule.setup("fit")
        return next(iter(getattr(datamodule, f"{subset}_dataloader")()))

    def trainer(self, folder: Path, **arguments: Any) -> Trainer:
        defaults = {"preset": "cpu", "logger": None, "enable_progress_bar": False, "enable_model_summary": False}
        return build_trainer(output=folder, **{**defaults, **arguments})

    # ---- the contract

    def test_four_stages_run(self, tmp_path):
        module, datamodule = self.module(), self.datamodule()
        trainer = self.trainer(tmp_path, fast_dev_run=True)
        trainer.fit(module, datamodule)
        assert module.monitor in trainer.callback_metrics
        trainer.validate(module, datamodule, verbose=False)
        assert any(name.startswith("test/") for name in trainer.test(module, datamodule, verbose=False)[0])
        (prediction,) = trainer.predict(module, datamodule)
        columns = module.tabulate(prediction) | module.arrays(prediction)
        assert len({len(column) for column in columns.values()}) == 1
        assert all(torch.isfinite(column).all() for column in columns.values() if isinstance(column, torch.Tensor))

    def test_save_and_load_is_bit_identical(self, tmp_path):
        module, batch = self.module().eval(), self.batch()
        provenance = dict.fromkeys(PROVENANCE)
        folder = checkpoints.save(module, tmp_path / "saved", metrics={}, provenance=provenance, reference_batch=batch)
        loaded = checkpoints.load(folder)
        assert loaded.hparams == module.hparams
        with torch.no_grad():
            assert torch.equal(loaded.reference_output(batch), module.reference_output(batch))

    def test_shipped_checkpoints_reproduce_their_reference(self):
        folder = self.method.partition("/")[0]
        methods = {name: checkpoints.info(name)["method"] for name in checkpoints.list_checkpoints()}
        assert any(method.partition("/")[0] == folder for method in methods.values()), f"none of {folder} is shipped"
        for name, method in methods.items():
            if method == self.method:
                checkpoints.verify(name)

    def test_pack_and_unpack_lose_nothing(self):
        module, batch = self.module().eval(), self.batch()
        with torch.no_grad():
            rebuilt = module.unpack(module.pack(batch))
            assert torch.equal(module.reference_output(rebuilt), module.reference_output(batch))

    def test_resume_after_a_kill_in_mid_epoch(self, tmp_path):
        def fit(name: str, *callbacks: Callback, ckpt_path: Path | None = None) -> dict[str, torch.Tensor]:
            module = self.module()
            trainer = self.trainer(tmp_path / name, max_epochs=self.epochs, callbacks=list(callbacks))
            trainer.fit(module, self.datamodule(), ckpt_path=ckpt_path)
            return module.state_dict()

        uninterrupted = fit("uninterrupted")
        batches = len(self._train_loader())
        assert batches >= 3, "too few batches to stop in the middle of an epoch"
        saved = tmp_path / "saved.ckpt"
        with pytest.raises(Killed):
            step = (batches if self.epochs > 1 else 0) + 1
            fit("killed", SaveAt(step, saved), KillAt(step + 1))
        resumed = fit("resumed", ckpt_path=saved)
        assert uninterrupted.keys() == resumed.keys()
        assert [name for name in resumed if not torch.equal(resumed[name], uninterrupted[name])] == []

    def _train_loader(self) -> Any:
        datamodule = self.datamodule()
        datamodule.prepare_data()
        datamodule.setup("fit")
        return datamodule.train_dataloader()

    def test_two_processes_equal_one(self, tmp_path):
        results = {}
        for name, changes in {"one": {}, "two": {"preset": "ddp_sim"}}.items():
            path = tmp_path / f"{name}.pt"
            trainer = self.trainer(
                tmp_path / name, precision="64-true", max_epochs=1, callbacks=[WriteResults(path)], **changes
            )
            module, datamodule = self.module(**self.arguments_across_ranks).double(), self.datamodule()
            trainer.fit(module, datamodule)
            state = self.comparable(torch.load(path)["state"])
            trainer.test(module, datamodule, verbose=False)
            results[name] = {"state": state, "metrics": torch.load(path)["metrics"]}
        one, two = results["one"], results["two"]
        close = tolerance(torch.float64, PARAMETERS_ACROSS_RANKS)
        for name, value in one["state"].items():
            allowed = tolerance(torch.float64) if self.is_less_exact(name) else close
            error = (two["state"][name] - value).abs().max()
            assert error <= allowed["atol"] + allowed["rtol"] * value.abs().max(), f"{name}: {error:.3g}"
        assert one["metrics"].keys() == two["metrics"].keys()
        for name, value in one["metrics"].items():
            assert two["metrics"][name] == pytest.approx(value, rel=tolerance(torch.float64)["rtol"]), name

    def test_defining_property_and_negative_control(self):
        module, batch = self.module().double().eval(), self.batch()
        bound = tolerance(torch.float64, NETWORK)["atol"]
        with torch.no_grad():
            assert self.property_error(module, batch) < bound
            self.break_property(module)
            assert self.property_error(module, batch) > 1e3 * bound

    def test_batch_equals_one_by_one(self):
        module, batch = self.module().double().eval(), self.batch()
        with torch.no_grad():
            together = module.reference_output(batch)
            alone = torch.cat([module.reference_output(sample) for sample in self.separate(batch)])
        torch.testing.assert_close(together, alone, **tolerance(torch.float64))

    def test_deterministic_with_a_seed(self, tmp_path):
        states = []
        for run in ("first", "second"):
            module = self.module()
            self.trainer(tmp_path / run, max_epochs=1, limit_val_batches=0).fit(module, self.datamodule())
            states.append(module.state_dict())
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    def test_exports_or_says_why_not(self):
        network, inputs = self.exportable(self.module().eval(), self.batch())
        if self.not_exportable_because is None:
            exported = torch.export.export(network, inputs).module()
            torch.testing.assert_close(exported(*inputs), network(*inputs), **tolerance(torch.float32))
        else:
            assert self.not_exportable_because in inspect.getdoc(type(network))
            with pytest.raises(Exception):  # noqa: B017 - whatever torch.export says; when it succeeds, the reason is stale
                torch.export.export(network, inputs)

    def test_every_bad_argument_raises_an_error_that_names_it(self):
        signature = inspect.signature(zoo.get_module_class(self.method))
        assert set(self.bad_arguments) == set(signature.parameters), "give one bad value per constructor argument"
        for name, value in self.bad_arguments.items():
            with pytest.raises((ValueError, TypeError)) as error:
                self.module(**{name: value})
            assert name in str(error.value), f"{name}={value!r}: {error.value}"

    def test_hyper_parameters_are_plain(self):
        hparams = dict(self.module().hparams)
        assert json.loads(json.dumps(hparams)) == hparams
