"""Every recipe that ships is parsed and run for two steps of every stage."""

import pytest

from trainers.catalogue import list_recipes
from trainers.cli import main


def test_there_are_recipes():
    assert "spe/counting" in list_recipes()


@pytest.mark.parametrize("recipe", list_recipes())
def test_recipe_runs(recipe, tmp_path):
    main(["fit", "--recipe", recipe, "--preset", "debug", "--output", str(tmp_path / "run")])
