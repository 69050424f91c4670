"""What maps are judged by: the metrics for each kind of evidence, and what each of them gets to see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection

from zoo.eigencam.adcc import ADCC
from zoo.eigencam.explain import Observation, draw
from zoo.eigencam.faithfulness import AverageDrop
from zoo.eigencam.heatmaps import correlation
from zoo.eigencam.insertion import InsertionDeletion
from zoo.eigencam.localization import LocalizationAccuracy, MaxBoxAcc
from zoo.eigencam.pixel_ap import PixelAP
from zoo.eigencam.pointing import EnergyPointing, PointingGame
from zoo.eigencam.road import ROAD
from zoo.eigencam.scores import logits_of
from zoo.eigencam.settings import MapSettings
from zoo.eigencam.view import View, classifier_logits

JUDGES = ("boxes", "masks", "faithfulness")


class Accuracy(Metric):
    """Share of images whose class of largest logit is one of those that are present."""

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    correct: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("correct", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Add a batch: logits (B, K); labels (B,) int64, or (B, K) with ones for the classes that are present."""
        predicted = logits.argmax(1)
        present = labels.gather(1, predicted[:, None])[:, 0] > 0 if labels.dim() == 2 else predicted == labels
        self.correct = self.correct + present.sum()
        self.total = self.total + len(labels)

    def compute(self) -> Tensor:
        """Return the share, in [0, 1]; NaN without images."""
        return self.correct / self.total


def map_metrics(judged_by: Sequence[str], resolution: int | None, multilabel: bool) -> dict[str, Metric]:
    """Return fresh metrics of a map by name, for some of `JUDGES`.

    Args:
        judged_by: which of them.
        resolution: see `MaxBoxAcc`.
        multilabel: several classes may be present, so that there is no accuracy of box and class together.
    """
    metrics: dict[str, Metric] = {}
    if "boxes" in judged_by:
        metrics |= {
            "boxes": MaxBoxAcc(resolution),
            "boxes_at_fixed_threshold": LocalizationAccuracy(top=() if multilabel else (1, 5)),
        }
    if "masks" in judged_by:
        metrics["pixel_ap"] = PixelAP()
    if {"boxes", "masks"} & set(judged_by):
        metrics["pointing"] = PointingGame("masks" if "masks" in judged_by else "boxes")
        metrics["energy_pointing"] = EnergyPointing("boxes" if "boxes" in judged_by else "masks")
    if "faithfulness" in judged_by:
        metrics |= {"drop": AverageDrop(), "insertion": InsertionDeletion(), "road": ROAD(), "adcc": ADCC()}
    return metrics


