"""Every recipe that ships is parsed and run for two steps of every stage."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet50

from tests.datamodules.images.test_adapters import imagenet, save
from tests.datamodules.molecules.toys import own_structures, three_bpa
from tests.trainers.small_fields import FIELDS
from trainers.catalogue import list_recipes
from trainers.cli import main


def own_folder(folder):
    """Write a user's images, and return the words that lead to them."""
    for number in range(32):
        save(folder / "photos" / "ab"[number % 2] / f"{number}.png", seed=number)
    return ["--data.root", str(folder / "photos"), "--model.weights", "null", "--data.image_size", "64"]


def tiny_imagenet(folder):
    """Write validation images and weights, and return the words that lead to them."""
    imagenet(folder / "imagenet")
    save_file(resnet50().state_dict(), folder / "random.safetensors")
    return ["--data.root", str(folder / "imagenet"), "--model.weights", str(folder / "random.safetensors")]


def few(trajectories, *words):
    """Return what leads to few trajectories."""
    numbers = [word for split in ("train", "val", "test") for word in (f"--data.num_{split}", str(trajectories))]
    return lambda folder: [*numbers, *words]


def own_trajectories(folder):
    """Write three noisy circles, and return the words that lead to them."""
    generator = np.random.default_rng(0)
    (folder / "circles").mkdir()
    for number in range(3):
        angle = generator.uniform(0, 6) + 0.2 * np.arange(120)
        circle = np.stack([np.cos(angle), np.sin(angle)], 1)
        np.save(folder / "circles" / f"{number}.npy", circle + 0.01 * generator.standard_normal(circle.shape))
    return ["--data.path", str(folder / "circles")]


# What recipes need that do not bring their own data, or bring much.
DATA = {
    "eigencam/folder": own_folder,
    "eigencam/imagenet": tiny_imagenet,
    "koopman/autoencoder_slow_manifold": few(8),
    **{
        f"koopman/{name}_duffing": few(8)
        for name in ("edmd_dl", "edmd_hermite", "reskoopnet", "residual_dictionary", "vampnet")
    },
    "gaunt/3bpa": three_bpa,
    "gaunt/3bpa_small": three_bpa,
    "gaunt/extxyz": own_structures,
    "koopman/duffing": few(20, "--model.dictionary_kwargs", '{"count": 20}'),
    "koopman/kernel_van_der_pol": few(20, "--model.functions", "20"),
    "koopman/trajectories": own_trajectories,
    "koopman/lorenz_measure": few(1, "--data.num_steps", "50"),
    "koopman/mpedmd_pendulum": few(64),
    **FIELDS,
}
EVALUATED = ("eigencam/imagenet",)
"""Recipes without anything to train."""


def words(recipe, tmp_path):
    given = DATA[recipe](tmp_path) if recipe in DATA else []
    small = ["--preset", "debug", "--data.batch_size", "8", "--output", str(tmp_path / "run")]
    return ["--recipe", recipe, *small, *given]


def test_there_are_recipes():
    assert "spe/counting" in list_recipes()


@pytest.mark.filterwarnings("ignore::zoo.koopman.factors.RankDeficiencyWarning")  # eight samples span little
@pytest.mark.parametrize("recipe", sorted(set(list_recipes()) - set(EVALUATED)))
def test_recipe_trains(recipe, tmp_path):
    main(["fit", *words(recipe, tmp_path)])
    assert (tmp_path / "run" / "checkpoint" / "weights.safetensors").is_file()


@pytest.mark.parametrize("recipe", EVALUATED)
def test_recipe_evaluates(recipe, tmp_path):
    torch.manual_seed(0)
    main(["test", *words(recipe, tmp_path)])
    assert "test/accuracy" in json.loads((tmp_path / "run" / "metrics.json").read_text())
