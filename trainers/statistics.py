"""Training that is a sum over the data, or has a part that is: one pass, merged over all processes, solved once.

Every process adds its share of the rows to float64 accumulators; at the end of the epoch they are merged along a binary
tree, so that what is communicated does not depend on the number of rows, process 0 solves, and all take its solution
over: signs, phases and bases of degenerate subspaces would otherwise differ between machines.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, distributed
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from datamodules.module import ZooDataModule
from trainers.samplers import CompleteBatches
from zoo.closed_form import SECONDS_WITHOUT_PROGRESS, ClosedForm, Statistic
from zoo.statistics_module import StatisticsModule

KEY = "statistics"

State = dict[str, dict[str, Tensor]]

StatisticType = TypeVar("StatisticType", bound=Statistic)


class SumOverData(Callback):
    """Solve every `ClosedForm`; other modules are left alone.

    A `StatisticsModule` is solved before each validation and at the end of the first epoch, and stops there: more
    epochs would add the same data again. Checkpoints carry the accumulators of all processes: a run that is resumed in
    the middle of the epoch on as many processes as before ends with the same bits; on another number the sums are the
    same but for rounding.

    A network with a closed form gets one more pass over the training data, in evaluation mode and without gradients,
    before each validation, before the first epoch, and at the end of epochs without a validation.
    """

    def __init__(self) -> None:
        self._resumed = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Tell the module that it will be solved."""
        if isinstance(pl_module, StatisticsModule):
            pl_module.solved_by_trainer = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the module as it was, for any other trainer."""
        self._resumed = False
        if isinstance(pl_module, StatisticsModule):
            pl_module.solved_by_trainer = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with empty sums, or continue those of a checkpoint; stop at once if its epoch was over."""
        if not isinstance(pl_module, ClosedForm):
            return
        if not isinstance(pl_module, StatisticsModule):
            if not self._resumed:
                sum_over_training_data(trainer, pl_module)
        elif not self._resumed:
            pl_module.restart()
        elif trainer.current_epoch > 0:
            trainer.should_stop = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Remember that a network has moved."""
        if isinstance(pl_module, ClosedForm):
            pl_module.stale = True

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Solve: Lightning validates before the training epoch ends."""
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._solve(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Solve if no validation did; a sum over the data is done then."""
        self._solve(trainer, pl_module)
        if isinstance(pl_module, StatisticsModule):
            trainer.should_stop = True

    def _solve(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if isinstance(pl_module, StatisticsModule):
            solve(trainer, pl_module)
        elif isinstance(pl_module, ClosedForm) and pl_module.stale:
            sum_over_training_data(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the accumulators of all processes; runs on every one of them."""
        if isinstance(pl_module, StatisticsModule):
            states = _gather({name: one.state_dict() for name, one in pl_module.statistics.items()})
            checkpoint[KEY] = {"states": states, "stale": pl_module.stale}
        elif isinstance(pl_module, ClosedForm):
            checkpoint[KEY] = {"states": [], "stale": pl_module.stale}  # its buffers hold the solution

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue the accumulators of a run."""
        if trainer.state.fn != TrainerFn.FITTING or not isinstance(pl_module, ClosedForm):
            return
        states: list[State] = checkpoint[KEY]["states"]
        if states:
            pl_module.restart()
        if len(states) == trainer.world_size:
            states = [states[trainer.global_rank]]
        elif not trainer.is_global_zero:
            states = []
        for index, state in enumerate(states):
            for name, accumulator in pl_module.statistics.items():
                saved = accumulator.copy()
                saved.load_state_dict(state[name])
                if index == 0:
                    pl_module.statistics[name] = saved  # to the bit, which a merge with nothing need not be
                else:
                    accumulator.merge(saved)
        pl_module.stale = checkpoint[KEY]["stale"]
        self._resumed = True


def sum_over_training_data(trainer: Trainer, module: ClosedForm) -> None:
    """Solve a module on the training data as it is now; the processes share the batches.

    Raises:
        TypeError: the data come from no datamodule of the zoo, whose samples can be read at any time.
        Exception: whatever `solve` of the module raises.
    """
    datamodule = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(datamodule, ZooDataModule):
        raise TypeError(f"{type(module).__name__} needs a datamodule of the zoo, not a {type(datamodule).__name__}")
    dataset, size = datamodule.dataset("train"), datamodule.batch_size
    batches = CompleteBatches(dataset, size, rank=trainer.global_rank, world_size=trainer.world_size)
    loader: DataLoader[Any] = DataLoader(dataset, batch_sampler=batches, collate_fn=datamodule.collate)  # type: ignore[arg-type]
    modes = {part: part.training for part in module.modules()}
    module.eval()
    module.restart()
    with torch.no_grad():
        bar = tqdm(loader, desc="closed form", unit="batch", delay=SECONDS_WITHOUT_PROGRESS, leave=False)
        for index, batch in enumerate(bar):
            module.accumulate(move_data_to_device(batch, module.device), index)
    for part, training in modes.items():
        part.training = training
    module.stale = True
    solve(trainer, module)


def solve(trainer: Trainer, module: ClosedForm) -> None:
    """Give all processes the solution of their merged statistics, if something was added since the last one.

    Raises:
        Exception: whatever `solve` of the module raises; on all processes, so that none waits for the others.
    """
    if not module.stale:
        return
    device = trainer.strategy.root_device
    merged = {name: merge_over_ranks(module.statistics[name], device) for name in sorted(module.statistics)}
    solution: dict[str, Tensor] | None = None
    failure: Exception | None = None
    if trainer.is_global_zero:
        try:
            with torch.no_grad():
                solution = {name: tensor.cpu() for name, tensor in module.solve(merged).items()}
        except Exception as error:
            failure = error
    message = trainer.strategy.broadcast(None if failure is None else f"{type(failure).__name__}: {failure}")
    if failure is not None:
        raise failure
    if message is not None:
        raise RuntimeError(f"process 0 could not solve: {message}")
    module.take(trainer.strategy.broadcast(solution))  # type: ignore[arg-type]


def merge_over_ranks(accumulator: StatisticType, device: torch.device | str = "cpu") -> StatisticType | None:
    """Return the accumulator of the rows of all processes on process 0, None on the others.

    Every process calls it. The tree is the same on any backend, and so are the bits of the result.

    Args:
        accumulator: this process's own; left unchanged.
        device: where the process group communicates from.
    """
    total = accumulator.copy()
    if not (distributed.is_available() and distributed.is_initialized()):
        return total
    rank, size = distributed.get_rank(), distributed.get_world_size()
    distance = 1
    while distance < size:
        if rank % (2 * distance):
            for tensor in _on(device, total.state_dict()).values():
                distributed.send(tensor, rank - distance)
            return None
        if rank + distance < size:
            received = total.copy()
            state = received.state_dict()
            for name, tensor in _on(device, state).items():
                distributed.recv(tensor, rank + distance)
                state[name] = torch.view_as_complex(tensor.cpu()) if state[name].is_complex() else tensor.cpu()
            received.load_state_dict(state)
            total.merge(received)
        distance *= 2
    return total


def _on(device: torch.device | str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    # Not all backends know complex numbers.
    return {
        name: (torch.view_as_real(tensor) if tensor.is_complex() else tensor).to(device)
        for name, tensor in state.items()
    }


def _gather(state: State) -> list[State] | None:
    if not (distributed.is_available() and distributed.is_initialized()):
        return [state]
    rank = distributed.get_rank()
    states: list[Any] | None = [None] * distributed.get_world_size() if rank == 0 else None
    distributed.gather_object(state, states)  # only process 0 writes the file
    return states
