"""Average drop and increase image by image."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from tests.tolerances import NETWORK, tolerance
from tests.zoo.eigencam.classifiers import SIZE, batches, classifier, example, probability
from tests.zoo.eigencam.ranks import assert_two_processes_equal_one
from zoo.eigencam.faithfulness import AverageDrop, confidence

CLOSE = tolerance(torch.float64, NETWORK)


@pytest.mark.parametrize("batch_size", [64, 2])
def test_average_drop_image_by_image(batch_size):
    arguments = example(9)
    metric = AverageDrop(batch_size)
    for part in batches(arguments, 6, 3):
        metric.update(**part)
    heatmaps = interpolate(arguments["maps"][:, None], size=SIZE, mode="bilinear", align_corners=False)
    drops, increases, absolute = [], [], []
    for image, heatmap, label in zip(arguments["images"], heatmaps, arguments["classes"], strict=True):
        before = probability(arguments["network"], image, label)
        after = probability(arguments["network"], image * heatmap, label)
        drops.append(max(0, before - after) / before)
        increases.append(after > before)
        absolute.append(max(0, before - after))
    assert 0 < np.mean(increases) < 1
    expected = {"average_drop": np.mean(drops), "average_increase": np.mean(increases)}
    expected["absolute_drop"] = np.mean(absolute)
    assert {name: float(value) for name, value in metric.compute().items()} == pytest.approx(expected, **rel())


def rel():
    return {"rel": CLOSE["rtol"], "abs": CLOSE["atol"]}


def test_closed_forms():
    """A network whose logits are the mean colours."""
    images = torch.ones(2, 3, 4, 4)
    images[:, 0] = 2.0
    for heatmap, drop in ((1.0, 0.0), (0.0, 1 - (1 / 3) / (np.e / (np.e + 2)))):
        metric = AverageDrop()
        metric.update(lambda x: x.mean((2, 3)), images, torch.full((2, 4, 4), heatmap), torch.tensor([0, 0]))
        result = metric.compute()
        assert float(result["average_drop"]) == pytest.approx(drop, abs=1e-7)
        assert result["average_increase"] == 0
    rising = AverageDrop()
    rising.update(lambda x: x.mean((2, 3)), images, torch.zeros(2, 4, 4), torch.tensor([1, 2]))
    assert rising.compute()["average_increase"] == 1


def test_a_class_without_any_confidence_loses_none():
    metric = AverageDrop()
    metric.update(lambda x: x.mean((2, 3)) * 1e6, torch.rand(1, 3, 4, 4), torch.ones(1, 4, 4), torch.tensor([1]))
    assert not metric.compute()["average_drop"].isnan()


@pytest.mark.timeout(120)
def test_two_processes_equal_one(tmp_path):
    assert_two_processes_equal_one(tmp_path, AverageDrop, batches(example(7), 1, 2, 4), **CLOSE)


def test_sums_stay_exact_when_the_module_is_cast():
    metric = torch.nn.ModuleList([AverageDrop()]).to(torch.bfloat16)[0]
    parts = batches(example(7), 3, 4)
    plain = AverageDrop()
    with torch.inference_mode():
        for each in (metric, plain):
            each.update(**parts[0])
    for each in (metric, plain):
        each.update(**parts[1])
    torch.testing.assert_close(metric.compute(), plain.compute(), rtol=0, atol=0)


def test_no_gradient_is_recorded():
    arguments = example(3)
    arguments["images"].requires_grad_()
    metric = AverageDrop()
    metric.update(**arguments)
    assert not metric.drop.requires_grad


def test_bad_input_is_refused():
    good = example(3)
    for name, value, message in (
        ("network", classifier().train(), r"network='a module in training mode'.*network.eval\(\)"),
        ("network", lambda x: x, "logits of shape"),
        ("images", good["images"][0], r"images=\(3, 12, 15\)"),
        ("images", good["images"][:2], "maps="),
        ("maps", good["maps"] * 2, r"maps='outside \[0, 1\]"),
        ("maps", good["maps"] * torch.nan, "maps='NaN or infinity'"),
        ("classes", good["classes"].float(), "int64"),
        ("classes", good["classes"] + 5, "numbers from 0 to 4"),
        ("classes", good["classes"][:1], "classes="),
    ):
        with pytest.raises(ValueError, match=message):
            AverageDrop().update(**good | {name: value})
    with pytest.raises(ValueError, match="batch_size=0"):
        AverageDrop(0)


def test_confidence_is_a_probability_in_any_chunks():
    arguments = example(5)
    every = [
        confidence(arguments["network"], arguments["images"], torch.full((5,), label), size)
        for label, size in zip(range(5), (1, 2, 3, 5, 9), strict=True)
    ]
    torch.testing.assert_close(sum(every), torch.ones(5, dtype=torch.float64), **CLOSE)
