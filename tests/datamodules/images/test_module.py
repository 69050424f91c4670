"""What all benchmarks on images share, tested with ShapeTex under real trainers."""

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback
from PIL import Image

from datamodules.images import ShapeTex
from datamodules.images.module import ImageDataModule, coin
from tests.datamodules.images.toys import TinyClassifier, quiet_trainer, random_image
from tests.paths import SHARED
from trainers import build_trainer

TINY = {"num_train": 24, "num_val": 6, "num_test": 8, "batch_size": 4}


def trained(folder, epochs=2, callbacks=(), resume=None, **arguments):
    module, datamodule = TinyClassifier(), ShapeTex(**{**TINY, **arguments})
    trainer = build_trainer(
        preset="cpu",
        logger=None,
        output=folder,
        resume=resume,
        callbacks=list(callbacks),
        every_n_train_steps=2,
        max_epochs=epochs,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, datamodule)
    return module, datamodule


def seen_pixels(module):
    """Return the images of each epoch by their index."""
    epochs = len(module.seen["train"]) // 6
    return [
        {int(i): image for batch in module.seen["train"][6 * e : 6 * e + 6] for i, image in _items(batch)}
        for e in range(epochs)
    ]


def _items(batch):
    return zip(batch["index"], batch["image"], strict=True)


def test_the_coin_is_fair_and_a_function_of_seed_epoch_and_index():
    index = np.arange(2000)
    tosses = np.array([coin(seed, epoch, index) for seed in (0, 1) for epoch in (0, 1)])
    assert abs(tosses.mean(1) - 0.5).max() < 0.04
    agreement = (tosses[:, None] == tosses[None]).mean(2)[np.triu_indices(4, 1)]
    assert abs(agreement - 0.5).max() < 0.04
    assert abs((tosses[:, 1:] == tosses[:, :-1]).mean() - 0.5) < 0.02
    order = np.random.default_rng(0).permutation(index)
    assert np.array_equal(coin(1, 0, order), tosses[2][order])


def test_training_mirrors_the_images_that_the_coin_chose(tmp_path):
    module, datamodule = trained(tmp_path)
    for epoch, images in enumerate(seen_pixels(module)):
        mirrored = coin(0, epoch, np.arange(24))
        assert 4 < mirrored.sum() < 20
        for index, image in images.items():
            plain = datamodule.collate([datamodule.dataset("train")[index]])["image"][0]
            assert torch.equal(image, plain.flip(-1) if mirrored[index] else plain)
    assert not any("mirrored" in batch for batch in module.seen["train"])


def test_boxes_and_masks_are_mirrored_along(tmp_path):
    module, _ = trained(tmp_path, epochs=1)
    for batch in module.seen["train"]:
        for mask, box in zip(batch["mask"], batch["boxes"][:, 0], strict=True):
            rows, columns = mask.nonzero(as_tuple=True)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_evaluation_and_plain_training_mirror_nothing(tmp_path):
    module, datamodule = trained(tmp_path, epochs=1, horizontal_flip=False)
    for split, batches in (("train", module.seen["train"]), ("val", module.seen["val"])):
        for batch in batches:
            for index, image in _items(batch):
                assert torch.equal(image, datamodule.collate([datamodule.dataset(split)[int(index)]])["image"][0])


def test_workers_do_not_change_training(tmp_path):
    one, two = (trained(tmp_path / str(number), num_workers=number)[0] for number in (0, 2))
    for left, right in zip(one.seen["train"], two.seen["train"], strict=True):
        assert all(torch.equal(left[key], right[key]) for key in left)


