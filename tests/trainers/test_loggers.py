import json
import struct
import subprocess
import sys
import time

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from tests.trainers.test_callbacks import spe_run
from tests.trainers.toys import ToyData, ToyModule
from trainers import build_trainer
from trainers.callbacks import Figures
from trainers.loggers import ZooWandbLogger, build_loggers

QUIET = {"preset": "cpu", "enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}


def test_csv_segments_of_a_resumed_run_stay_side_by_side(tmp_path):
    for epochs in (1, 2):
        trainer = build_trainer(output=tmp_path, resume="auto", max_epochs=epochs, **QUIET)
        trainer.fit(ToyModule(), ToyData())
    first, second = (sorted(tmp_path.glob("logs/*/metrics.csv"))[i].read_text() for i in (0, 1))
    steps = [
        [int(row.split(",")[first.split(",").index("step")]) for row in text.splitlines()[1:]]
        for text in (first, second)
    ]
    assert max(steps[0]) == 6
    assert min(steps[1]) == 6


def test_no_logger_and_unknown_logger(tmp_path):
    assert build_loggers(None, tmp_path) == []
    assert [type(logger) for logger in build_loggers("csv", tmp_path)] == [CSVLogger]
    with pytest.raises(ValueError, match="logger='mlflow'"):
        build_loggers("mlflow", tmp_path)


@pytest.mark.parametrize("package", ["wandb", "tensorboard"])
def test_a_missing_package_names_its_extra(package, tmp_path, monkeypatch):
    monkeypatch.setattr("trainers.loggers.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=rf"eigenzoo\[{package}\]"):
        build_loggers(package, tmp_path)


def test_tensorboard_gets_metrics_and_figures(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = build_trainer(
        output=tmp_path, logger="tensorboard", callbacks=Figures(tmp_path, 1), max_epochs=1, **QUIET
    )
    assert isinstance(trainer.loggers[1], TensorBoardLogger)
    trainer.fit(ToyModule(), ToyData())
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert "val/loss" in events.Tags()["scalars"]
    assert events.Tags()["images"] == ["val/line"]


# ---- wandb, offline: what is in the run folder


@pytest.fixture
def offline(monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield wandb
    wandb.finish()
    wandb.teardown()


def records(data):
    """Read LevelDB's log format: blocks of 32 KiB with pieces of records, each after a checksum, length and kind."""
    block, header, record = 32768, struct.Struct("<IHB"), b""
    position = header.size  # of the file's own header
    while position + header.size <= len(data):
        if block - position % block < header.size:
            position += block - position % block
            continue
        _, length, kind = header.unpack_from(data, position)
        record += data[position + header.size : position + header.size + length]
        position += header.size + length
        if kind in (1, 4):  # whole, or the last piece
            yield record
            record = b""


def read_back(folder, runs):
    """Return what a number of offline runs in a folder hold, once they have ended: wandb writes behind our back."""
    for _ in range(100):
        found = _read_back(folder)
        if len(found["exit_codes"]) == runs:
            break
        time.sleep(0.1)
    return found


def _read_back(folder):
    from wandb.proto.wandb_internal_pb2 import Record

    found = {"history": [], "config": {}, "exit_codes": [], "ids": [], "artifacts": [], "runs": []}
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for data in records(path.read_bytes()):
            record = Record.FromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                found["ids"].append(record.run.run_id)
                found["runs"].append(record.run)
                found["config"] |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif kind == "history":
                items = record.history.item
                found["history"].append({(i.key or ".".join(i.nested_key)): json.loads(i.value_json) for i in items})
            elif kind == "config":
                found["config"] |= {
                    (i.key or ".".join(i.nested_key)): json.loads(i.value_json) for i in record.config.update
                }
            elif kind == "exit":
                found["exit_codes"].append(record.exit.exit_code)
            elif kind == "request" and record.request.WhichOneof("request_type") == "log_artifact":
                found["artifacts"].append(record.request.log_artifact.artifact)
            elif kind == "artifact":
                found["artifacts"].append(record.artifact)
    return found


def test_wandb_offline_run_holds_everything(tmp_path, offline):
    trainer, module, datamodule = spe_run(tmp_path, logger="wandb")
    trainer.fit(module, datamodule)
    trainer.test(module, datamodule, ckpt_path=tmp_path / "checkpoints/best.ckpt", verbose=False)
    trainer.loggers[1].finish()
    found = read_back(tmp_path, runs=1)
    (run,) = found["runs"]
    assert (run.project, run.run_group, run.job_type, run.display_name) == (
        "eigenzoo",
        "counting",
        "fit",
        "spe-counting-s3",
    )
    logged = {key for row in found["history"] for key in row}
    assert {"train/loss", "val/mae", "test/mae", "gradient_norm/total", "throughput/samples_per_second"} <= logged
    assert any(key.startswith("test/predictions") for key in logged), "the figure"
    assert found["config"]["lr"] == module.hparams["lr"]
    after_fit, after_test = found["artifacts"]
    assert json.loads(after_fit.metadata).keys() == {"val/mae"}
    assert json.loads(after_test.metadata).keys() == {"val/mae", *trainer.callback_metrics}
    for artifact in (after_fit, after_test):
        assert {entry.path for entry in artifact.manifest.contents} == {
            "README.md",
            "config.json",
            "reference.safetensors",
            "weights.safetensors",
        }
    assert found["exit_codes"] == [0]


class Fail(Callback):
    def __init__(self, exception):
        self.exception = exception

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 8:
            raise self.exception


@pytest.mark.parametrize("exception", [KeyboardInterrupt(), RuntimeError("broken")])
def test_wandb_run_that_fails_is_closed_as_failed_and_continued_under_its_id(exception, tmp_path, offline):
    seed_everything(0, verbose=False)
    trainer = build_trainer(output=tmp_path, logger="wandb", callbacks=Fail(exception), max_epochs=2, **QUIET)
    with pytest.raises((SystemExit, RuntimeError)):
        trainer.fit(ToyModule(), ToyData())
    assert offline.run is None, "the run is closed"
    time.sleep(1.1)  # wandb names the folders of offline runs by the second
    trainer = build_trainer(output=tmp_path, logger="wandb", resume="auto", max_epochs=2, **QUIET)
    trainer.fit(ToyModule(), ToyData())
    trainer.loggers[1].finish()
    found = read_back(tmp_path, runs=2)
    assert found["exit_codes"] == [1, 0]
    assert len(found["ids"]) == 2
    assert len(set(found["ids"])) == 1
    last = torch.load(tmp_path / "checkpoints/last.ckpt")
    assert last["exact_resume"]["loggers"]["ZooWandbLogger"] == found["ids"][0]


def test_wandb_is_imported_only_when_used(tmp_path):
    build = f"from trainers import build_trainer; build_trainer(output={str(tmp_path)!r})"
    code = f"{build}; import sys; print('wandb' in sys.modules)"
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip().splitlines()[-1] == "False"


def test_finish_of_a_run_that_never_began(tmp_path):
    pytest.importorskip("wandb")
    logger = ZooWandbLogger(save_dir=tmp_path)
    logger.finish()
    assert logger._experiment is None
    assert not list(tmp_path.iterdir())
