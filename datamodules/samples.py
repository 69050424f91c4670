"""Samples that are held in memory as whole tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Sample = dict[str, Tensor]
Batch = dict[str, Tensor]


class TensorSamples(Sequence[Sample]):
    """Samples by their position; a batch is gathered at once.

    Args:
        entries: tensors with the same first dimension, by their names in `datamodules.keys`.
    """

    def __init__(self, entries: dict[str, Tensor]) -> None:
        self.entries = entries

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(next(iter(self.entries.values())))

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] # no slices
        """Return a sample."""
        return {key: entry[index] for key, entry in self.entries.items()}

    def __getitems__(self, indices: list[int]) -> Batch:
        """Return the batch of some samples; torch's loaders look for this method."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return {key: entry[rows] for key, entry in self.entries.items()}


def collate(samples: Batch | list[Sample]) -> Batch:
    """Return the batch of some samples, which may have been gathered already."""
    if isinstance(samples, dict):
        return samples
    return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}
