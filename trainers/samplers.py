"""The order of samples: a pure function of seed and epoch, the same global batches on any number of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import NamedTuple

import numpy as np
from torch.utils.data import BatchSampler, DistributedSampler


class Position(NamedTuple):
    """Where training stands: the epoch, and how many of its global batches are done."""

    epoch: int = 0
    batches_done: int = 0


class ShardedSampler(DistributedSampler[int]):
    """Each rank's contiguous share of global batches.

    A subclass of torch's DistributedSampler only so that Lightning leaves it in place and calls `set_epoch`; unlike
    that, it repeats no sample. In training every global batch is whole: the incomplete last one is left out, unless it
    is the only one, which then has as many samples as divide evenly. In evaluation every sample is seen exactly once
    over all ranks; the shares of the last batch may differ by one, and a rank may get nothing of it.

    Args:
        dataset: what is sampled; only its length is used.
        batch_size: samples in a global batch, over all ranks; a multiple of `world_size`.
        rank: this process, from 0 to world_size - 1.
        world_size: number of processes.
        training: whole batches only, else every sample once.
        shuffle: a new permutation in each epoch, else the order of the data.
        seed: seed of the permutations, >= 0.
        start: where a resumed run goes on: the batches done are skipped in that epoch, and in no other.
        complete: see `CompleteBatches`, which cuts this rank's indices where its batches end.

    Raises:
        ValueError: an argument is out of its range, or training has fewer samples than ranks.
    """

    def __init__(
        self,
        dataset: Sized,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        training: bool = False,
        shuffle: bool = False,
        seed: int = 0,
        start: Position = Position(),  # noqa: B008 - immutable
        complete: bool = False,
    ) -> None:
        if not 0 <= rank < world_size:
            raise ValueError(f"rank={rank} is not allowed; give 0 <= rank < world_size={world_size}")
        if batch_size < 1 or batch_size % world_size:
            raise ValueError(
                f"batch_size={batch_size} is not allowed; give a positive multiple of world_size={world_size}"
            )
        if seed < 0:
            raise ValueError(f"seed={seed} is not allowed; give an integer >= 0")
        if training and len(dataset) < world_size:
            raise ValueError(f"a dataset of {len(dataset)} samples cannot train {world_size} processes; use fewer")
        super().__init__(dataset, num_replicas=world_size, rank=rank, shuffle=shuffle, seed=seed)  # type: ignore[arg-type]
        self.start = start
        self.set_epoch(start.epoch)
        length = len(dataset)
        self.batch_size = batch_size
        if training:
            self.batch_size = min(batch_size, length - length % world_size)
            length -= 0 if complete else length % self.batch_size
        if complete:
            number = max(1, length // batch_size)
            self._batches = [(length * index // number, length * (index + 1) // number) for index in range(number)]
        else:
            starts = range(0, length, self.batch_size)
            self._batches = [(first, min(first + batch_size, length)) for first in starts]

    def __iter__(self) -> Iterator[int]:
        """Yield this rank's indices of the present epoch, batch after batch."""
        for batch in self.batches():
            yield from batch

    def batches(self) -> Iterator[list[int]]:
        """Yield this rank's share of each global batch of the present epoch."""
        order = self.order(self.epoch)
        done = self.start.batches_done if self.epoch == self.start.epoch else 0
        for batch in self._batches[done:]:
            first, last = self._share(*batch)
            yield order[first:last].tolist()

    @property
    def num_batches(self) -> int:
        """The number of global batches in a whole epoch."""
        return len(self._batches)

    def __len__(self) -> int:
        """Return the number of this rank's indices in a whole epoch, also when a resumed epoch yields fewer."""
        # Lightning counts batches from the beginning of the epoch, hence the full length.
        return sum(last - first for first, last in (self._share(*batch) for batch in self._batches))

    def order(self, epoch: int) -> np.ndarray:
        """Return the global order of all indices in an epoch: int64 (n,)."""
        if not self.shuffle:
            return np.arange(len(self.dataset))  # type: ignore[arg-type]
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))  # type: ignore[arg-type]

    def _share(self, first: int, last: int) -> tuple[int, int]:
        size = last - first
        return first + size * self.rank // self.num_replicas, first + size * (self.rank + 1) // self.num_replicas


class CompleteBatches(BatchSampler):
    """Batches for training that is a sum over the data: every sample exactly once, in order, on any number of ranks.

    There are as many global batches as fill `batch_size`, and what is left over is spread among them: the same batches
    on any number of ranks, of which each gets something of every one, as all must go through the same collectives. The
    shares of a batch differ by one sample at most.

    Args:
        dataset: see `ShardedSampler`.
        batch_size: see `ShardedSampler`.
        rank: see `ShardedSampler`.
        world_size: see `ShardedSampler`.
        start: see `ShardedSampler`.

    Raises:
        ValueError: see `ShardedSampler`.
    """

    sampler: ShardedSampler

    def __init__(
        self,
        dataset: Sized,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        start: Position = Position(),  # noqa: B008 - immutable
    ) -> None:
        sampler = ShardedSampler(dataset, batch_size, rank, world_size, training=True, start=start, complete=True)
        super().__init__(sampler, sampler.batch_size // world_size, drop_last=False)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this rank's indices of the present epoch by batches."""
        return self.sampler.batches()

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch, also when a resumed epoch yields fewer."""
        return self.sampler.num_batches
