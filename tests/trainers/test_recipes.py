"""Every recipe that ships is parsed and run for two steps of every stage."""

import pytest

from trainers.catalogue import list_recipes
from trainers.cli import main


def test_there_are_recipes():
    assert "spe/counting" in list_recipes()


@pytest.mark.parametrize("recipe", list_recipes())
def test_recipe_runs(recipe, tmp_path):
    words = ["--preset", "debug", "--data.batch_size", "8", "--output", str(tmp_path / "run")]
    main(["fit", "--recipe", recipe, *words])
    assert (tmp_path / "run" / "checkpoint" / "weights.safetensors").is_file()
