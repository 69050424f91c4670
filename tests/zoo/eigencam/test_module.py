"""The LightningModule around any network."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import label
from torch import nn
from torchvision.models import squeezenet1_1

import checkpoints
from checkpoints.schema import PROVENANCE
from datamodules.images import ShapeTex
from datamodules.images.shapetex import CLASSES
from tests.paths import SHARED
from trainers import build_trainer
from zoo.eigencam import EigenCAM

TINY = {"class_names": list(CLASSES), "network_kwargs": {"widths": [4, 8, 8]}, "resolution": None}


def tiny(**arguments):
    torch.manual_seed(0)
    return EigenCAM(**{**TINY, **arguments})


def datamodule(**arguments):
    return ShapeTex(**{"num_train": 16, "num_val": 8, "num_test": 8, "batch_size": 8, **arguments})


def trainer(folder, **arguments):
    quiet = {"logger": None, "enable_progress_bar": False, "enable_model_summary": False, "preset": "cpu"}
    return build_trainer(output=folder, **quiet, **arguments)


def test_logits_are_those_of_the_network_bit_for_bit():
    network = squeezenet1_1(num_classes=4).eval()
    module = EigenCAM.wrap(network, class_names=list("abcd")).eval()
    images = torch.randn(2, 3, 64, 64)
    expected = network(images)
    assert torch.equal(module(images), expected)
    assert torch.equal(module.predict_step({"image": images})["logits"], expected)
    assert torch.equal(module.cam(images, method="grad")[0].output, expected)


def test_a_wrapped_network_trains_and_predicts(tmp_path):
    module = EigenCAM.wrap(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6))
    )
    before = [parameter.clone() for parameter in module.parameters()]
    runner = trainer(tmp_path, max_epochs=1)
    runner.fit(module, datamodule())
    assert all(not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))
    assert {"val/accuracy", "val/max_box_acc", "val/pixel_ap"} <= runner.callback_metrics.keys()


def test_a_wrapped_network_cannot_be_exported(tmp_path):
    module = EigenCAM.wrap(squeezenet1_1(num_classes=6))
    with pytest.raises(checkpoints.CheckpointError, match="wrap"):
        checkpoints.save(
            module,
            tmp_path / "mine",
            metrics={},
            provenance=dict.fromkeys(PROVENANCE),
            reference_batch={"image": torch.randn(1, 3, 48, 48)},
        )


def test_all_maps_are_judged_in_the_test(tmp_path):
    module = tiny(compare={"centred": {"mode": "centered"}, "Grad-CAM": {"method": "grad"}})
    metrics = trainer(tmp_path).test(module, datamodule(), verbose=False)[0]
    for name in ("", "centred/", "Grad-CAM/"):
        assert {f"test/{name}max_box_acc", f"test/{name}pixel_ap", f"test/{name}pointing"} <= metrics.keys()
    assert "test/accuracy" in metrics
    (figure,) = module.figures().values()
    assert len(figure.axes) == 4 * 8


def test_faithfulness_is_judged_on_demand(tmp_path):
    module = tiny(judged_by=["faithfulness"])
    metrics = trainer(tmp_path, limit_test_batches=1).test(module, datamodule(num_test=2, batch_size=2), verbose=False)[
        0
    ]
    assert {"test/average_drop", "test/insertion", "test/deletion", "test/road", "test/adcc"} <= metrics.keys()
    assert "test/max_box_acc" not in metrics


def test_attacked_images_are_judged(tmp_path):
    module = tiny(settings={"method": "grad"})
    clean = trainer(tmp_path / "clean").test(module, datamodule(), verbose=False)[0]
    attacked = trainer(tmp_path / "attacked").test(module, datamodule(attack="fgsm"), verbose=False)[0]
    assert attacked["test/map_correlation"] < 1
    assert "test/map_correlation" not in clean


def test_several_classes_per_image():
    module = tiny(multilabel=True)
    module.log = lambda *args, **kwargs: None
    images, labels = torch.randn(4, 3, 48, 48), torch.randint(2, (4, 6)).float()
    loss = module.training_step({"image": images, "label": labels})
    expected = nn.functional.binary_cross_entropy_with_logits(module(images), labels)
    torch.testing.assert_close(loss, expected)


def test_the_layer_follows_the_size_of_the_image():
    module = tiny()
    assert module.cam(torch.randn(1, 3, 48, 48))[1].raw[0].shape == (1, 12, 12)
    assert module.cam(torch.randn(1, 3, 32, 64))[1].raw[0].shape == (1, 8, 16)
    assert tiny(layers=["features.2"]).cam(torch.randn(1, 3, 48, 48))[1].raw[0].shape == (1, 48, 48)


def test_class_names_decide_the_number_of_logits():
    assert tiny(class_names=["a", "b"])(torch.randn(1, 3, 48, 48)).shape == (1, 2)
    with pytest.raises(ValueError, match=r"network_kwargs\.num_classes=3"):
        tiny(network_kwargs={"num_classes": 3})


def test_class_names_are_those_of_the_data(tmp_path):
    module = tiny(class_names=None, network_kwargs={"widths": [4], "num_classes": 6})
    trainer(tmp_path / "own", max_epochs=1, limit_val_batches=0).fit(module, datamodule())
    assert module.class_names == module.hparams["class_names"] == list(CLASSES)
    assert EigenCAM(**module.hparams).class_names == list(CLASSES)
    with pytest.raises(ValueError, match="class_names="):
        trainer(tmp_path / "other").test(tiny(class_names=list("abcdef")), datamodule())


def test_a_network_without_class_scores_does_not_train():
    module = EigenCAM.wrap(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()))
    module.log = lambda *args, **kwargs: None
    with pytest.raises(ValueError, match="needs a classifier"):
        module.training_step({"image": torch.randn(2, 3, 8, 8), "label": torch.tensor([0, 1])})
    assert "logits" not in module.predict_step({"image": torch.randn(2, 3, 8, 8)})


PHOTOGRAPHS = SHARED / "data" / "eigencam" if SHARED else None
MEAN, STD = (torch.tensor(values)[:, None, None] for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


@pytest.fixture(scope="module")
def photographs():
    """Four photographs and SqueezeNet with ImageNet's weights: what is stored, what is predicted, the module."""
    if PHOTOGRAPHS is None or not PHOTOGRAPHS.is_dir():
        pytest.skip("the real photographs are not here")
    weights = str(PHOTOGRAPHS / "squeezenet1_0_imagenet_deepcompressed.npz")
    module = EigenCAM("torchvision", {"name": "squeezenet1_0"}, weights=weights).eval()
    stored = dict(np.load(PHOTOGRAPHS / "images_224.npz"))
    pixels = torch.from_numpy(stored["images"]).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        return stored, module.predict_step({"image": (pixels - MEAN) / STD}), module