class Kill(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 9:
            raise RuntimeError("killed")


class WriteSeen(Callback):
    """After a fork only files come back; each rank writes its own."""

    def __init__(self, path):
        self.path = path

    def teardown(self, trainer, pl_module, stage):
        torch.save(pl_module.seen, f"{self.path}-{trainer.state.fn.value}-{trainer.global_rank}")


def test_two_processes_see_what_one_sees(tmp_path):
    def images(preset):
        module, datamodule = TinyClassifier(), ShapeTex(**TINY, attack="fgsm")
        trainer = build_trainer(
            preset=preset,
            logger=None,
            output=tmp_path / preset,
            callbacks=WriteSeen(tmp_path / preset / "seen"),
            max_epochs=2,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.test(module, datamodule, verbose=False)
        trainer.fit(module, datamodule)
        result = {}
        for stage, key in (("fit", "train"), ("test", "test")):
            seen = [torch.load(path) for path in sorted((tmp_path / preset).glob(f"seen-{stage}-*"))]
            pairs = [pair for part in seen for batch in part[key] for pair in _items(batch)]
            result[key] = sorted(((int(index), image.tolist()) for index, image in pairs))
        return result

    one, two = images("cpu"), images("ddp_sim")
    assert len(one["train"]) == 2 * 24 and two["train"] == one["train"]
    assert len(one["test"]) == 8
    attacked = [torch.tensor([image for _, image in result["test"]]) for result in (one, two)]
    # A step may go either way where the gradient is zero up to rounding, which the batch size changes.
    assert (attacked[0] != attacked[1]).float().mean() < 1e-3


def test_a_run_resumed_in_the_middle_of_an_epoch_sees_the_same_mirror_images(tmp_path):
    whole = trained(tmp_path / "whole", epochs=3)[0].seen["train"]
    with pytest.raises(RuntimeError, match="killed"):
        trained(tmp_path / "part", epochs=3, callbacks=[Kill()])
    rest = trained(tmp_path / "part", epochs=3, resume="auto")[0].seen["train"]
    assert len(whole) == 18 and len(rest) == 10
    for left, right in zip(whole[-10:], rest, strict=True):
        assert all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_evaluation_is_attacked(tmp_path, attack):
    module, datamodule = TinyClassifier(), ShapeTex(**TINY, attack=attack, attack_epsilon=0.02)
    trainer = quiet_trainer(tmp_path, max_epochs=1)
    trainer.fit(module, datamodule)
    trainer.test(module, datamodule, verbose=False)
    trainer.predict(module, datamodule)
    assert not any("clean_image" in batch for batch in module.seen["train"])
    module.eval()
    keys = ("clean_image", "image")
    for split in ("val", "test", "predict"):
        for batch in module.seen[split]:
            clean, attacked = (batch[key] * 0.25 + 0.5 for key in keys)
            assert (attacked - clean).abs().max().item() == pytest.approx(0.02, abs=1e-6)
            assert attacked.min() >= -1e-6 and attacked.max() <= 1 + 1e-6
    batch = module.seen["test"][0]
    with torch.no_grad():
        before, after = (torch.nn.functional.cross_entropy(module(batch[key]), batch["label"]) for key in keys)
    assert before < after


def test_attacks_are_reproducible(tmp_path):
    def attacked(batch_size):
        module = TinyClassifier()
        datamodule = ShapeTex(**{**TINY, "batch_size": batch_size}, attack="pgd")
        quiet_trainer(tmp_path).test(module, datamodule, verbose=False)
        return torch.cat([batch["image"] for batch in module.seen["test"]])

    assert torch.equal(attacked(4), attacked(4))
    # A step may go either way only where the gradient is zero up to rounding.
    assert (attacked(4) != attacked(2)).float().mean() < 1e-3


def test_users_images_of_any_size_and_mode_are_read(tmp_path):
    folder = tmp_path / "mine"
    (folder / "deep").mkdir(parents=True)
    random_image(30, 20).save(folder / "b.png")
    random_image(17, 41).convert("L").save(folder / "a.JPG")
    random_image(5, 5).convert("CMYK").save(folder / "deep" / "c.jpeg")
    random_image(64, 48).save(folder / "d.webp", lossless=True)
    random_image(9, 9).convert("P").save(folder / "e.bmp")
    (folder / "notes.txt").write_text("no image")
    datamodule = ShapeTex(**TINY, predict_path=str(folder))
    datamodule.prepare_data()
    datamodule.setup("predict")
    assert datamodule.predict_ids == ["a.JPG", "b.png", "d.webp", "deep/c.jpeg", "e.bmp"]
    batches = list(datamodule.predict_dataloader())
    assert torch.cat([batch["size"] for batch in batches]).tolist() == [[41, 17], [20, 30], [48, 64], [5, 5], [9, 9]]
    assert torch.cat([batch["index"] for batch in batches]).tolist() == [0, 1, 2, 3, 4]
    assert batches[0].keys() == {"image", "size", "frame", "index"} and batches[0]["image"].shape == (4, 3, 48, 48)
    assert batches[0]["image"].dtype == torch.float32 and datamodule.datasets == {}


def test_one_file_is_read_and_named(tmp_path):
    random_image(48, 48).save(tmp_path / "one.png")
    names, samples = ShapeTex(**TINY).read_inputs(str(tmp_path / "one.png"))
    assert names == ["one.png"] and len(samples) == 1
    assert torch.equal(samples[0]["image"].permute(1, 2, 0), torch.from_numpy(np.array(random_image(48, 48))))


def test_what_cannot_be_read_is_named(tmp_path):
    read = ShapeTex(**TINY).read_inputs
    with pytest.raises(FileNotFoundError, match=r"there is no file .*nothing"):
        read(str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match=r"holds no image; allowed: files ending in \.png"):
        read(str(tmp_path))
    (tmp_path / "bad.png").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match=r"bad\.png cannot be read as an image"):
        read(str(tmp_path))


def test_a_truncated_file_is_named_when_it_is_read(tmp_path):
    random_image(64, 64).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:3000])
    _, samples = ShapeTex(**TINY).read_inputs(str(tmp_path))
    with pytest.raises(ValueError, match=r"cut\.png cannot be read as an image"):
        samples[0]


