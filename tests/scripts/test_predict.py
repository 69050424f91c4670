"""Predicting from a user's file: the rows of the CSV are the model's predictions for the inputs, in their order."""

import csv
import json
import os
import runpy
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

import checkpoints
import zoo
from checkpoints.schema import PROVENANCE
from datamodules.dynamics import CellularAutomaton
from datamodules.graphs import SubstructureCounting
from tests.paths import REPOSITORY
from tests.tolerances import tolerance
from trainers.catalogue import recipe_path
from trainers.predict import PredictionFiles, build_datamodule, predict_file

RECIPE = "spe/counting"
GRAPHS = [
    {"id": "triangle", "num_nodes": 3, "edges": [[0, 1], [1, 2], [2, 0]]},
    {"id": "square", "num_nodes": 4, "edges": [[0, 1], [1, 2], [2, 3], [3, 0]]},
    {"id": "path, with a comma", "num_nodes": 4, "edges": [[0, 1], [1, 2], [2, 3]]},
    {"id": "bowtie", "num_nodes": 5, "edges": [[0, 1], [1, 2], [2, 0], [2, 3], [3, 4], [4, 2]]},
    {"id": "edge", "num_nodes": 2, "edges": [[0, 1]]},
]


def predict(*arguments):
    runpy.run_path(str(REPOSITORY / "scripts" / "predict.py"))["main"]([str(argument) for argument in arguments])


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "graphs.json").write_text(json.dumps(GRAPHS))
    return tmp_path / "graphs.json"


def save(folder, inputs, **changes):
    """Save an untrained network of the recipe."""
    module = zoo.get_module_class("spe")(**yaml.safe_load(recipe_path(RECIPE).read_text())["model"]["init_args"])
    datamodule = SubstructureCounting()
    batch = datamodule.collate(datamodule.read_inputs(str(inputs))[1])
    arguments = {"metrics": {}, "provenance": dict.fromkeys(PROVENANCE), "reference_batch": batch, "recipe": RECIPE}
    return checkpoints.save(module, folder, **(arguments | changes))


@pytest.fixture
def checkpoint(tmp_path, inputs):
    return save(tmp_path / "untrained", inputs)


def rows(path):
    with open(path, newline="") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize("batch_size", [1, 2, 128])
def test_one_row_per_input_in_order(checkpoint, inputs, tmp_path, batch_size, capsys):
    output = tmp_path / "predictions.csv"
    predict("--checkpoint", checkpoint, "--input", inputs, "--output", output, "--batch-size", batch_size)
    header, *body = rows(output)
    assert header == ["id", "3-cycle", "4-cycle", "5-cycle", "6-cycle"]
    assert [row[0] for row in body] == [graph["id"] for graph in GRAPHS]
    assert str(output) in capsys.readouterr().out

    datamodule, module = build_datamodule(checkpoint), checkpoints.load(checkpoint)
    graphs = datamodule.read_inputs(str(inputs))[1]
    for graph, row in zip(graphs, body, strict=True):
        expected = module.predict_step(datamodule.collate([graph]))[0].detach()
        written = torch.tensor([float(text) for text in row[1:]])
        torch.testing.assert_close(written, expected, **tolerance(torch.float32))
    assert len({tuple(row[1:]) for row in body}) == len(body)


class Maps:
    """A module whose predictions are numbers and a map."""

    def tabulate(self, prediction):
        return dict(zip("st", prediction["numbers"].unbind(1), strict=True))

    def arrays(self, prediction):
        return {"map": prediction["map"]} if "map" in prediction else {}


def test_numbers_are_written_to_the_last_digit(tmp_path):
    outputs = torch.tensor([[1 / 3, 1e-30], [16777216.0, -0.1]])
    for numbers in (outputs, outputs.double() / 3):
        with PredictionFiles(tmp_path / "out.csv", ["a", "b"]) as files:
            for row in numbers:
                files.add(Maps(), {"numbers": row[None]})
        written = [[float(text) for text in row[1:]] for row in rows(tmp_path / "out.csv")[1:]]
        assert torch.equal(torch.tensor(written, dtype=numbers.dtype), numbers)
        assert (files.rows, files.columns, files.folder) == (2, ["s", "t"], None)
        assert os.listdir(tmp_path) == ["out.csv"]


def test_arrays_go_to_files_beside_the_table(tmp_path):
    prediction = {"numbers": torch.rand(2, 2), "map": torch.rand(2, 4, 5)}
    for names in (["a/b.png", "../c"], None):
        with PredictionFiles(tmp_path / "out.csv", names) as files:
            files.add(Maps(), prediction)
            assert os.listdir(tmp_path) != []
            assert not files.folder
        written = sorted(files.folder.iterdir())
        assert [path.parent for path in written] == [tmp_path / "out"] * 2
        for path, expected in zip(written, prediction["map"].numpy(), strict=True):
            assert np.array_equal(np.load(path)["map"], expected)
    assert sorted(os.listdir(tmp_path)) == ["out", "out.csv"]


