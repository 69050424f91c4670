"""Box accuracies against the published protocol, written out threshold by threshold."""

import cv2
import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from tests.zoo.eigencam.ranks import assert_two_processes_equal_one
from zoo.eigencam.boxes import largest_boxes
from zoo.eigencam.localization import LocalizationAccuracy, MaxBoxAcc

IMAGE_SIZE = (48, 60)
EXACT = {"rtol": 0, "atol": 1e-15}


def example(count=12, seed=0):
    """Return smooth maps and boxes that overlap with what they show in all degrees."""
    generator = torch.Generator().manual_seed(seed)
    maps = interpolate(torch.rand(count, 1, 4, 5, generator=generator), scale_factor=3, mode="bicubic")[:, 0]
    corners = torch.rand(count, 3, 2, 2, generator=generator) * torch.tensor([60.0, 48.0])
    boxes = torch.cat((corners.amin(-2), corners.amax(-2) + 1), dim=-1)
    likely = largest_boxes(maps - maps.amin((1, 2), keepdim=True), 0.5) * torch.tensor([4.0, 4.0, 5.0, 4.0])
    boxes[:, 1] = (likely + torch.randn(count, 4, generator=generator)).clamp(0.5, 47)
    boxes[:, 1, 2:] = torch.maximum(boxes[:, 1, 2:], boxes[:, 1, :2] + 1)
    return {
        "maps": maps,
        "boxes": boxes,
        "num_boxes": torch.randint(1, 4, (count,), generator=generator),
        "image_size": IMAGE_SIZE,
    }


def batches(arguments, *sizes):
    parts = {name: arguments[name].split(sizes) for name in ("maps", "boxes", "num_boxes")}
    return [
        {name: part[i] for name, part in parts.items()} | {"image_size": IMAGE_SIZE} for i in range(len(parts["maps"]))
    ]


def inclusive_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0]) + 1
    height = min(a[3], b[3]) - max(a[1], b[1]) + 1
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in (a, b)]
    return width * height / (sum(areas) - width * height)


def by_the_protocol(maps, boxes, num_boxes, image_size, resolution, hierarchy=cv2.RETR_EXTERNAL):
    """Choe et al. with loops over images, the 1000 thresholds, contours and boxes; (4, 1000) counts."""
    counts = np.zeros((4, 1000))
    for scoremap, truth, number in zip(maps.double().numpy(), boxes.double().numpy(), num_boxes.tolist(), strict=True):
        scoremap = scoremap - scoremap.min()
        scoremap = scoremap / scoremap.max() if scoremap.max() > 0 else scoremap
        side = resolution or scoremap.shape[0]
        size = (side, side) if resolution else scoremap.shape[::-1]
        scoremap = cv2.resize(scoremap, size, interpolation=cv2.INTER_LINEAR)
        image = (scoremap * 255).astype(np.uint8)
        factor = [size[0] / image_size[1], size[1] / image_size[0]] * 2
        targets = [[int(c * f) for c, f in zip(box, factor, strict=True)] for box in truth[:number]]
        for index, threshold in enumerate(np.arange(0, 1, 0.001)):
            _, mask = cv2.threshold(image, int(threshold * image.max()), 255, cv2.THRESH_BINARY)
            contours = cv2.findContours(mask, hierarchy, cv2.CHAIN_APPROX_SIMPLE)[0]
            overlaps = []
            for contour in contours:
                x, y, w, h = cv2.boundingRect(contour)
                box = [x, y, min(x + w, size[0] - 1), min(y + h, size[1] - 1)]
                overlaps.append(max(inclusive_iou(box, target) for target in targets))
            if not contours:
                overlaps = [max(inclusive_iou([0, 0, 0, 0], target) for target in targets)]
                largest = 0
            else:
                largest = int(np.argmax([cv2.contourArea(contour) for contour in contours]))
            counts[0, index] += overlaps[largest] >= 0.5
            for row, iou in enumerate((0.3, 0.5, 0.7)):
                counts[1 + row, index] += max(overlaps) >= iou
    return counts


