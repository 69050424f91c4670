"""Numbers that choose something: cells, classes, groups of images."""

from __future__ import annotations

from torch import Tensor

from zoo.checks import require


def check_indices(name: str, indices: Tensor, count: int, number: int | None = None) -> None:
    """Refuse what chooses nothing; a negative number would choose from the end.

    Args:
        name: of the argument, for the message.
        indices: (B,) integers.
        count: how many there are to choose from.
        number: B, if it is known.

    Raises:
        ValueError: the shape is another, a number is no integer, or not one from 0 to `count` - 1.
    """
    shape = tuple(indices.shape)
    fine = len(shape) == 1 and (number is None or shape == (number,)) and not indices.is_floating_point()
    allowed = f"({'B' if number is None else number},) integers from 0 to {count - 1}"
    require(fine, name, f"{shape} {indices.dtype}", allowed)
    outside = indices[(indices < 0) | (indices >= count)]
    require(len(outside) == 0, name, outside[:3].tolist(), allowed)
