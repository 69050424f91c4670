"""The command line, in process; what it prints, writes and refuses."""

import csv
import json
import os
import shutil
import subprocess
import sys
import time

import pytest
import torch
import yaml

import checkpoints
from tests.paths import REPOSITORY
from trainers import catalogue, doctor
from trainers.cli import main

TINY = {
    "seed_everything": 7,
    "model": {
        "class_path": "zoo.spe.SPEModule",
        "init_args": {
            "target_names": ["3-cycle", "4-cycle", "5-cycle", "6-cycle"],
            "network_kwargs": {
                "num_atom_types": 1,
                "num_bond_types": 1,
                "num_eigs": 30,
                "width": 8,
                "num_layers": 1,
                "rho_width": 8,
            },
        },
    },
    "data": {
        "class_path": "datamodules.graphs.SubstructureCounting",
        "init_args": {"num_train": 16, "num_val": 8, "num_test": 8, "batch_size": 8},
    },
    "trainer": {
        "max_epochs": 1,
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "log_every_n_steps": 1,
    },
}


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return str(path)


@pytest.fixture
def trained(tmp_path_factory):
    """A finished run of the recipe, made once; no fixture of the module, for the cache is set up for each test."""
    folder = tmp_path_factory.getbasetemp() / "trained"
    if not folder.exists():
        (folder / "tiny.yaml").parent.mkdir()
        (folder / "tiny.yaml").write_text(yaml.safe_dump(TINY))
        main(["fit", "--recipe", str(folder / "tiny.yaml"), "--output", str(folder / "run")])
    return folder / "run"


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(capsys, *words):
    with pytest.raises(SystemExit) as error:
        main(list(words))
    assert error.value.code == 2
    # Lightning's logger may have written before it, to a stream that pytest has closed.
    printed = capsys.readouterr().err
    return printed[printed.index(f"eigenzoo {words[0]}: error: " if words[0] != "fli" else "eigenzoo: error: ") :]


# ---- the stages


def test_fit_writes_the_run_folder_and_prints_the_result(recipe, in_tmp, capsys):
    main(["fit", "--recipe", recipe, "--model.lr", "3e-4", "--trainer.max_epochs", "2"])
    run = in_tmp / "runs/tiny/0"
    files = {"config.yaml", "data.json", "metrics.json", "logs", "checkpoints", "figures", "checkpoint"}
    assert {path.name for path in run.iterdir()} == files
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"last.ckpt", "best.ckpt"}
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"]["init_args"]["lr"] == 3e-4
    assert config["trainer"]["max_epochs"] == 2
    assert config["seed_everything"] == 7
    exported = checkpoints.info(run / "checkpoint")
    assert exported["hparams"]["lr"] == 3e-4
    assert exported["provenance"]["seeds"] == [7]
    assert exported["provenance"]["command"] == f"eigenzoo fit --recipe {recipe} --model.lr 3e-4 --trainer.max_epochs 2"
    printed = capsys.readouterr().out
    metrics = json.loads((run / "metrics.json").read_text())
    assert f"{metrics['test/mae']:.6g}" in printed
    assert str(run / "checkpoint") in printed
    figures = [f"figure: {path}" for path in sorted((run / "figures").iterdir())]
    assert figures
    assert [line for line in printed.splitlines() if line.startswith("figure")] == figures


def test_runs_are_numbered_and_auto_continues_the_newest(recipe, in_tmp):
    main(["fit", "--recipe", recipe, "--resume", "auto"])
    main(["fit", "--recipe", recipe])
    main(["fit", "--recipe", recipe, "--resume", "auto", "--trainer.max_epochs", "3"])
    assert sorted(path.name for path in (in_tmp / "runs/tiny").iterdir()) == ["0", "1"]
    epochs = [json.loads((in_tmp / f"runs/tiny/{number}/metrics.json").read_text())["epoch"] for number in (0, 1)]
    assert epochs == [0, 2]


def test_resume_of_a_folder_or_file_continues_there(recipe, trained, in_tmp):
    shutil.copytree(trained, "mine")
    main(["fit", "--recipe", recipe, "--resume", "mine", "--trainer.max_epochs", "2"])
    main(["fit", "--recipe", recipe, "--resume", "mine/checkpoints/last.ckpt", "--trainer.max_epochs", "3"])
    assert json.loads((in_tmp / "mine/metrics.json").read_text())["epoch"] == 2
    assert not (in_tmp / "runs").exists()
    assert len(list(in_tmp.glob("mine/logs/*"))) == 3


def test_evaluation_of_a_checkpoint_gives_the_metrics_it_was_exported_with(recipe, trained, in_tmp, capsys):
    exported = checkpoints.info(trained / "checkpoint")["metrics"]
    for stage in ("validate", "test"):
        # The module is the checkpoint's, whatever the recipe's would be.
        main(
            [
                stage,
                "--recipe",
                recipe,
                "--checkpoint",
                str(trained / "checkpoint"),
                "--output",
                stage,
                "--model.lr",
                "1",
            ]
        )
        metrics = json.loads((in_tmp / stage / "metrics.json").read_text())
        expected = {name: value for name, value in exported.items() if name.startswith(stage[:3])}
        assert {name: metrics[name] for name in expected} == pytest.approx(expected)
        assert expected
        assert f"{min(metrics.values()):.6g}" in capsys.readouterr().out