@pytest.mark.parametrize("resolution", [None, 37])
@pytest.mark.parametrize("contours", ["external", "tree"])
def test_max_box_acc_is_the_protocols(resolution, contours):
    arguments = example()
    metric = MaxBoxAcc(resolution, contours)
    for part in batches(arguments, 5, 7):
        metric.update(**part)
    hierarchy = {"external": cv2.RETR_EXTERNAL, "tree": cv2.RETR_TREE}[contours]
    counts = by_the_protocol(**arguments, resolution=resolution, hierarchy=hierarchy)
    assert np.array_equal(metric.correct, counts[0])
    assert np.array_equal(metric.correct_v2, counts[1:])
    result = metric.compute()
    assert result["max_box_acc"] == pytest.approx(counts[0].max() / 12)
    assert 0.2 < result["max_box_acc"] < 0.95  # or the example would prove nothing
    assert result["max_box_acc_tau"] == pytest.approx(counts[0].argmax() / 1000)
    for row, iou in enumerate((30, 50, 70)):
        assert result[f"max_box_acc_v2_iou{iou}"] == pytest.approx(counts[1 + row].max() / 12)
    assert result["max_box_acc_v2"] == pytest.approx(counts[1:].max(1).mean() / 12)


def test_max_box_acc_at_the_published_resolution():
    arguments = {name: value[:2] for name, value in example(seed=3).items()}
    metric = MaxBoxAcc()
    metric.update(**arguments | {"image_size": IMAGE_SIZE})
    counts = by_the_protocol(**arguments | {"image_size": IMAGE_SIZE}, resolution=224)
    # OpenCV and PyTorch may disagree in the last bit of a pixel, hence in its grey value, at a few thresholds.
    assert np.abs(metric.correct.numpy() - counts[0]).mean() < 0.01
    assert np.abs(metric.correct_v2.numpy() - counts[1:]).mean() < 0.01


def test_a_map_of_the_object_is_right_at_every_threshold():
    maps = torch.zeros(1, 48, 60)
    maps[0, 10:20, 5:25] = 3.0
    metric = MaxBoxAcc(resolution=None)
    metric.update(maps - 1, torch.tensor([[[5.0, 10, 25, 20]]]), torch.tensor([1]), IMAGE_SIZE)
    assert (metric.correct == 1).all()
    assert {name: float(value) for name, value in metric.compute().items()} == {
        "max_box_acc": 1,
        "max_box_acc_tau": 0,
        "max_box_acc_v2": 1,
        "max_box_acc_v2_iou30": 1,
        "max_box_acc_v2_iou50": 1,
        "max_box_acc_v2_iou70": 1,
    }


def test_v2_takes_the_best_contour_and_a_constant_map_is_wrong():
    maps = torch.zeros(2, 20, 20)
    maps[0, 1:4, 1:4], maps[0, 10:18, 10:18] = 1.0, 1.0
    metric = MaxBoxAcc(resolution=None)
    metric.update(maps, torch.tensor([[[1.0, 1, 4, 4]], [[5, 5, 15, 15]]]), torch.tensor([1, 1]), (20, 20))
    result = metric.compute()
    assert result["max_box_acc"] == 0
    assert result["max_box_acc_v2_iou70"] == result["max_box_acc_v2"] == 0.5


def test_localization_accuracy():
    maps = torch.zeros(4, 12, 15)
    maps[:, 2:6, 3:9] = 1.0  # 12..36 x 8..24 in an image of 60 x 48
    maps[3] = 0.0
    boxes = torch.zeros(4, 2, 4)
    boxes[:, 0] = torch.tensor([12.0, 8, 36, 24])
    boxes[1, 0] = torch.tensor([0.0, 0, 8, 8])  # wrong, and the padding behind it would be right
    boxes[:, 1] = torch.tensor([12.0, 8, 36, 24])
    labels, logits = torch.tensor([2, 2, 0, 1]), torch.eye(7)[[2, 2, 1, 1]]
    logits[2, 0] = 0.5
    metric = LocalizationAccuracy(tau=0.5, iou_threshold=0.99)
    arguments = {"image_size": IMAGE_SIZE, "logits": logits, "labels": labels}
    metric.update(maps.repeat_interleave(4, 1).repeat_interleave(4, 2), boxes, torch.ones(4, dtype=int), **arguments)
    assert {name: float(value) for name, value in metric.compute().items()} == {
        "gt_known": 0.5,
        "loc1": 0.25,
        "loc5": 0.5,
    }

    known = LocalizationAccuracy(tau=0.5, top=())
    known.update(maps, boxes, torch.full((4,), 2), IMAGE_SIZE)
    assert {name: float(value) for name, value in known.compute().items()} == {"gt_known": 0.75}


