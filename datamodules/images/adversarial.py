"""Adversarial images within an L-infinity ball: FGSM (Goodfellow et al., 2015) and PGD (Madry et al., 2018).

The ball is one of pixels in [0, 1], although networks get normalised images: with the standard deviation s of a
channel, a change of epsilon there is one of epsilon / s here. Nothing is rounded to 8 bits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from datamodules.images.normalization import Normalization


def fgsm(model: nn.Module, images: Tensor, labels: Tensor, eps: float, *, normalization: Normalization) -> Tensor:
    """Return x + eps sign(d loss / d x), within [0, 1], of images x.

    Args:
        model: maps images to logits (B, classes); run in evaluation mode, and left as it was.
        images: (B, 3, H, W), normalised, of a floating dtype.
        labels: (B,) int64, or (B, classes) floating where several classes may be present.
        eps: largest change of a pixel in [0, 1], >= 0.
        normalization: of the images.

    Returns:
        The attacked images, normalised, of the same dtype.

    Raises:
        ValueError: `eps` is negative.
    """
    return pgd(model, images, labels, eps, steps=1, step_size=eps, normalization=normalization)


def pgd(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    eps: float,
    steps: int = 10,
    step_size: float | None = None,
    *,
    normalization: Normalization,
) -> Tensor:
    """Return images that projected gradient ascent of the loss has found.

    The first step starts from the image itself, not from a random point of the ball, so that the result is a function
    of the arguments (the basic iterative method of Kurakin et al., 2017).

    Args:
        model: maps images to logits (B, classes); run in evaluation mode, and left as it was.
        images: (B, 3, H, W), normalised, of a floating dtype.
        labels: (B,) int64, or (B, classes) floating where several classes may be present.
        eps: largest change of a pixel in [0, 1], >= 0.
        steps: number of gradients, >= 1.
        step_size: change of a pixel in [0, 1] by each step, > 0 unless eps is 0; by default eps / 4.
        normalization: of the images.

    Returns:
        The attacked images, normalised, of the same dtype.

    Raises:
        ValueError: an argument is out of its range.
    """
    step_size = eps / 4 if step_size is None else step_size
    for name, value in (("eps", eps), ("step_size", step_size)):
        if not 0 <= value <= 1:
            raise ValueError(f"{name}={value} is not allowed; give a number between 0 and 1")
    if steps < 1:
        raise ValueError(f"steps={steps} is not allowed; give an integer >= 1")
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        # Tensors made under inference mode, in which Lightning evaluates, can have no gradient; their copies can.
        with torch.inference_mode(False), torch.enable_grad():
            return _ascend(model, images.clone(), labels.clone(), eps, steps, step_size, normalization)
    finally:
        for module in training:
            module.training = True


def _ascend(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    eps: float,
    steps: int,
    step_size: float,
    normalization: Normalization,
) -> Tensor:
    # In half precision, steps would be rounded to nothing.
    clean = images if images.dtype == torch.float64 else images.float()
    unit = clean.new_tensor(normalization.std)[:, None, None]
    black, white = (normalization.normalize(clean.new_full((3, 1, 1), level)) for level in (0.0, 1.0))
    lower = torch.minimum(torch.maximum(clean - eps / unit, black), clean)
    upper = torch.maximum(torch.minimum(clean + eps / unit, white), clean)
    attacked = clean
    for _ in range(steps):
        attacked = attacked.detach().requires_grad_()
        logits = model(attacked.to(images.dtype)).to(clean.dtype)
        (gradient,) = torch.autograd.grad(_loss(logits, labels), attacked)
        attacked = (attacked.detach() + step_size * gradient.sign() / unit).clamp(lower, upper)
    return attacked.to(images.dtype)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    # A sum, so that no image depends on its batch.
    if labels.is_floating_point():
        return nn.functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="sum")
    return nn.functional.cross_entropy(logits, labels, reduction="sum")
