import json
import time

import numpy as np
import pytest
import torch

from datamodules.images import ShapeTex, shapetex
from datamodules.images.shapes import tight_box
from datamodules.images.shapetex import CLASSES, draw_mask, generate

TINY = {"num_train": 20, "num_val": 6, "num_test": 8, "batch_size": 4}


def ready(**arguments):
    datamodule = ShapeTex(**{**TINY, **arguments})
    datamodule.prepare_data()
    datamodule.setup()
    return datamodule


@pytest.fixture(scope="module")
def many():
    return generate(1200, seed=0)


def test_classes_are_balanced_and_objects_have_the_published_size(many):
    counts = np.bincount(many["label"], minlength=len(CLASSES))
    assert ((counts - 200) ** 2 / 200).sum() < 20.5  # chi-squared with 5 degrees of freedom, at 1e-3
    assert many["mask"].mean() == pytest.approx(0.133, abs=0.007)
    # Of each class: the closed-form area times E[r^2], less what the borders cut off.
    mean_square_radius = (0.32**3 - 0.16**3) / 3 / 0.16
    for label, area in ((0, np.pi), (2, 3 * np.sqrt(3) / 4), (4, np.pi * (1 - 0.55**2))):
        assert many["mask"][many["label"] == label].mean() == pytest.approx(area * mean_square_radius, rel=0.08)


def test_boxes_are_tight(many):
    for box, mask in zip(many["boxes"], many["mask"], strict=True):
        assert box.tolist() == [tight_box(mask).tolist()]


def test_images_have_the_stated_contrast(many):
    assert many["image"].dtype == np.float32 and many["image"].min() >= 0 and many["image"].max() <= 1
    object_pixels = many["mask"][:, None].astype(bool)
    colour, other = (
        np.mean(many["image"], (2, 3), where=np.broadcast_to(where, many["image"].shape))
        for where in (object_pixels, ~object_pixels)
    )
    contrast = np.linalg.norm(colour - other, axis=1)
    # U(.45, .7), reduced by clipping, moved a little by textures and clutter.
    assert contrast.max() < 0.8 and 0.45 < np.median(contrast) < 0.6 and np.quantile(contrast, 0.02) > 0.25
    assert other.mean() == pytest.approx(0.5, abs=0.01)


def test_noise_and_texture_have_the_stated_strength():
    # A background of one colour, a texture of .08 and noise of .02, in the absence of an object.
    images = [shapetex.draw_image(np.zeros((48, 48), bool), np.random.default_rng(seed)) for seed in range(100)]
    deviation = np.median(np.std(images, (2, 3)))
    assert deviation == pytest.approx(np.hypot(0.08, 0.02), rel=0.05)


def test_clutter_does_not_hide_the_object(monkeypatch):
    monkeypatch.setattr(shapetex, "random_fields", lambda number, size, beta, generator: np.zeros((3, size, size)))
    mask = draw_mask("disc", 48, np.random.default_rng(3))
    for seed in range(50):
        image = shapetex.draw_image(mask, np.random.default_rng(seed))
        assert image[:, mask].std(1).max() < 0.025  # nothing but noise
        assert (abs(image - np.median(image[:, ~mask], 1)[:, None, None])[:, ~mask].max(0) > 0.1).mean() < 0.02


def test_small_objects_are_drawn_again():
    masks = [draw_mask("triangle", 24, np.random.default_rng(seed)) for seed in range(200)]
    areas = [mask.sum() for mask in masks]
    assert min(areas) >= 40 and min(areas) < 45
    first = [np.random.default_rng(seed).uniform(0.16, 0.32) * 24 for seed in range(200)]
    assert min(first) ** 2 * 3 * np.sqrt(3) / 4 < 40


def test_generation_is_a_function_of_the_seed():
    first = generate(10, seed=0)
    np.random.seed(1)  # noqa: NPY002 - what must have no influence
    again, other, longer = generate(10, seed=0), generate(10, seed=1), generate(15, seed=0)
    for key, entry in first.items():
        assert np.array_equal(entry, again[key]) and np.array_equal(entry, longer[key][:10])
    assert not np.array_equal(first["image"], other["image"])


def test_the_default_splits_have_the_seeds_0_1_and_2():
    assert [ShapeTex().sizes[split] for split in ("train", "val", "test")] == [4000, 400, 600]
    datamodule = ready()
    for split, seed in (("train", 0), ("test", 1), ("val", 2)):
        expected = generate(TINY[f"num_{split}"], seed)
        for key, entry in datamodule.dataset(split).entries.items():
            assert np.array_equal(entry.numpy(), expected[key]), (split, key)
    assert torch.equal(ready(seed=1).dataset("train")[0]["image"], torch.from_numpy(generate(1, 3)["image"][0]))


def test_batch_entries():
    datamodule = ready()
    batch = next(iter(datamodule.val_dataloader()))
    pixels = datamodule.dataset("val").entries["image"][:4]
    torch.testing.assert_close(batch["image"], (pixels - 0.5) / 0.25)
    assert {key: (entry.dtype, tuple(entry.shape)) for key, entry in batch.items()} == {
        "image": (torch.float32, (4, 3, 48, 48)),
        "label": (torch.int64, (4,)),
        "boxes": (torch.float32, (4, 1, 4)),
        "num_boxes": (torch.int64, (4,)),
        "box_label": (torch.int64, (4, 1)),
        "mask": (torch.uint8, (4, 48, 48)),
        "size": (torch.int64, (4, 2)),
        "frame": (torch.float32, (4, 4)),
        "index": (torch.int64, (4,)),
    }
    assert batch["index"].tolist() == [0, 1, 2, 3] and (batch["size"] == 48).all() and (batch["num_boxes"] == 1).all()
    assert torch.equal(batch["box_label"][:, 0], batch["label"])


def test_batches_are_bit_identical_on_any_number_of_workers():
    state = torch.get_rng_state()
    for left, right in zip(*(ready(num_workers=number).train_dataloader() for number in (0, 2)), strict=True):
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left)
    assert torch.equal(torch.get_rng_state(), state)


def test_nothing_is_written_before_prepare_data(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path / "home"))
    ShapeTex(**TINY)
    assert not (tmp_path / "home").exists()


def test_metadata_is_plain():
    metadata = ready(attack="fgsm").metadata()
    assert json.loads(json.dumps(metadata)) == metadata
    assert metadata["sizes"] == {"train": 20, "val": 6, "test": 8} and len(metadata["sha256"]) == 64
    assert metadata["attack"] == "fgsm" and "attack" not in ready().metadata()


def test_class_names():
    assert ShapeTex().class_names == ["disc", "square", "triangle", "cross", "ring", "bars"] == ShapeTex().target_names


@pytest.mark.parametrize("arguments", [{"num_val": 0}, {"image_size": 23}, {"seed": -1}, {"batch_size": 0}])
def test_bad_arguments_are_refused_by_name(arguments):
    with pytest.raises(ValueError, match="{}={}".format(*next(iter(arguments.items())))):
        ShapeTex(**arguments)


@pytest.mark.slow
def test_the_default_benchmark_takes_seconds(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path))
    start = time.perf_counter()
    datamodule = ready(num_train=4000, num_val=400, num_test=600)
    assert time.perf_counter() - start < 60  # about 5 on one core; machines are shared
    assert datamodule.dataset("test").entries["mask"].float().mean().item() == pytest.approx(0.133, abs=0.007)
