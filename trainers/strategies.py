"""Lightning strategies that presets name: "zoo_ddp" and, in one process tree on CPU, "zoo_ddp_fork"."""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.overrides.distributed import _sync_module_states
from lightning.pytorch.strategies import DDPStrategy, StrategyRegistry
from lightning.pytorch.strategies.launchers import _MultiProcessingLauncher
from lightning.pytorch.trainer.states import TrainerFn
from torch.nn.parallel import DistributedDataParallel

# Its name since torch 2.14, or before.
_NAMES = ("forward_sync_buffers", "broadcast_buffers")
_SYNC_BUFFERS = next(name for name in _NAMES if name in signature(DistributedDataParallel).parameters)


class ZooDDPStrategy(DDPStrategy):
    """Distributed data parallel with the same buffers on all ranks after every training step.

    Torch's wrapper sends rank 0's buffers (the running statistics of batch norm) before each forward pass, which hangs
    when an unpadded evaluation gives one rank a batch more, and leaves ranks different after the last step. Here they
    are sent after each training step, so that evaluation, averaged weights and checkpoints are of one model.

    A module of which nothing is trained by gradients, which torch refuses to wrap, is left unwrapped.

    Args:
        **kwargs: those of Lightning's `DDPStrategy`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{_SYNC_BUFFERS: False, "find_unused_parameters": False, **kwargs})

    def _configure_launcher(self) -> None:
        if self._start_method == "popen":
            super()._configure_launcher()
        else:
            self._launcher = _Launcher(self, start_method=self._start_method)

    def configure_ddp(self) -> None:
        """Wrap the module, or only let all ranks start from rank 0's where there are no gradients to share."""
        if any(parameter.requires_grad for parameter in self.model.parameters()):  # type: ignore[union-attr]
            super().configure_ddp()
        else:
            _sync_module_states(self.model)  # type: ignore[arg-type]

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        """Run the step and let all ranks take over rank 0's buffers, if steps change any."""
        output = super().training_step(*args, **kwargs)
        if self.model is not self.lightning_module:
            for buffer in self.lightning_module.buffers():  # type: ignore[union-attr]
                torch.distributed.broadcast(buffer, src=0)
        return output


class _Launcher(_MultiProcessingLauncher):
    """Tell the trainer of the parent process, too, that what it resumed from is used up."""

    def update_main_process_results(self, trainer: Trainer, extra: dict[str, Any]) -> None:
        super().update_main_process_results(trainer, extra)
        if trainer.state.fn == TrainerFn.FITTING:
            trainer.ckpt_path = None


def register() -> None:
    """Make the strategies known to Lightning by name; more calls change nothing."""
    for name, start_method in {"zoo_ddp": "popen", "zoo_ddp_fork": "fork"}.items():
        if name not in StrategyRegistry.available_strategies():
            StrategyRegistry.register(name, ZooDDPStrategy, ZooDDPStrategy.__doc__, start_method=start_method)
