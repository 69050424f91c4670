"""Wrap a network, train it if it is a classifier, and show what it looks at."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.utilities import rank_zero_info
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from torchmetrics import MetricCollection

from zoo.batch_norm import synchronize
from zoo.checks import require, require_choice
from zoo.eigencam.explain import Explanation, Observation
from zoo.eigencam.figures import compared_maps
from zoo.eigencam.heatmaps import min_max
from zoo.eigencam.judges import JUDGES, Accuracy, MapJudges
from zoo.eigencam.prediction import columns_of, predict_maps
from zoo.eigencam.settings import read_settings
from zoo.eigencam.view import View, classifier_logits
from zoo.eigencam.wrapping import load_weights
from zoo.network_module import NetworkModule, Optimizer, Schedule

Batch = dict[str, Tensor]

SHOWN = 8
"""Images in the figure of the last test epoch."""


class EigenCAM(NetworkModule):
    """Any CNN with the map of what it looks at: Eigen-CAM, or one of its relatives.

    The network's answers are those of the network alone, bit for bit. Its batch norms, in training on several
    processes, use the statistics of the global batch. In Python any `nn.Module` can be wrapped, see `EigenCAM.wrap`.

    Args:
        network: "eigencam-cnn", "torchvision" or "timm".
        network_kwargs: its keyword arguments; `num_classes` follows from `class_names` where these are given.
        class_names: names of the classes, in the order of the logits; None takes those of the data that it is trained
            on, if there are as many as `network_kwargs.num_classes`.
        weights: pretrained weights to start from, see `zoo.eigencam.wrapping.load_weights`; once loaded they belong to
            the module's state, and the hyper-parameter becomes None.
        multilabel: several classes may be present in an image; the loss is then that of independent classes.
        layers: names of the layers to look into; None finds the last one that has positions.
        settings: arguments of `zoo.eigencam.settings.MapSettings`: which map is drawn.
        compare: further maps that the test judges, and the figures show, by a name each; settings as above.
        judged_by: what the maps are judged by in validation and test: "boxes" and "masks" of the objects, as far as the
            data has them, and in the test "faithfulness" to the network, which takes hundreds of its answers per image.
        resolution: side of the square that maps are resized to before boxes are cut from them; 224 is the protocol of
            Choe et al., None keeps the size of the images.
        threshold: share of a heatmap's maximum above which predicted boxes are cut, in [0, 1).
        optimizer: see `NetworkModule`.
        lr: see `NetworkModule`.
        weight_decay: see `NetworkModule`.
        schedule: see `NetworkModule`.
        warmup_steps: see `NetworkModule`.
        final_lr: see `NetworkModule`.

    Raises:
        ValueError: an argument is out of its range; or see `NetworkModule` and the network.
        TypeError: see `NetworkModule` and the network.
    """

    monitor: ClassVar[str] = "val/accuracy"
    mode: ClassVar[Literal["min", "max"]] = "max"

    def __init__(
        self,
        network: str = "eigencam-cnn",
        network_kwargs: dict[str, Any] | None = None,
        class_names: list[str] | None = None,
        weights: str | None = None,
        multilabel: bool = False,
        layers: list[str] | None = None,
        settings: dict[str, Any] | None = None,
        compare: dict[str, dict[str, Any]] | None = None,
        judged_by: list[str] | None = None,
        resolution: int | None = 224,
        threshold: float = 0.5,
        optimizer: Optimizer = "adamw",
        lr: float = 1e-3,
        weight_decay: float = 0.01,
        schedule: Schedule = "cosine",
        warmup_steps: int = 100,
        final_lr: float = 0.0,
    ) -> None:
        self.judged_by = ["boxes", "masks"] if judged_by is None else list(judged_by)
        allowed = f"a list of any of {', '.join(map(repr, JUDGES))}"
        require(set(self.judged_by) <= set(JUDGES), "judged_by", judged_by, allowed)
        require_choice("multilabel", multilabel, (True, False))
        require(resolution is None or resolution >= 1, "resolution", resolution, "an integer >= 1, or None")
        require(0 <= threshold < 1, "threshold", threshold, "a number in [0, 1)")
        require(layers is None or len(layers) > 0, "layers", layers, "one or more names, or None")
        self.threshold, self.multilabel = threshold, multilabel
        self.maps = {"": read_settings("settings", settings)}
        for name, values in (compare or {}).items():
            require("/" not in name and bool(name), "compare", name, "names without a slash")
            self.maps[name] = read_settings(f"compare.{name}", values)
        all_kwargs = dict(network_kwargs or {})
        if class_names is not None:
            require(len(set(class_names)) == len(class_names) > 0, "class_names", class_names, "distinct names")
            number = all_kwargs.setdefault("num_classes", len(class_names))
            require(number == len(class_names), "network_kwargs.num_classes", number, f"{len(class_names)}, or none")
        self.class_names = class_names
        super().__init__(
            network=network,
            network_kwargs=all_kwargs,
            optimizer=optimizer,
            lr=lr,
            weight_decay=weight_decay,
            schedule=schedule,
            warmup_steps=warmup_steps,
            final_lr=final_lr,
        )
        if weights is not None:
            # Another list of classes than that of the weights needs a head of its own.
            if kept := load_weights(self.network, weights, new_head=class_names is not None):
                rank_zero_info(f"{weights} are of other classes; random at first: {', '.join(kept)}")
            self.hparams["weights"] = None
            self.pretrained = True
        synchronize(self.network)
        self.view = View(self.network, layers)
        self.judges = MapJudges(self.maps, self.judged_by, resolution, multilabel)
        self.val_metrics = self.judges.own("val/", faithfulness=False)
        self.test_metrics = self.judges.own("test/", faithfulness=True)
        self._shown: tuple[Batch, dict[str, Tensor]] | None = None

    @classmethod
    def wrap(cls, network: nn.Module, **arguments: Any) -> EigenCAM:
        """Return a module around a network of the user's own, for use from Python.

        It trains, tests and predicts like any other, but cannot be exported as a checkpoint, which rebuilds its network
        by name.

        Args:
            network: anything that maps images (B, 3, H, W) to logits, detections or segmentations.
            **arguments: those of the class but `network`, `network_kwargs` and `weights`.
        """
        module = cls(network="eigencam-cnn", **arguments)
        module.network = synchronize(network)
        module.view = View(network, module.view.layers)
        module.not_exportable_because = "EigenCAM.wrap holds a network that cannot be rebuilt by name"
        return module

    def metrics(self) -> MetricCollection:
        """Return metrics of the classes; those of the maps come from `MapJudges`."""
        return MetricCollection({"accuracy": Accuracy()})

    def setup(self, stage: str) -> None:
        """Take over the names of the classes in training, and check them in every stage.

        Raises:
            ValueError: the data has other classes.
        """
        known = list(getattr(self.trainer.datamodule, "class_names", []))  # type: ignore[attr-defined]
        number = (self.hparams["network_kwargs"] or {}).get("num_classes")
        if stage == "fit" and self.class_names is None and len(known) == number:
            self.class_names = self.hparams["class_names"] = known
        if stage != "predict" and known and self.class_names is not None:
            require(known == self.class_names, "class_names", self.class_names, f"those of the data: {known}")

    def forward(self, images: Tensor) -> Any:
        """Return the network's output for images (B, 3, H, W): what the network alone would answer."""
        return self.network(images)

    def cam(self, images: Tensor, classes: Tensor | None = None, **settings: Any) -> tuple[Observation, Explanation]:
        """Return the network's output and the map of images.

        Args:
            images: (B, 3, H, W), as the network takes them.
            classes: (B,) int64, for maps that are of a class; by default the predicted ones.
            **settings: of `MapSettings`; by default those of the module.
        """
        chosen = read_settings("settings", settings) if settings else self.maps[""]
        return self.view.explain(images, chosen, classes)

    def training_step(self, batch: Batch, batch_idx: int = 0) -> Tensor:
        """Return the loss of the classes: cross entropy, or that of independent classes if several may be present."""
        logits, labels = classifier_logits(self(self.view.fitted(batch["image"]))), batch["label"]
        if self.multilabel:
            loss = binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        else:
            loss = cross_entropy(logits, labels)
        size = len(logits)
        self.log("train/loss", loss, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=size)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the validation metrics of the classes and of the map."""
        observation = self.view.observe(batch["image"], [self.maps[""]])
        self.judges.judge(self.val_metrics, self.view, observation, batch, all_maps=False)

    def test_step(self, batch: Batch, batch_idx: int = 0) -> None:
        """Add a batch to the test metrics of the classes and of all maps, and its first images to the figure."""
        observation = self.view.observe(batch["image"], self.maps.values())
        drawn = self.judges.judge(self.test_metrics, self.view, observation, batch, all_maps=True)
        if batch_idx == 0:
            heatmaps = {name or self.maps[""].method: maps[:SHOWN].cpu() for name, maps in drawn.items()}
            self._shown = {key: value[:SHOWN].cpu() for key, value in batch.items()}, heatmaps

    def on_test_epoch_end(self) -> None:
        """Log the test metrics of all maps, reduced over ranks."""
        super().on_test_epoch_end()
        for metrics in self.judges.compared:
            self._log_metrics(metrics)  # type: ignore[arg-type]
        if getattr(self.trainer.datamodule, "attack", "none") != "none":  # type: ignore[attr-defined]
            self._log_metrics(self.judges.robustness)

    def predict_step(self, batch: Batch, batch_idx: int = 0) -> dict[str, Tensor]:
        """Return what the network looks at, see `zoo.eigencam.prediction.predict_maps`, of the images of a batch."""
        return self.look(batch["image"], frame=batch.get("frame"))

    def look(self, images: Tensor, classes: Tensor | None = None, frame: Tensor | None = None) -> dict[str, Tensor]:
        """Return what the network looks at in images, see `zoo.eigencam.prediction.predict_maps`."""
        return predict_maps(self.view, images, self.maps[""], self.threshold, classes, frame)

    def tabulate(self, prediction: dict[str, Tensor]) -> dict[str, Any]:
        """Return class and probability of classifiers, the box and the gap of each image."""
        return columns_of(prediction, self.class_names)

    def arrays(self, prediction: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return heatmap and raw map of each image."""
        return {"heatmap": prediction["heatmap"], "raw": prediction["raw"]}

    def reference_output(self, batch: Batch) -> Tensor:
        """Return the logits, as far as there are any, and the map of the first layer scaled to [0, 1]: (B, K + h w).

        Boxes are decisions: another machine may decide otherwise where the map is at the threshold.
        """
        prediction = self.predict_step(batch)
        parts = [prediction["logits"]] if "logits" in prediction else []
        return torch.cat([*parts, min_max(prediction["raw"]).flatten(1)], dim=1)

    def pack(self, batch: Batch) -> dict[str, Tensor]:
        """Return the images, by name."""
        return {"image": batch["image"].cpu()}

    def unpack(self, tensors: dict[str, Tensor]) -> Batch:
        """Rebuild a batch from the result of `pack`."""
        return dict(tensors)

    def figures(self) -> dict[str, Figure]:
        """Return the first images of the last test epoch under all maps."""
        if self._shown is None:
            return {}
        batch, heatmaps = self._shown
        return {"maps": compared_maps(batch["image"], heatmaps, batch.get("boxes"), batch.get("num_boxes"))}

    def on_fit_start(self) -> None:
        """Forget the images of an earlier test, which figures would show as the present ones."""
        self._shown = None