def test_predict_writes_predictions_in_order(recipe, trained, in_tmp):
    main(
        [
            "predict",
            "--recipe",
            recipe,
            "--checkpoint",
            str(trained / "checkpoint"),
            "--output",
            "p",
            "--preset",
            "ddp_sim",
        ]
    )
    with open(in_tmp / "p/predictions.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [str(index) for index in range(8)]
    assert set(rows[0]) == {"id", *TINY["model"]["init_args"]["target_names"]}


def test_fit_from_a_checkpoint_starts_from_its_weights(recipe, trained, in_tmp, capsys):
    start = ["fit", "--recipe", recipe, "--checkpoint", str(trained / "checkpoint")]
    main([*start, "--output", "tuned", "--model.lr", "1e-12", "--model.warmup_steps", "0"])
    first, second = (checkpoints.load(run / "checkpoint").state_dict() for run in (trained, in_tmp / "tuned"))
    assert all(
        abs(first[name] - second[name]).max() < 1e-6
        for name in first
        if "num_batches" not in name and "running" not in name
    )
    message = error_of(capsys, *start, "--output", "other", "--model.network_kwargs.width", "16")
    assert "do not fit the recipe's model" in message


def test_a_killed_run_loses_no_more_than_n_steps(recipe, in_tmp, monkeypatch):
    class Killed(Exception):
        pass

    def kill(self, trainer, *_):
        if trainer.global_step == 2:
            raise Killed

    words = ["fit", "--recipe", recipe, "--output", "mine", "--data.batch_size", "4", "--every_n_train_steps", "1"]
    monkeypatch.setattr("trainers.callbacks.StopOnNaN.on_train_batch_start", kill, raising=False)
    with pytest.raises(Killed):
        main(words)
    assert torch.load(in_tmp / "mine/checkpoints/last.ckpt")["global_step"] == 2


def test_callbacks_from_the_command_line(recipe, in_tmp):
    callback = "--trainer.callbacks+=trainers.callbacks.EMA"
    main(["fit", "--recipe", recipe, "--output", "mine", callback, "--trainer.callbacks.decay=0.5"])
    assert checkpoints.info(in_tmp / "mine/checkpoint")["weights"] == "ema"
    assert "decay: 0.5" in (in_tmp / "mine/config.yaml").read_text()


def test_two_processes_from_the_command_line(recipe, in_tmp):
    main(["fit", "--recipe", recipe, "--preset", "ddp_sim", "--output", "two"])
    main(
        [
            "fit",
            "--recipe",
            recipe,
            "--preset",
            "ddp_sim",
            "--output",
            "two",
            "--resume",
            "auto",
            "--trainer.max_epochs",
            "2",
        ]
    )
    assert json.loads((in_tmp / "two/metrics.json").read_text())["epoch"] == 1
    assert "test/mae" in checkpoints.info(in_tmp / "two/checkpoint")["metrics"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["lightning", "torchrun"])
def test_two_processes_by_a_launcher_equal_the_forked_ones(launcher, recipe, in_tmp):
    main(["fit", "--recipe", recipe, "--preset", "ddp_sim", "--output", "forked"])
    start = ["-m", "torch.distributed.run", "--nproc-per-node", "2"] if launcher == "torchrun" else []
    words = [
        "fit",
        "--recipe",
        recipe,
        "--output",
        "launched",
        "--trainer.devices",
        "2",
        "--trainer.strategy",
        "zoo_ddp",
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, *start, str(REPOSITORY / "scripts/train.py"), *words]
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=240)
    forked, launched = (json.loads((in_tmp / name / "metrics.json").read_text()) for name in ("forked", "launched"))
    assert launched == forked