class MapJudges(nn.Module):
    """The metrics of several maps of the same images.

    Args:
        maps: settings by name; the one named "" is the module's own, whose metrics are kept by the module.
        judged_by: some of `JUDGES`.
        resolution: see `MaxBoxAcc`.
        multilabel: see `map_metrics`.
    """

    def __init__(
        self, maps: dict[str, MapSettings], judged_by: Sequence[str], resolution: int | None, multilabel: bool
    ) -> None:
        super().__init__()
        self.maps, self.judged_by, self.resolution, self.multilabel = maps, list(judged_by), resolution, multilabel
        self.compared = nn.ModuleList(self._collection(f"test/{name}/", judged_by) for name in maps if name)
        self.robustness = MetricCollection({"map_correlation": MeanMetric()}, prefix="test/")

    def own(self, prefix: str, faithfulness: bool) -> MetricCollection:
        """Return fresh metrics of the module's own map and of its classes."""
        kinds = [kind for kind in self.judged_by if faithfulness or kind != "faithfulness"]
        return self._collection(prefix, kinds, {"accuracy": Accuracy()})

    def _collection(
        self, prefix: str, judged_by: Sequence[str], others: dict[str, Metric] | None = None
    ) -> MetricCollection:
        metrics = map_metrics(judged_by, self.resolution, self.multilabel)
        return MetricCollection({**(others or {}), **metrics}, prefix=prefix, compute_groups=False)

    def judge(
        self,
        own: MetricCollection,
        view: View,
        observation: Observation,
        batch: dict[str, Tensor],
        all_maps: bool,
    ) -> dict[str, Tensor]:
        """Add a batch to the metrics.

        Args:
            own: of the module's own map.
            view: the network, and how to look into it again.
            observation: of the images of the batch.
            batch: of an image benchmark: `image`, `label`, and `boxes`, `num_boxes` and `mask` as needed.
            all_maps: judge those that are compared, too.

        Returns:
            The heatmaps (B, H, W) by name.

        Raises:
            ValueError: the batch lacks what the maps are to be judged by.
        """
        drawn: dict[str, Tensor] = {}
        logits = classifier_logits(observation.output) if "label" in batch else logits_of(observation.output)
        for name, settings in self.maps.items() if all_maps else [("", self.maps[""])]:
            metrics = cast(MetricCollection, self.compared[len(drawn) - 1]) if name else own

            def explain(images: Tensor, settings: MapSettings = settings) -> Tensor:
                return view.explain(images, settings, observation.classes)[1].heatmap

            # Smoothing over views needs their answers, too.
            again = settings.smooth == "aug"
            drawn[name] = explain(batch["image"]) if again else draw(observation, settings).heatmap
            judge(metrics, self.judged_by, drawn[name], batch, logits, view.answer, explain)
        if "clean_image" in batch and all_maps:
            before, after = (view.explain(batch[key], self.maps[""])[1].heatmap for key in ("clean_image", "image"))
            self.robustness.update(correlation(after, before))
        return drawn


def judge(
    metrics: MetricCollection,
    judged_by: Sequence[str],
    maps: Tensor,
    batch: dict[str, Tensor],
    logits: Tensor | None,
    network: Callable[[Tensor], Tensor],
    explain: Callable[[Tensor], Tensor],
) -> None:
    """Add the maps of a batch to their metrics; images without an object say nothing about its place.

    Args:
        metrics: from `map_metrics`, and perhaps `Accuracy`.
        judged_by: what they were made for.
        maps: heatmaps (B, H, W).
        batch: with the entries of image benchmarks: `image`, `label`, and `boxes`, `num_boxes` and `mask` as needed.
        logits: (B, K); needed if the batch has labels.
        network: images to logits, for faithfulness.
        explain: images to maps, for faithfulness.

    Raises:
        ValueError: the batch lacks what the maps are to be judged by.
    """
    missing = [
        entry for kind, entry in (("boxes", "boxes"), ("masks", "mask")) if kind in judged_by and entry not in batch
    ]
    if missing:
        raise ValueError(f"judged_by={list(judged_by)!r} but the data has no {missing[0]!r}; judge by what it has")
    images = batch["image"]
    known: dict[str, Any] = {"network": network, "explain": explain, "image_size": tuple(images.shape[2:])}
    rows: dict[str, Any] = {"maps": maps, "images": images, "logits": logits, "labels": batch.get("label")}
    rows |= {"boxes": batch.get("boxes"), "num_boxes": batch.get("num_boxes"), "masks": batch.get("mask")}
    if logits is not None:
        rows["classes"] = logits.argmax(1)
    shown = batch["num_boxes"] > 0 if "boxes" in judged_by else torch.ones_like(images[:, 0, 0, 0], dtype=torch.bool)
    placed = {name: None if value is None else value[shown] for name, value in rows.items()}
    for metric in metrics.values(copy_state=False):
        about_place = isinstance(metric, MaxBoxAcc | LocalizationAccuracy | PixelAP | PointingGame | EnergyPointing)
        if not about_place or bool(shown.any()):
            metric.update(**metric._filter_kwargs(**known, **(placed if about_place else rows)))
