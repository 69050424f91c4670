"""A run's checkpoint becomes a named one, with nothing left unsaid."""

import json
import re
import runpy

import pytest

import checkpoints
from checkpoints import errors, tensors
from checkpoints.format import REFERENCE, WEIGHTS
from checkpoints.publishing import publish
from tests.checkpoints.toys import PROVENANCE, save
from tests.paths import REPOSITORY


@pytest.fixture
def run(toy, tmp_path):
    """A run folder whose checkpoint does not know its licence and limits."""
    save(toy, tmp_path / "run" / "checkpoint", provenance=PROVENANCE | {"licence": None, "limits": None}, weights="ema")
    return tmp_path / "run"


def export(*arguments):
    runpy.run_path(str(REPOSITORY / "scripts" / "export.py"))["main"]([str(argument) for argument in arguments])


def test_the_same_weights_and_reference_under_a_new_name(run, tmp_path):
    folder = publish(run / "checkpoint", tmp_path / "toy-numbers", {"licence": "MIT", "limits": "None known."})
    old, new = checkpoints.info(run / "checkpoint"), checkpoints.info(folder)
    assert new["files"] == old["files"]
    assert (new["name"], new["weights"], new["recipe"]) == ("toy-numbers", "ema", "toy/numbers")
    assert new["provenance"] == old["provenance"] | {"licence": "MIT", "limits": "None known."}
    assert new["metrics"] == old["metrics"]
    stored = tensors.read(folder / REFERENCE, new["files"][REFERENCE])
    assert sorted(stored) == ["input.x", "output"]


def test_what_is_unsaid_is_named_and_nothing_is_written(run, tmp_path):
    with pytest.raises(errors.CheckpointError, match="does not say licence, limits"):
        publish(run / "checkpoint", tmp_path / "toy-numbers", {})
    assert not (tmp_path / "toy-numbers").exists()


def test_fields_that_do_not_exist(run, tmp_path):
    with pytest.raises(errors.MalformedConfigError, match=r"unknown provenance\.license"):
        publish(run / "checkpoint", tmp_path / "toy", {"licence": "MIT", "limits": "None.", "license": "MIT"})


def test_the_script(run, tmp_path, capsys, monkeypatch):
    (tmp_path / "more.json").write_text(json.dumps({"licence": "MIT", "limits": "None known."}))
    monkeypatch.setattr("checkpoints.index.write", lambda: "the index")
    export("--run", run, "--to", tmp_path / "toy-numbers", "--provenance", tmp_path / "more.json", "--index")
    assert capsys.readouterr().out.splitlines() == [str(tmp_path / "toy-numbers"), "the index"]
    checkpoints.verify(tmp_path / "toy-numbers")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--run", "no-such-run", "--to", "x"], "error: there is no checkpoint folder"),
        (["--run", "no-such-run"], "give --run and --to"),
        ([], "give --run and --to"),
        (["--run", ".", "--to", "x", "--provenance", "no-such-file"], "error: .*no-such-file"),
    ],
)
def test_the_script_says_what_is_wrong(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        export(*arguments)
    assert stopped.value.code != 0
    assert re.search(message, capsys.readouterr().err)


def test_the_weights_are_the_runs(run, tmp_path):
    folder = publish(run / "checkpoint", tmp_path / "toy", {"licence": "MIT", "limits": "None."})
    assert (folder / WEIGHTS).read_bytes() == (run / "checkpoint" / WEIGHTS).read_bytes()