# ---- what it refuses


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["fli"], ["unknown command 'fli'", "fit, validate"]),
        (["fit"], ["give --recipe NAME", "spe/counting"]),
        (["fit", "--config=nowhere.yaml"], ["nowhere.yaml"]),
        (["fit", "--model=zoo.Nothing"], ["zoo.Nothing"]),
        (["fit", "--recipe", "spe/counting", "--every_n_train_steps", "0"], ["every_n_train_steps=0 is not allowed"]),
        (["fit", "--recipe", "spe/counting", "--every_n_train_steps", "x"], ["every_n_train_steps", "'x'"]),
        (["test", "--recipe", "spe/counting", "--every_n_train_steps", "1"], ["--every_n_train_steps"]),
        (["fit", "--recipe", "spe/countng"], ["unknown recipe 'spe/countng'", "did you mean 'spe/counting'"]),
        (["fit", "--recipe", "spe/counting", "--preset", "cpux"], ["unknown preset 'cpux'", "did you mean 'cpu'"]),
        (["fit", "--recipe", "spe/counting", "--model.wdith", "3"], ["wdith"]),
        (["fit", "--recipe", "spe/counting", "--model.network_kwargs.wdith", "3"], ["network_kwargs", "wdith"]),
        (["fit", "--recipe", "spe/counting", "--model.lr", "fast"], ["lr", "fast"]),
        (["fit", "--recipe", "spe/counting", "--model.lr", "-1"], ["lr=-1.0 is not allowed"]),
        (["fit", "--recipe", "spe/counting", "--data.batch_size", "0"], ["batch_size=0 is not allowed"]),
        (["fit", "--recipe", "spe/counting", "--trainer.epochs", "3"], ["trainer.epochs"]),
        (["fit", "--recipe", "spe/counting", "--recepie", "3"], ["--recepie"]),
        (["fit", "--recipe", "spe/counting", "--logger", "mlflow"], ["mlflow", "tensorboard"]),
        (
            ["fit", "--recipe", "spe/counting", "--trainer.default_root_dir", "x"],
            ["--trainer.default_root_dir", "--output"],
        ),
        (["fit", "--recipe", "spe/counting", "--resume", "nowhere"], ["nowhere", "last.ckpt"]),
        (["test", "--recipe", "spe/counting"], ["test needs --checkpoint"]),
        (["test", "--recipe", "spe/counting", "--resume", "auto"], ["--resume"]),
        (["test", "--recipe", "spe/counting", "--checkpoint", "no-such"], ["unknown checkpoint 'no-such'"]),
    ],
)
def test_errors_are_one_message_that_names_the_culprit(words, parts, in_tmp, capsys):
    message = error_of(capsys, *words)
    assert all(part in message for part in parts), message
    assert message.startswith("eigenzoo")
    assert len(message.splitlines()) <= 4
    assert "Given value" not in message
    assert "usage:" not in message


def test_a_folder_that_holds_a_run_is_refused(recipe, trained, in_tmp, capsys):
    assert "already holds a run" in error_of(capsys, "fit", "--recipe", recipe, "--output", str(trained))


def test_processes_started_from_outside_need_a_folder(recipe, in_tmp, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "give one folder for all" in error_of(capsys, "fit", "--recipe", recipe)


# ---- help and lists


@pytest.mark.parametrize("words", [["--help"], ["fit", "--help"], []])
def test_help_imports_nothing_heavy(words):
    heavy = {"torch", "lightning", "jsonargparse"}
    code = f"from trainers.cli import main; main({words}); import sys; assert not {heavy} & set(sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for word in ("fit", "predict", "doctor", "--recipe", "spe/counting", "ddp_sim"):
        assert word in run.stdout


def test_help_of_a_recipe_lists_every_field(capsys):
    main(["fit", "--recipe", "spe/counting", "--help"])
    printed = " ".join(capsys.readouterr().out.split())
    for field in ("--model.lr", "--model.schedule", "--data.batch_size", "--trainer.max_epochs", "default: 40"):
        assert field in printed


def test_list(capsys):
    main(["list"])
    printed = capsys.readouterr().out.splitlines()
    for name in ("  spe-gine", "  spe/counting", "  ddp_sim", "  datamodules.graphs.ZINC"):
        assert name in printed


def test_doctor_reports_a_process_that_does_not_answer(monkeypatch):
    work = doctor._reduce_for_a_second
    monkeypatch.setattr(doctor, "TIMEOUT", 1.0)
    monkeypatch.setattr(
        doctor, "_reduce_for_a_second", lambda rank, store: work(rank, store) if rank == 0 else time.sleep(60)
    )
    started = time.perf_counter()
    assert doctor._all_reduce().startswith("FAILED: ")
    assert time.perf_counter() - started < 30


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_doctor_says_offline_where_downloads_are_refused(value, offline, monkeypatch):
    monkeypatch.setenv("EIGENZOO_OFFLINE", value)
    assert ("offline" in doctor._cache()) == offline


@pytest.mark.parametrize("command", ["doctor", "list"])
def test_nothing_but_the_answer_is_printed(command):
    run = subprocess.run([sys.executable, "scripts/train.py", command], cwd=REPOSITORY, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_doctor(capsys):
    main(["doctor"])
    findings = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert findings["all-reduce"].startswith("ok, "), findings["all-reduce"]
    assert findings["torch"][0].isdigit()
    assert "gloo" in findings["backends"]
    assert "float64" in findings["dtypes"]
    assert os.environ["EIGENZOO_HOME"] in findings["cache"]


# ---- catalogue


def test_recipes_and_presets_have_paths():
    assert all(catalogue.recipe_path(name).is_file() for name in catalogue.list_recipes())
    assert {"debug", "overfit", "cpu", "gpu", "ddp", "ddp_sim"} == set(catalogue.list_presets())


def test_scripts_are_the_command_line():
    for script, stage in {"train": "fit", "evaluate": "test"}.items():
        words = [
            sys.executable,
            f"scripts/{script}.py",
            *(["fit"] if script == "train" else []),
            "--recipe",
            "nonsense",
        ]
        run = subprocess.run(
            words, cwd=REPOSITORY, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
        )
        assert run.returncode == 2
        assert f"eigenzoo {stage}: error: unknown recipe 'nonsense'" in run.stderr
