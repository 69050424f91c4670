"""The score of a class in what a network answers: logits of an image, or of its pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from zoo.checks import require


def logits_of(output: Any) -> Tensor | None:
    """Return the logits in a network's output: (B, K), (B, K, H, W) of pixels, or None where there are none.

    Segmentation networks of torchvision answer a dict with "out"; classifiers with auxiliary heads a tuple in training
    only. Detections have no logits.
    """
    if isinstance(output, dict):
        output = output.get("out")
    return output if isinstance(output, Tensor) and output.dim() in (2, 4) else None


def predicted_classes(output: Any) -> Tensor:
    """Return the class of each image, (B,) int64; of pixels the most frequent one, but 0, the background, only alone.

    Raises:
        ValueError: the output has no logits.
    """
    logits = _required(output)
    if logits.dim() == 2:
        return logits.argmax(1)
    counts = _predicted_pixels(logits).flatten(2).sum(2)
    objects = counts.clone()
    objects[:, 0] = 0
    return torch.where(objects.sum(1) > 0, objects.argmax(1), counts.argmax(1))


def class_score(output: Any, classes: Tensor) -> Tensor:
    """Return the sum over images of the scores of their classes, whose gradients do not mix images.

    The score is the logit; for pixels, the sum of the logits of the pixels that are predicted to be of the class.

    Args:
        output: of a network.
        classes: (B,) int64.

    Raises:
        ValueError: the output has no logits, or a class is out of range.
    """
    logits = _required(output)
    number, num_classes = logits.shape[:2]
    allowed = f"({number},) int64, from 0 to {num_classes - 1}"
    require(classes.shape == (number,) and not classes.is_floating_point(), "classes", classes, allowed)
    require(bool(((classes >= 0) & (classes < num_classes)).all()), "classes", classes.tolist(), allowed)
    rows = torch.arange(number, device=logits.device)
    chosen = logits[rows, classes]
    if logits.dim() == 4:
        chosen = chosen * _predicted_pixels(logits)[rows, classes]
    return chosen.sum()


def _predicted_pixels(logits: Tensor) -> Tensor:
    return torch.zeros_like(logits, dtype=torch.bool).scatter_(1, logits.detach().argmax(1, keepdim=True), True)


def _required(output: Any) -> Tensor:
    logits = logits_of(output)
    if logits is None:
        raise ValueError(
            f"the network answers a {type(output).__name__} without class scores; give a map without gradients, "
            "such as method='eigen'"
        )
    return logits
