"""What the network looks at, on the same images, while anybody's module is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from trainers.callbacks.figures import log_figure
from zoo.eigencam.explain import explain
from zoo.eigencam.figures import compared_maps
from zoo.eigencam.heatmaps import correlation
from zoo.eigencam.layers import LayerSpec, find_cam_layers
from zoo.eigencam.settings import read_settings


class CAMCallback(Callback):
    """Draw the maps of the first validation images after validation epochs, and log how much they have changed.

    Works with any LightningModule whose `forward` maps images (B, 3, H, W) to anything. The figure goes to the run
    folder and to wandb or TensorBoard if these are on; `val/cam_stability` is the mean correlation of the maps with
    those of the last time, 1 where nothing has changed. Only the first process draws. Hooks exist during the callback's
    own forward pass alone; training flags and gradients are left as they are. Parameters that are sharded over
    processes are not supported.

    Args:
        num_images: how many images, > 0; at most a batch.
        every_n_epochs: draw after every n-th validation epoch, > 0.
        key: where the images are in a batch: a key of a dict or an index of a tuple; None takes "image" of a dict, the
            first entry of a tuple, or the batch itself.
        layers: names of the layers to look into; None finds the last one that has positions.
        settings: arguments of `zoo.eigencam.settings.MapSettings`: which map is drawn.
        folder: where figures are written; by default `figures` in the trainer's root directory.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        num_images: int = 8,
        every_n_epochs: int = 1,
        key: str | int | None = None,
        layers: list[str] | None = None,
        settings: dict[str, Any] | None = None,
        folder: str | Path | None = None,
    ) -> None:
        for name, value in {"num_images": num_images, "every_n_epochs": every_n_epochs}.items():
            if value < 1:
                raise ValueError(f"{name}={value} is not allowed; give an integer >= 1")
        self.num_images = num_images
        self.every_n_epochs = every_n_epochs
        self.key = key
        self.layers = layers
        self.settings = read_settings("settings", settings)
        self.folder = folder
        self._images: Tensor | None = None
        self._specs: list[LayerSpec] | None = None
        self._before: Tensor | None = None

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first images for good."""
        if self._images is None and trainer.is_global_zero:
            # Outside of inference mode, so that gradients of later maps can flow through them.
            with torch.inference_mode(False):
                self._images = self._find(batch)[: self.num_images].detach().clone()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the maps, and log how much they have changed."""
        if trainer.sanity_checking or (trainer.current_epoch + 1) % self.every_n_epochs:
            return
        stability = None if self._images is None else self._draw(trainer, pl_module, self._images)
        stability = trainer.strategy.broadcast(stability)
        if stability is not None:
            # Equal on all ranks already; the mean over ranks only tells Lightning so.
            pl_module.log("val/cam_stability", stability, sync_dist=True)

    def _draw(self, trainer: Trainer, pl_module: LightningModule, images: Tensor) -> float | None:
        """Draw the maps and return their correlation with those of the last time."""
        images = images.to(pl_module.device)
        if self._specs is None:
            self._specs = find_cam_layers(pl_module, (1, *images.shape[1:]), layer=self.layers)
        with trainer.precision_plugin.forward_context():
            maps = explain(pl_module, images, self._specs, self.settings)[1].heatmap.float().cpu()
        stability = None if self._before is None else float(correlation(maps, self._before).mean())
        self._before = maps
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            figure = compared_maps(images.float().cpu(), {self.settings.method: maps})
            folder = Path(self.folder or Path(trainer.default_root_dir, "figures"))
            log_figure(trainer, folder, "val/cams", figure)
        return stability

    def _find(self, batch: Any) -> Tensor:
        key = self.key
        if key is None:
            key = "image" if isinstance(batch, dict) else 0 if isinstance(batch, Sequence) else None
        try:
            images = batch if key is None else batch[key]
        except (KeyError, IndexError, TypeError) as error:
            raise ValueError(
                f"key={self.key!r} is not in the batch, a {type(batch).__name__}; give one that is"
            ) from error
        if not isinstance(images, Tensor) or images.dim() != 4:
            raise ValueError(f"key={self.key!r} does not lead to images (B, 3, H, W) in the batch; give one that does")
        return images
