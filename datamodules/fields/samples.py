"""Samples of fields, held as whole arrays."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

Sample = dict[str, Tensor]
Batch = dict[str, Tensor]


class FieldSamples(Sequence[Sample]):
    """Samples by their position.

    Args:
        entries: (number of samples, ...) each, by the names of `datamodules.fields.keys`.
    """

    def __init__(self, entries: dict[str, Tensor]) -> None:
        self.entries = entries

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(next(iter(self.entries.values())))

    def __getitem__(self, index: int) -> Sample:  # type: ignore[override] # no slices
        """Return a sample."""
        return {name: entry[index] for name, entry in self.entries.items()}


def collate_fields(samples: list[Sample]) -> Batch:
    """Return the batch of some samples."""
    return {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}