def test_localization_accuracy_by_loops():
    arguments = example(20)
    generator = torch.Generator().manual_seed(5)
    logits, labels = torch.randn(20, 8, generator=generator), torch.randint(8, (20,), generator=generator)
    metric = LocalizationAccuracy(tau=0.4, iou_threshold=0.4, top=(1, 2, 9))
    metric.update(**arguments, logits=logits, labels=labels)
    counts = np.zeros(4)
    for i, scoremap in enumerate(arguments["maps"].double().numpy()):
        scoremap = scoremap - scoremap.min()
        scoremap = cv2.resize(scoremap / scoremap.max(), IMAGE_SIZE[::-1], interpolation=cv2.INTER_LINEAR)
        mask = (scoremap > 0.4 * scoremap.max()).astype(np.uint8)
        contours = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
        x, y, w, h = cv2.boundingRect(max(contours, key=cv2.contourArea))
        best = 0.0
        for x0, y0, x1, y1 in arguments["boxes"][i, : arguments["num_boxes"][i]].tolist():
            overlap = max(0, min(x + w, x1) - max(x, x0)) * max(0, min(y + h, y1) - max(y, y0))
            best = max(best, overlap / (w * h + (x1 - x0) * (y1 - y0) - overlap))
        order = logits[i].argsort(descending=True).tolist()
        counts += [best >= 0.4, *(best >= 0.4 and labels[i] in order[:k] for k in (1, 2, 9))]
    result = metric.compute()
    assert list(result) == ["gt_known", "loc1", "loc2", "loc9"]
    assert [float(value) for value in result.values()] == pytest.approx(counts / 20)
    assert 0 < counts[1] < counts[2] < counts[3] == counts[0] < 20


@pytest.mark.timeout(120)
def test_two_processes_equal_one(tmp_path):
    parts = batches(example(), 2, 3, 7)
    for name, build in (("max_box_acc", lambda: MaxBoxAcc(20)), ("gt_known", lambda: LocalizationAccuracy(top=()))):
        (tmp_path / name).mkdir()
        assert_two_processes_equal_one(tmp_path / name, build, parts, **EXACT)


def test_updates_under_inference_mode_can_go_on_outside():
    parts = batches(example(), 6, 6)
    mixed, plain = MaxBoxAcc(20), MaxBoxAcc(20)
    with torch.inference_mode():
        mixed.update(**parts[0])
    mixed.update(**parts[1])
    for part in parts:
        plain.update(**part)
    torch.testing.assert_close(mixed.compute(), plain.compute(), **EXACT)


def test_no_image_gives_nan():
    metric = MaxBoxAcc(20)
    empty = example()
    metric.update(**{name: value[:0] for name, value in empty.items()} | {"image_size": IMAGE_SIZE})
    assert metric.compute()["max_box_acc"].isnan()


@pytest.mark.parametrize("metric", [MaxBoxAcc(20), LocalizationAccuracy(top=())])
def test_bad_input_is_refused(metric):
    good = example(2)
    nan = good["maps"].clone()
    nan[1, 0, 0] = torch.nan
    for name, value, message in (
        ("maps", nan, "maps='NaN or infinity'"),
        ("maps", good["maps"][0], r"maps=\(12, 15\) is not allowed; give a tensor of shape \(B, h, w\)"),
        ("maps", good["maps"].int(), "floating-point"),
        ("boxes", good["boxes"] * 0, "x0 < x1"),
        ("boxes", good["boxes"][:1], "boxes"),
        ("num_boxes", torch.tensor([0, 1]), "each map needs a box"),
        ("image_size", (0, 60), "image_size"),
    ):
        with pytest.raises(ValueError, match=message):
            metric.update(**good | {name: value})


def test_bad_arguments_are_refused():
    for build, message in (
        (lambda: MaxBoxAcc(0), "resolution=0"),
        (lambda: MaxBoxAcc(contours="all"), "contours='all'"),
        (lambda: LocalizationAccuracy(tau=1.5), "tau=1.5"),
        (lambda: LocalizationAccuracy(iou_threshold=0), "iou_threshold=0"),
        (lambda: LocalizationAccuracy(top=(0,)), "top="),
        (lambda: LocalizationAccuracy().update(**example(2)), "needs logits and labels"),
        (
            lambda: LocalizationAccuracy().update(**example(2), logits=torch.zeros(3, 4), labels=torch.zeros(2).long()),
            "logits and labels=",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            build()
