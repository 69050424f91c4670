"""Norms of the gradients."""

from __future__ import annotations

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer


class GradientNorms(Callback):
    """Log the Euclidean norm of all gradients, and of those of each child of the network, before clipping.

    Names: `gradient_norm/total` and `gradient_norm/<child>`, at the steps that are logged.
    """

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Log the norms."""
        if not trainer.loggers or (trainer.global_step + 1) % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return
        network = getattr(pl_module, "network", pl_module)
        for name, module in (("total", pl_module), *network.named_children()):
            gradients = [p.grad for p in module.parameters() if p.grad is not None]
            if gradients:
                pl_module.log(f"gradient_norm/{name}", get_total_norm(gradients), rank_zero_only=True)
