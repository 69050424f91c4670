"""The model card says everything the config says about where a checkpoint comes from."""

import pytest

import checkpoints
from checkpoints.card import render
from checkpoints.format import CARD
from checkpoints.schema import PROVENANCE
from tests.checkpoints import toys


def test_the_card_is_the_generated_one(folder):
    assert (folder / CARD).read_text() == render(checkpoints.info(folder))


def test_our_metric_stands_beside_the_papers(folder):
    card = (folder / CARD).read_text()
    assert "| test/mae | 0.0725 | 0.0693 | table 1 |" in card
    assert card.index("test/mae") < card.index("| test/loss | 0.5 |  |  |")


@pytest.mark.parametrize("field", [field for field in PROVENANCE if isinstance(toys.PROVENANCE[field], str)])
def test_every_text_of_the_provenance_is_on_the_card(folder, field):
    assert toys.PROVENANCE[field] in (folder / CARD).read_text()


def test_the_rest_of_the_provenance_is_on_the_card(folder):
    card = (folder / CARD).read_text()
    for text in ("source: random numbers", "Seeds: 0, 1", "Epochs: 3", "Time: 90.0 min", 'load("toy-numbers")'):
        assert text in card
    assert checkpoints.info(folder)["files"]["weights.safetensors"]["sha256"] in card


def test_what_is_not_recorded_is_said(toy, tmp_path):
    folder = toys.save(toy, tmp_path / "toy", provenance=dict.fromkeys(PROVENANCE), recipe=None, weights="ema")
    card = (folder / CARD).read_text()
    assert card.count("not recorded") == len(PROVENANCE)  # all but the paper's table, and the recipe
    assert "moving average" in card


@pytest.mark.parametrize(("seconds", "text"), [(0.5, "0.5 s"), (119, "119.0 s"), (120, "2.0 min"), (7200, "2.0 h")])
def test_durations(folder, seconds, text):
    config = checkpoints.info(folder)
    config["provenance"]["time"] = seconds
    assert f"Time: {text}\n" in render(config)


def test_variants_are_a_table_of_their_own(toy, tmp_path):
    metrics = {"test/mae": 0.5, "test/plain/mae": 0.75, "test/plain/rmse": 1.5, "test/other/mae": 0.25}
    card = (toys.save(toy, tmp_path / "toy", metrics=metrics) / "README.md").read_text()
    assert "| | test/mae | test/rmse |" in card
    assert "| plain | 0.75 | 1.5 |" in card and "| other | 0.25 |  |" in card
    assert "test/plain/mae" not in card
