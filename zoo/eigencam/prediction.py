"""What is told of a user's images: heatmaps, boxes, and the classes of classifiers."""

from __future__ import annotations

import warnings

from torch import Tensor

from zoo.eigencam.boxes import largest_boxes
from zoo.eigencam.scores import logits_of
from zoo.eigencam.settings import MapSettings
from zoo.eigencam.view import View

ARBITRARY = 0.98
"""Above this ratio of the first two singular values another solver, or a little noise, may draw another map."""


def predict_maps(
    view: View,
    images: Tensor,
    settings: MapSettings,
    threshold: float,
    classes: Tensor | None = None,
    frame: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return what the network looks at.

    Args:
        view: the network.
        images: (B, 3, H, W), as it takes them.
        settings: which map.
        threshold: share of a heatmap's maximum above which boxes are cut.
        classes: (B,) int64, for maps that are of a class; by default the predicted ones.
        frame: (B, 4), what part of the original image each shows, see `datamodules.keys`; None for the image itself.

    Returns:
        `heatmap` (B, H, W) in [0, 1]; `raw` (B, h, w), the map of the first layer; `gap` (B,), near 1 where the map is
        arbitrary; `boxes` (B, 4), end-exclusive, of the largest part above the threshold, in pixels of the original
        image; and of classifiers `logits` (B, K).

    Warns:
        UserWarning: some maps are arbitrary, their gap is above `ARBITRARY`.
    """
    observation, explanation = view.explain(images, settings, classes)
    arbitrary = int((explanation.gap > ARBITRARY).sum())
    if arbitrary:
        warnings.warn(
            f"{arbitrary} of {len(images)} maps are arbitrary: their second singular value is nearly the first",
            stacklevel=2,
        )
    boxes = largest_boxes(explanation.heatmap, threshold)
    if frame is not None:
        height, width = observation.size
        share = boxes / boxes.new_tensor([width, height] * 2)
        first, last = frame[:, [0, 1, 0, 1]].to(boxes), frame[:, [2, 3, 2, 3]].to(boxes)
        boxes = first + share * (last - first)
    prediction = {"heatmap": explanation.heatmap, "raw": explanation.raw[0], "gap": explanation.gap, "boxes": boxes}
    logits = logits_of(observation.output)
    return prediction | ({} if logits is None or logits.dim() != 2 else {"logits": logits})


def columns_of(prediction: dict[str, Tensor], class_names: list[str] | None) -> dict[str, Tensor | list[str]]:
    """Return class and probability of classifiers, the box and the gap, with one value per image.

    Args:
        prediction: from `predict_maps`.
        class_names: names of the classes; None numbers them.
    """
    columns: dict[str, Tensor | list[str]] = {}
    if "logits" in prediction:
        probability, predicted = prediction["logits"].softmax(1).max(1)
        names = class_names or list(map(str, range(prediction["logits"].size(1))))
        columns |= {"class": [names[number] for number in predicted.tolist()], "probability": probability}
    corners = prediction["boxes"].unbind(1)
    return columns | dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)) | {"gap": prediction["gap"]}