def test_a_failure_leaves_the_earlier_predictions(tmp_path):
    prediction = {"numbers": torch.rand(2, 2), "map": torch.rand(2, 4, 5)}
    with PredictionFiles(tmp_path / "out.csv") as files:
        files.add(Maps(), prediction)
    before = (tmp_path / "out.csv").read_text()
    with pytest.raises(RuntimeError), PredictionFiles(tmp_path / "out.csv") as files:
        files.add(Maps(), {"numbers": torch.rand(1, 2), "map": torch.rand(1, 4, 5)})
        raise RuntimeError
    assert (tmp_path / "out.csv").read_text() == before
    assert len(list((tmp_path / "out").iterdir())) == 2
    assert sorted(os.listdir(tmp_path)) == ["out", "out.csv"]


def test_the_datamodule_is_built_as_it_was_trained_on(tmp_path, inputs):
    data = {"class_path": "datamodules.graphs.SubstructureCounting", "init_args": {"num_eigs": 7}}
    folder = save(tmp_path / "mine", inputs, provenance=dict.fromkeys(PROVENANCE) | {"data": data})
    assert build_datamodule(folder).num_eigs == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--checkpoint", "no-such-one"], "unknown checkpoint 'no-such-one'"),
        (["--checkpoint", "./no-such-folder"], "there is no checkpoint folder"),
        (["--input", "no-such-file.json"], "no-such-file"),
        (["--input", "graphs.xyz"], "suffix"),
        (["--batch-size", "0"], "batch_size=0 is not allowed"),
    ],
)
def test_errors_are_one_line_and_leave_no_file(checkpoint, inputs, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graphs.xyz").touch()
    with pytest.raises(SystemExit) as stopped:
        predict("--checkpoint", checkpoint, "--input", inputs, *options)
    error = capsys.readouterr().err
    assert stopped.value.code == 1
    assert message in error and "Traceback" not in error and error.startswith("error: ") and error.count("\n") == 1
    assert not (tmp_path / "predictions.csv").exists()


def test_without_a_recipe_nothing_says_how_to_read(tmp_path, inputs):
    folder = save(tmp_path / "mine", inputs, recipe=None)
    with pytest.raises(ValueError, match="records no recipe"):
        predict_file(folder, str(inputs), tmp_path / "out.csv")


def test_only_datamodules_of_the_zoo_are_built(tmp_path, inputs):
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("data: {class_path: subprocess.Popen, init_args: {args: [touch, owned]}}")
    folder = save(tmp_path / "mine", inputs, recipe=str(recipe))
    with pytest.raises(ValueError, match=r"'subprocess\.Popen'; allowed: datamodules\."):
        predict_file(folder, str(inputs), tmp_path / "out.csv")
    assert not (tmp_path / "owned").exists()


def test_the_command_as_it_is_documented(checkpoint, inputs, tmp_path):
    command = [sys.executable, str(REPOSITORY / "scripts" / "predict.py"), "--checkpoint", "./untrained"]
    run = subprocess.run(
        [*command, "--input", inputs.name],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(rows(tmp_path / "predictions.csv")) == 1 + len(GRAPHS)


def test_trajectories_are_forecast_and_judge_the_eigenvalues(tmp_path, capsys):
    """Two trajectories of a user: bits of the automaton, whose exact eigenvalues have no residual on them either."""
    automaton = CellularAutomaton(num_cells=4)
    state, trajectory = automaton.sample(2, np.random.default_rng(0)), []
    for _ in range(30):
        trajectory.append(state)
        state = automaton.step(state)
    for number, orbit in enumerate(np.stack(trajectory, axis=1)):
        (tmp_path / "orbits").mkdir(exist_ok=True)
        np.save(tmp_path / "orbits" / f"orbit{number}.npy", orbit)
    output = tmp_path / "forecast.csv"
    arguments = ("--checkpoint", "koopman-automaton", "--input", tmp_path / "orbits", "--output", output)
    predict(*arguments, "--batch-size", 7)
    header, *body = rows(output)
    assert header[:2] == ["id", "R_r(0)+1"]
    assert len(body) == 60
    summary = tmp_path / "forecast_eigenvalues.csv"
    assert str(summary) in capsys.readouterr().out
    names, *pairs = rows(summary)
    numbers = names.index("leak") + 1
    assert names[numbers:] == ["data", "arithmetic", "assumption"]
    assert {pair[numbers] for pair in pairs} == {"training data among them"}
    found = [dict(zip(names[:numbers], map(float, pair[:numbers]), strict=True)) for pair in pairs]
    module = checkpoints.load("koopman-automaton")
    assert len(found) == len(module.eigenvalues_)
    exact = [pair for pair in found if abs(complex(pair["real"], pair["imag"])) > 0.99]
    assert len(exact) == 11
    assert max(pair["residual"] for pair in exact) < 1e-10
