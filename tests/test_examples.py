"""The examples in docstrings do what they say."""

import doctest
import importlib

import pytest

from tests.paths import REPOSITORY

PACKAGES = ("zoo", "datamodules", "trainers", "checkpoints")
FILES = sorted(
    path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py") if ">>> " in path.read_text()
)


def test_there_are_examples():
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_examples_of(path):
    name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
