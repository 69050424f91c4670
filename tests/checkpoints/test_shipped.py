"""The checkpoints in the package: each loads, says where it comes from, and stands in the index."""

import csv
import io
import subprocess
import sys

import pytest

import checkpoints
from checkpoints import errors, index
from checkpoints.card import render
from checkpoints.format import CARD, FILES
from checkpoints.shipped import FOLDER
from tests.checkpoints.toys import save, trained_toy
from tests.paths import REPOSITORY

SHIPPED = checkpoints.list_checkpoints()
LARGEST = 25e6


@pytest.fixture
def shelf(tmp_path, monkeypatch, closed_list):
    """A package folder with two toys and things that are no checkpoints."""
    for name in ("toy-b", "toy-a"):
        save(trained_toy(), tmp_path / name)
    save(trained_toy(), tmp_path / ".toy-a.interrupted", name="toy-a")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "index.csv").touch()
    monkeypatch.setattr("checkpoints.shipped.FOLDER", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"), [("*", ["toy-a", "toy-b"]), ("*-b", ["toy-b"]), ("toy-[a]", ["toy-a"]), ("spe*", [])]
)
def test_list_patterns(shelf, pattern, names):
    assert checkpoints.list_checkpoints(pattern) == names


def test_a_name_means_the_shipped_one_wherever_one_is(shelf, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    save(trained_toy(width=2), elsewhere / "toy-a")
    monkeypatch.chdir(elsewhere)
    assert checkpoints.load("toy-a").hparams["width"] == 4
    assert checkpoints.load("./toy-a").hparams["width"] == 2


def test_close_names_are_suggested(shelf):
    with pytest.raises(errors.UnknownCheckpointError, match=r"did you mean 'toy-[ab]' or 'toy-[ab]'"):
        checkpoints.info("toy-c")
    with pytest.raises(errors.UnknownCheckpointError, match="shipped: toy-a, toy-b"):
        checkpoints.info("zzz")


def test_index_of_the_shelf(shelf):
    rows = list(csv.DictReader(io.StringIO(index.render())))
    assert [row["name"] for row in rows] == ["toy-a", "toy-b"]
    config = checkpoints.info("toy-a")["files"]["weights.safetensors"]
    assert rows[0] == {
        "name": "toy-a",
        "method": "toy",
        "benchmark": "numbers",
        "metric": "test/mae",
        "ours": "0.0725",
        "paper": "0.0693",
        "data": "80/10/10",
        "licence": "MIT",
        "size": str(config["bytes"]),
        "sha256": config["sha256"],
        "command": "eigenzoo fit --recipe toy/numbers",
    }
    assert index.write(shelf / "index.csv").read_text() == index.render()


def test_the_index_is_in_step_with_the_folders():
    assert (FOLDER / "index.csv").read_text() == index.render()


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped(name):
    config = checkpoints.info(name)
    assert config["name"] == name
    assert not [field for field, value in config["provenance"].items() if value is None]
    assert (FOLDER / name / CARD).read_text() == render(config)
    assert sorted(path.name for path in (FOLDER / name).iterdir()) == sorted(FILES)
    assert sum(path.stat().st_size for path in (FOLDER / name).iterdir()) < LARGEST
    checkpoints.verify(name)


def test_listing_imports_nothing_heavy():
    code = "import checkpoints, sys; checkpoints.list_checkpoints(); print({'torch', 'lightning'} & {*sys.modules})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert run.stdout.strip() == "set()"


def test_attributes():
    assert set(checkpoints.__all__) == {"CheckpointError", "info", "list_checkpoints", "load", "save", "verify"}
    assert all(hasattr(checkpoints, name) for name in checkpoints.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        _ = checkpoints.lode
