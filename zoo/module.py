"""What every LightningModule of the zoo shares: plain hyper-parameters, metrics, packing, figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import MetricCollection


class ZooModule(LightningModule):
    """Base of the zoo's LightningModules: rebuilt from plain hyper-parameters, judged by metrics.

    Subclasses set `monitor` and `mode`, define `metrics()`, the steps, `pack` and `unpack`. The module is rebuilt
    exactly by `type(module)(**module.hparams)`. What is trained by gradient descent derives from `NetworkModule`, what
    is a sum over the data from `StatisticsModule`.

    Raises:
        TypeError: an argument holds something else than numbers, strings, booleans, None, lists, tuples and dicts of
            these (a checkpoint with it could not be loaded in safe mode).
    """

    monitor: ClassVar[str]
    mode: ClassVar[Literal["min", "max"]] = "min"
    target_names: list[str]
    pretrained: bool = False
    """Whether the module has weights of its own without a checkpoint of the zoo."""

    not_exportable_because: str | None = None
    """Why the module cannot become a checkpoint, None if it can; set where it cannot be rebuilt by name."""

    def __init__(self) -> None:
        super().__init__()
        # Lightning's command line adds keys of its own, which are no arguments of the class.
        self.save_hyperparameters(ignore=["_instantiator", "_class_path"])
        for name, value in self.hparams.items():
            _require_plain(name, value)
        self.val_metrics = self.metrics().clone(prefix="val/")
        self.test_metrics = self.metrics().clone(prefix="test/")

    @property
    def method(self) -> str:
        """The name that `zoo.get_module_class` knows the class by: its folder in `zoo`, and which module of it."""
        *_, folder, file = type(self).__module__.split(".")
        return folder if file == "module" else f"{folder}/{file.removesuffix('_module')}"

    def metrics(self) -> MetricCollection:
        """Return fresh metrics; `val/` and `test/` are put before their names."""
        raise NotImplementedError(f"{type(self).__name__} must define metrics()")

    def pack(self, batch: Any) -> dict[str, Tensor]:
        """Return the tensors of a batch by name, so that it can be stored beside the weights."""
        raise NotImplementedError(f"{type(self).__name__} must define pack()")

    def unpack(self, tensors: dict[str, Tensor]) -> Any:
        """Rebuild a batch from the result of `pack`."""
        raise NotImplementedError(f"{type(self).__name__} must define unpack()")

    def reference_output(self, batch: Any) -> Tensor:
        """Return what a checkpoint stores of a batch to recognise itself by: a continuous function of the weights.

        By default the prediction; methods whose predictions are no tensor, or hold decisions, say what stands for them.
        """
        return self.predict_step(batch)

    def tabulate(self, prediction: Any) -> dict[str, Any]:
        """Return the columns of a prediction for a table, a tensor or list with one value per sample each.

        Args:
            prediction: result of `predict_step`; by default (B, T) with a column for each of `target_names`.
        """
        return dict(zip(self.target_names, prediction.unbind(1), strict=True))

    def arrays(self, prediction: Any) -> dict[str, Tensor]:
        """Return what of a prediction is too large for a table, with one row per sample each: by default nothing."""
        return {}

    def summaries(self) -> dict[str, list[dict[str, Any]]]:
        """Return tables on all inputs predicted so far together, by name, as rows: by default none."""
        return {}

    def figures(self) -> dict[str, Figure]:
        """Return figures of the last test epoch, by name; empty if there is nothing to show."""
        return {}

    # Metrics are computed in the epoch-end hooks, not by logging the objects in the steps: a rank that had no batch in
    # an unpadded evaluation still has to take part in the reduction.
    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics, reduced over ranks."""
        self._log_metrics(self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the test metrics, reduced over ranks."""
        self._log_metrics(self.test_metrics)

    def _log_metrics(self, metrics: MetricCollection) -> None:
        values = metrics.compute()
        # What is made in inference mode could not be updated outside of it, as in training after a validation.
        with torch.inference_mode(False):
            metrics.reset()
        for name, value in values.items():
            # Equal on all ranks already; the mean over ranks only tells Lightning so.
            self.log(name, value, prog_bar=name == self.monitor, sync_dist=True)


def _require_plain(name: str, value: object) -> None:
    for path, leaf in _leaves(name, value):
        if leaf is not None and type(leaf) not in (bool, int, float, str):
            raise TypeError(
                f"{path} is a {type(leaf).__name__}; hyper-parameters must be numbers, strings, booleans, None, "
                "or lists, tuples and dicts of these"
            )


def _leaves(path: str, value: object) -> Iterator[tuple[str, object]]:
    if type(value) is dict:
        for key, item in value.items():
            yield from _leaves(f"{path}.{key}" if isinstance(key, str) else f"key {key!r} of {path}", item)
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):  # type: ignore[arg-type]
            yield from _leaves(f"{path}[{index}]", item)
    else:
        yield path, value
