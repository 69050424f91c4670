"""Average precision of pixels, threshold by threshold."""

import cv2
import numpy as np
import pytest
import torch

from tests.zoo.eigencam.ranks import assert_two_processes_equal_one
from zoo.eigencam.pixel_ap import PixelAP


def example(count=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    masks = torch.tensor([0, 0, 1, 255], dtype=torch.uint8)[torch.randint(4, (count, 3, 4), generator=generator)]
    maps = (masks == 1) + torch.randn(count, 3, 4, generator=generator)
    return {"maps": maps, "masks": masks.repeat_interleave(4, 1).repeat_interleave(4, 2)}


def test_area_is_that_of_the_curve_point_by_point():
    arguments = example()
    metric = PixelAP()
    for start in (0, 2):
        metric.update(**{name: value[start : start + (2 if start == 0 else 4)] for name, value in arguments.items()})
    scores, truth = [], []
    for scoremap, mask in zip(arguments["maps"].double().numpy(), arguments["masks"].numpy(), strict=True):
        scoremap = scoremap - scoremap.min()
        resized = cv2.resize(scoremap / scoremap.max(), mask.shape[::-1], interpolation=cv2.INTER_LINEAR)
        scores.append(resized[mask != 255])
        truth.append(mask[mask != 255] == 1)
    scores, truth = np.concatenate(scores), np.concatenate(truth)
    area, recall_before = 0.0, 0.0
    for threshold in [1.0, *np.arange(0, 1, 0.001)[::-1]]:
        predicted = scores >= threshold
        if predicted.any():
            recall = (predicted & truth).sum() / truth.sum()
            area += (predicted & truth).sum() / predicted.sum() * (recall - recall_before)
            recall_before = recall
    assert float(metric.compute()) == pytest.approx(area, abs=1e-4)
    assert 0.3 < area < 0.95


def test_coarse_grades_give_the_average_precision_of_all_pixels():
    """With values of whole thousandths the curve has every point there is."""
    generator = torch.Generator().manual_seed(1)
    grades = torch.randint(1001, (1, 30, 30), generator=generator)
    grades[0, 0, 0], grades[0, 0, 1] = 0, 1000
    masks = (torch.rand(1, 30, 30, generator=generator) * 1000 < grades).byte()
    metric = PixelAP()
    metric.update(torch.from_numpy(np.append(np.arange(0, 1, 0.001), 1.0))[grades], masks)
    order = grades.flatten().argsort(descending=True)
    values, hits = grades.flatten()[order], masks.flatten()[order].double()
    last = torch.cat((values[1:] != values[:-1], torch.tensor([True])))
    precision = (hits.cumsum(0) / torch.arange(1, 901))[last]
    recall = (hits.cumsum(0) / hits.sum())[last]
    expected = (precision * recall.diff(prepend=torch.zeros(1).double())).sum()
    assert float(metric.compute()) == pytest.approx(float(expected), rel=1e-12)


def test_closed_forms():
    masks = example()["masks"]
    perfect = PixelAP()
    perfect.update((masks == 1).float() + torch.where(masks == 255, 0.5, 0.0), masks)
    assert perfect.compute() == 1
    constant = PixelAP()
    constant.update(torch.full(masks.shape, 3.0), masks)
    assert float(constant.compute()) == pytest.approx(float((masks == 1).sum() / (masks != 255).sum()))
    nearly = PixelAP()
    nearly.update(torch.tensor([[[0.0, 0.9995, 1.0]]]), torch.tensor([[[0, 0, 1]]]).byte())
    assert nearly.compute() == 1  # what attains 1 is above what nearly does
    nothing = PixelAP()
    nothing.update(torch.rand(1, 4, 4), torch.zeros(1, 4, 4).byte())
    assert nothing.compute().isnan()


@pytest.mark.timeout(120)
def test_two_processes_equal_one(tmp_path):
    arguments = example()
    parts = [{name: value[a:b] for name, value in arguments.items()} for a, b in ((0, 1), (1, 3), (3, 6))]
    assert_two_processes_equal_one(tmp_path, PixelAP, parts, rtol=0, atol=1e-15)


def test_bad_input_is_refused():
    good = example()
    for name, value, message in (
        ("maps", good["maps"] * torch.inf, "maps='NaN or infinity'"),
        ("masks", good["masks"] + 1, "0 for background, 1 for object, 255 for ignored"),
        ("masks", good["masks"][:2], "masks="),
        ("masks", good["masks"][0], "masks="),
    ):
        with pytest.raises(ValueError, match=message):
            PixelAP().update(**good | {name: value})
