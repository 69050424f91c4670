"""A closed list of methods that holds the toy alone, and a saved toy."""

import pytest

import zoo
from tests.checkpoints.toys import Toy, save, trained_toy


@pytest.fixture
def closed_list(monkeypatch):
    def get_module_class(method):
        if method != "toy":
            raise ValueError(f"unknown method {method!r}; allowed: toy")
        return Toy

    monkeypatch.setattr(zoo, "get_module_class", get_module_class)


@pytest.fixture
def toy(closed_list):
    return trained_toy()


@pytest.fixture
def folder(toy, tmp_path):
    """The folder of a saved toy."""
    return save(toy, tmp_path / "toy-numbers")