@pytest.mark.skipif(SHARED is None, reason="the photos are not at hand")
def test_real_photos_are_prepared_as_published():
    folder = SHARED / "data" / "eigencam"
    with np.load(folder / "images_224.npz") as file:
        expected = dict(file)
    datamodule = ShapeTex(**TINY, image_size=224, normalization="imagenet")
    names, samples = datamodule.read_inputs(str(folder))
    assert names == ["camera.png", "chelsea.png", "coffee.png", "rocket.jpg"]
    order = [[path.split(".")[0] for path in expected["names"].tolist()].index(name.split(".")[0]) for name in names]
    batch = datamodule.collate(list(samples))
    assert batch["size"].tolist() == [[512, 512], [300, 451], [400, 600], [427, 640]]
    pixels = datamodule.normalization.denormalize(batch["image"]) * 255
    published = torch.from_numpy(expected["images"][order]).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(pixels, published, rtol=0, atol=1e-3)


def test_a_split_without_images_is_refused():
    class Empty(ImageDataModule):
        def build_datasets(self):
            return {"train": [], "val": [], "test": []}

    datamodule = Empty()
    datamodule.setup()
    with pytest.raises(ValueError, match="Empty has no images in the split 'train'"):
        datamodule.train_dataloader()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_size": 0}, "image_size=0"),
        ({"resize_size": 100}, "resize_size=100 is not allowed; give an integer >= 224"),
        ({"interpolation": "nearest"}, "interpolation='nearest' is not allowed; give one of 'bilinear'"),
        ({"normalization": "mine"}, "normalization='mine'"),
        ({"attack": "cw"}, "attack='cw' is not allowed; give one of 'none', 'fgsm', 'pgd'"),
        ({"attack_epsilon": 8.0}, r"attack_epsilon=8\.0"),
        ({"attack": "pgd", "predict_path": "mine"}, "attack='pgd' needs labels"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        ImageDataModule(**arguments)


def test_unknown_arguments_are_refused():
    with pytest.raises(TypeError, match="'batchsize'"):
        ShapeTex(batchsize=3)


def test_statistics_leave_classes_as_they_are():
    assert ShapeTex().target_statistics() == ([0.0] * 6, [1.0] * 6)


def test_pixels_come_back_from_normalised_images():
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    for name in ("imagenet", "inception", "clip", "shapetex", "none"):
        normalization = ImageDataModule(normalization=name).normalization
        torch.testing.assert_close(normalization.denormalize(normalization.normalize(images)), images)


def test_exif_orientation_is_respected(tmp_path):
    image = random_image(30, 20)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned left by the camera
    image.save(tmp_path / "turned.png", exif=exif)
    _, samples = ShapeTex(**TINY).read_inputs(str(tmp_path / "turned.png"))
    assert samples[0]["size"].tolist() == [30, 20]
    expected = samples.resize.image(image.rotate(-90, expand=True))
    assert torch.equal(samples[0]["image"], expected)
