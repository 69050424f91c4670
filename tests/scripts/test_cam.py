"""Maps of a user's own pictures from the command line."""

import csv
import runpy

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import squeezenet1_1

import checkpoints
from checkpoints.schema import PROVENANCE
from datamodules.images.shapetex import CLASSES
from tests.paths import REPOSITORY
from zoo.eigencam import EigenCAM


def cam(*arguments):
    runpy.run_path(str(REPOSITORY / "scripts" / "cam.py"))["main"]([str(argument) for argument in arguments])


@pytest.fixture
def photos(tmp_path):
    generator = np.random.default_rng(0)
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for name, size in (("a.png", (60, 40)), ("b.jpg", (50, 70)), ("deep/c.png", (64, 64))):
        Image.fromarray(generator.integers(0, 255, (*size[::-1], 3), np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    save_file(squeezenet1_1(num_classes=4).state_dict(), tmp_path / "mine.safetensors")
    return ["--model", "squeezenet1_1", "--weights", tmp_path / "mine.safetensors", "--num-classes", "4"]


def rows(path):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_image(photos, weights, tmp_path, capsys):
    cam(photos / "a.png", *weights, "--out", tmp_path / "map.png", "--components", "3")
    with Image.open(tmp_path / "map.png") as drawn:
        assert drawn.size == (60, 40)
    assert (tmp_path / "map_components.png").is_file()
    (row,) = rows(tmp_path / "map.csv")
    assert row["image"] == "a" and row["class"] in "0123"
    assert 0 <= float(row["x0"]) < float(row["x1"]) <= 60 and 0 <= float(row["y0"]) < float(row["y1"]) <= 40
    assert str(tmp_path / "map.png") in capsys.readouterr().out


@pytest.mark.parametrize(
    "options", [[], ["--method", "grad", "--class", "2"], ["--mode", "centered", "--smooth", "aug"]]
)
def test_a_folder(photos, weights, tmp_path, options):
    cam(photos, *weights, "--out", tmp_path / "maps", "--batch-size", "2", *options)
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["a.png", "b.png", "deep_c.png", "maps.csv"]
    assert [row["image"] for row in rows(tmp_path / "maps" / "maps.csv")] == ["a", "b", "deep_c"]


def test_a_checkpoint_says_how_it_wants_its_images(photos, tmp_path):
    module = EigenCAM(class_names=list(CLASSES), network_kwargs={"widths": [4, 8, 8]}, resolution=None)
    checkpoints.save(
        module,
        tmp_path / "mine",
        metrics={},
        provenance=dict.fromkeys(PROVENANCE),
        reference_batch={"image": torch.randn(1, 3, 48, 48)},
        recipe="eigencam/shapetex",
    )
    cam(photos / "a.png", "--checkpoint", tmp_path / "mine", "--out", tmp_path / "map.png")
    assert rows(tmp_path / "map.csv")[0]["class"] in CLASSES


def test_a_video(weights, tmp_path):
    import cv2

    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 5, (48, 32))
    for frame in np.random.default_rng(0).integers(0, 255, (4, 32, 48, 3), np.uint8):
        writer.write(frame)
    writer.release()
    cam(tmp_path / "v.avi", *weights, "--out", tmp_path / "maps", "--every", "2", "--shared-basis")
    assert sorted(path.name for path in (tmp_path / "maps").glob("*.png")) == ["v_000000.png", "v_000002.png"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.png"], "none.png"),
        (["photos", "--out", "one.png"], "one file for several pictures"),
        (["photos/a.png", "--mode", "centred"], "settings.mode='centred'"),
        (["photos/a.png", "--layer", "feature"], "features"),
        (["photos/a.png", "--normalization", "mine"], "normalization='mine'"),
        (["photos/a.png", "--num-classes", "5"], "mine.safetensors"),
        (["empty"], "holds no image"),
    ],
)
def test_errors_are_one_line(photos, weights, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    out = [] if "--out" in words else ["--out", "out"]
    with pytest.raises(SystemExit) as stopped:
        cam(words[0], *weights, *words[1:], *out)
    error = capsys.readouterr().err
    assert stopped.value.code == 1
    assert message in error and "Traceback" not in error and error.startswith("error: ")
