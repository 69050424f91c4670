"""The module's figures, drawn after evaluations."""

from __future__ import annotations

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger
from matplotlib.figure import Figure


class Figures(Callback):
    """Draw `module.figures()` after validation and test epochs, into the run folder and to loggers that take images.

    Args:
        folder: the run folder; figures go to figures/<stage>_<name>.png, where the newest replaces the one before.
        every_n_epochs: draw after every n-th validation epoch; tests are always drawn.

    Raises:
        ValueError: every_n_epochs is not positive.
    """

    def __init__(self, folder: str | Path, every_n_epochs: int = 10) -> None:
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs={every_n_epochs} is not allowed; give an integer >= 1")
        self.folder = Path(folder) / "figures"
        self.every_n_epochs = every_n_epochs

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the figures of every n-th epoch."""
        if not trainer.sanity_checking and (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            self._draw(trainer, pl_module, "val")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the figures of the test."""
        self._draw(trainer, pl_module, "test")

    def _draw(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.fast_dev_run or not hasattr(pl_module, "figures"):  # type: ignore[attr-defined]
            return
        # On every rank, for the figures may gather what all ranks have seen.
        figures: dict[str, Figure] = pl_module.figures()  # type: ignore[operator]
        if not trainer.is_global_zero:
            return
        for name, figure in figures.items():
            log_figure(trainer, self.folder, f"{stage}/{name}", figure)


def log_figure(trainer: Trainer, folder: Path, name: str, figure: Figure) -> None:
    """Write a figure into a folder, and to the loggers that take images.

    Args:
        trainer: whose loggers.
        folder: made if it is missing; the newest figure of a name replaces the one before.
        name: "<stage>/<what>".
        figure: what to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name.replace('/', '_')}.png", dpi=150)
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(name, [figure])
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure(name, figure, trainer.global_step, close=False)