def test_photographs_have_the_expected_classes(photographs):
    stored, predicted, _ = photographs
    assert set(predicted["logits"].argmax(1).tolist()) == {285, 967, 872, 733}
    torch.testing.assert_close(predicted["logits"], torch.from_numpy(stored["logits"]), rtol=1e-3, atol=1e-3)


def test_maxima_lie_on_the_objects_but_for_the_rocket(photographs):
    stored, predicted, _ = photographs
    boxes = json.loads((PHOTOGRAPHS / "boxes.json").read_text())
    for name, heatmap in zip(stored["names"].tolist(), predicted["heatmap"], strict=True):
        stem = name.split(".")[0]
        (file,) = (key for key in boxes if key.startswith(stem))
        with Image.open(next(PHOTOGRAPHS.glob(f"{stem}.*"))) as image:
            width, height = image.size
        y, x = divmod(int(heatmap.argmax()), 224)
        x0, y0, x1, y1 = boxes[file][0]["box"]
        inside = x0 <= (x + 0.5) * width / 224 < x1 and y0 <= (y + 0.5) * height / 224 < y1
        assert inside == (stem != "rocket"), name


def test_loaded_weights_are_not_loaded_again(photographs):
    assert photographs[2].hparams["weights"] is None


# Best overlap over thresholds of the largest 4-connected part with the first box of each photograph.
OVERLAPS = {
    "paper": {"chelsea": 0.92, "coffee": 0.92, "camera": 0.54, "rocket": 0.10},
    "centered": {"chelsea": 0.18, "coffee": 0.95, "camera": 0.58, "rocket": 0.07},
}


@pytest.mark.parametrize("mode", OVERLAPS)
def test_boxes_on_the_photographs(photographs, mode):
    stored, _, module = photographs
    boxes = json.loads((PHOTOGRAPHS / "boxes.json").read_text())
    pixels = torch.from_numpy(stored["images"]).permute(0, 3, 1, 2).float() / 255
    # The centred map of "camera" has hardly any covariance with the energy, and the other sign by that rule.
    heatmaps = module.cam((pixels - MEAN) / STD, mode=mode, sign="mean")[1].heatmap
    for name, heatmap in zip(stored["names"].tolist(), heatmaps.numpy(), strict=True):
        stem = name.split(".")[0]
        (file,) = (key for key in boxes if key.startswith(stem))
        with Image.open(next(PHOTOGRAPHS.glob(f"{stem}.*"))) as image:
            scale = np.array([224 / image.width, 224 / image.height] * 2)
        true = np.array(boxes[file][0]["box"]) * scale
        overlap = max(box_overlap(heatmap > threshold, true) for threshold in np.arange(0.05, 1, 0.05))
        assert overlap == pytest.approx(OVERLAPS[mode][stem], abs=0.02), stem


def box_overlap(mask, true):
    parts, number = label(mask)
    largest = 1 + np.argmax(np.bincount(parts.ravel(), minlength=number + 1)[1:])
    rows, columns = np.nonzero(parts == largest)
    found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    low, high = np.maximum(found[:2], true[:2]), np.minimum(found[2:], true[2:])
    common = np.prod(np.clip(high - low, 0, None))
    return common / (np.prod(found[2:] - found[:2]) + np.prod(true[2:] - true[:2]) - common)
