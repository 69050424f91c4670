import numpy as np
import pytest

from datamodules.fields import generation
from datamodules.fields.burgers_solver import burgers_samples
from datamodules.fields.generation import BLOCK, generate
from datamodules.sources import cache_home

ARGUMENTS = {"resolution": 32, "subsample": 1, "time_step": 2e-2}
CALLS = []


def numbered(generators, scale):
    CALLS.append(len(generators))
    return {"draw": scale * np.array([[generator.random()] for generator in generators])}


@pytest.fixture(autouse=True)
def fresh(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path))
    CALLS.clear()


def test_each_sample_has_a_generator_of_its_own():
    number = 2 * BLOCK + 3
    entries, digest = generate(numbered, {"scale": 2.0}, "test", number, seed=4)
    expected = [2 * np.random.default_rng([4, 2, row]).random() for row in range(number)]
    assert entries["draw"][:, 0].tolist() == expected
    assert CALLS == [BLOCK, BLOCK, 3] and len(digest) == 64
    again, its_digest = generate(numbered, {"scale": 2.0}, "test", number, seed=4)
    assert np.array_equal(again["draw"], entries["draw"]) and its_digest == digest
    assert len(CALLS) == 3  # from the cache


def test_a_larger_set_begins_with_the_smaller_one():
    small, _ = generate(numbered, {"scale": 1.0}, "train", BLOCK, seed=0)
    large, _ = generate(numbered, {"scale": 1.0}, "train", 2 * BLOCK, seed=0)
    assert np.array_equal(large["draw"][:BLOCK], small["draw"]) and CALLS == [BLOCK, BLOCK]


def test_a_killed_generation_goes_on_where_it_was(monkeypatch):
    def killed(generators, scale):
        if len(CALLS) == 2:
            raise KeyboardInterrupt
        return numbered(generators, scale)

    killed.__name__ = "numbered"
    with pytest.raises(KeyboardInterrupt):
        generate(killed, {"scale": 1.0}, "train", 4 * BLOCK, seed=0)
    entries, _ = generate(numbered, {"scale": 1.0}, "train", 4 * BLOCK, seed=0)
    assert CALLS == 4 * [BLOCK]
    assert entries["draw"].shape == (4 * BLOCK, 1) and len(np.unique(entries["draw"])) == 4 * BLOCK


@pytest.mark.parametrize("change", [{"seed": 1}, {"split": "val"}, {"arguments": {"scale": 3.0}}])
def test_other_arguments_give_other_samples(change):
    arguments = {"arguments": {"scale": 1.0}, "split": "train", "number": 2, "seed": 0}
    before, _ = generate(numbered, **arguments)
    after, _ = generate(numbered, **{**arguments, **change})
    assert not np.array_equal(before["draw"], after["draw"])


def test_processes_do_not_matter(tmp_path, monkeypatch):
    one, digest = generate(burgers_samples, ARGUMENTS, "train", BLOCK + 2, seed=0)
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path / "other"))
    two, its_digest = generate(burgers_samples, ARGUMENTS, "train", BLOCK + 2, seed=0, processes=2)
    assert digest == its_digest and all(np.array_equal(one[name], two[name]) for name in one)
    assert len(list((cache_home() / "generated").glob("*/" + generation.FILE_NAME))) == 2
