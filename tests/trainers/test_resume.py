"""A resumed run ends with the bits of an uninterrupted one, wherever it was stopped."""

import multiprocessing
import os
import signal

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from torch.multiprocessing import ProcessExitedException

from tests.trainers.toys import ToyData, ToyModule
from trainers import build_trainer
from trainers.callbacks import EMA, Checkpoints
from trainers.resume import _plain_fields
from trainers.runs import LAST, claim_run_folder, find_resume
from trainers.samplers import Position

QUIET = {"logger": None, "enable_progress_bar": False, "enable_model_summary": False, "max_epochs": 4}
STEPS = 6  # per epoch


class Killed(Exception):
    pass


class KillAfter(Callback):
    """Die after a number of steps, before the next batch, as a killed process does."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            raise Killed


class WriteState(Callback):
    """After a fork only files come back."""

    def __init__(self, path):
        self.path, self.losses = path, []

    def on_train_epoch_start(self, trainer, pl_module):
        self.losses += [float(loss) for name, loss in trainer.callback_metrics.items() if name == "train/loss"]

    def on_fit_end(self, trainer, pl_module):
        if trainer.is_global_zero:
            self.on_train_epoch_start(trainer, pl_module)
            lr = trainer.optimizers[0].state_dict()["param_groups"][0]["lr"]
            state = {"state": pl_module.state_dict(), "lr": lr, "seen": pl_module.seen, "losses": self.losses}
            torch.save(state, self.path)


def fit(folder, *, ema=False, kill_after=None, signal_after=None, resume=None, data=None, module=None, **arguments):
    seed_everything(3, verbose=False)
    callbacks = [WriteState(folder / "state.pt"), *([EMA(0.9)] if ema else [])]
    callbacks += [] if kill_after is None else [KillAfter(kill_after)]
    callbacks += [] if signal_after is None else [signal_after]
    trainer = build_trainer(
        output=folder, resume=resume, callbacks=callbacks, **{**QUIET, "preset": "cpu", **arguments}
    )
    toy = ToyModule(**{"dropout": 0.5, **(module or {})})
    trainer.fit(toy, ToyData(**(data or {})))
    return torch.load(folder / "state.pt")


def assert_same(resumed, uninterrupted):
    assert resumed["lr"] == uninterrupted["lr"]
    different = [n for n, value in uninterrupted["state"].items() if not torch.equal(value, resumed["state"][n])]
    assert not different
    for name in ("seen", "losses"):
        assert resumed[name] == uninterrupted[name][-len(resumed[name]) :]


CASES = {
    "epoch end": {"kill_after": 2 * STEPS},
    "mid-epoch": {"kill_after": STEPS + 4, "every_n_train_steps": 1},
    "first batch of an epoch done": {"kill_after": STEPS + 1, "every_n_train_steps": 1},
    "last batch of an epoch not done": {"kill_after": 2 * STEPS - 1, "every_n_train_steps": 1},
    "in the first epoch": {"kill_after": 2, "every_n_train_steps": 1},
    "checkpoint some steps ago": {"kill_after": STEPS + 5, "every_n_train_steps": 2},
    "mid-epoch, averaged": {"kill_after": STEPS + 4, "every_n_train_steps": 1, "ema": True},
    "epoch end, averaged": {"kill_after": 2 * STEPS, "ema": True},
    "epoch end, plateau schedule": {"kill_after": 2 * STEPS, "module": {"schedule": "plateau"}},
    "mid-epoch, plateau schedule": {
        "kill_after": 2 * STEPS + 1,
        "every_n_train_steps": 1,
        "module": {"schedule": "plateau"},
    },
    "mid-epoch, validation twice an epoch": {
        "kill_after": STEPS + 4,
        "every_n_train_steps": 1,
        "val_check_interval": 0.5,
    },
    "accumulated gradients": {"kill_after": STEPS // 2 + 1, "every_n_train_steps": 1, "accumulate_grad_batches": 2},
    "no validation": {"kill_after": STEPS + 4, "every_n_train_steps": 1, "limit_val_batches": 0},
    "no validation, epoch end": {"kill_after": STEPS, "limit_val_batches": 0},
    "two workers, mid-epoch": {"kill_after": STEPS + 3, "every_n_train_steps": 1, "data": {"num_workers": 1}},
    "batch norm": {"kill_after": STEPS + 3, "every_n_train_steps": 1, "module": {"batch_norm": True}},
}


@pytest.mark.parametrize("case", CASES)
def test_resume_is_exact(case, tmp_path):
    arguments = dict(CASES[case])
    kill_after = arguments.pop("kill_after")
    uninterrupted = fit(tmp_path / "uninterrupted", **arguments)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", kill_after=kill_after, **arguments)
    resumed = fit(tmp_path / "killed", resume="auto", **arguments)
    assert 0 < len(resumed["seen"]) < len(uninterrupted["seen"])
    assert_same(resumed, uninterrupted)


@pytest.mark.parametrize("ema", [False, True])
def test_resume_from_the_best_is_exact(ema, tmp_path):
    uninterrupted = fit(tmp_path / "uninterrupted", ema=ema)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", ema=ema, kill_after=2 * STEPS + 2)
    # Written in the validation, before the end of its epoch.
    resumed = fit(tmp_path / "resumed", ema=ema, resume=tmp_path / "killed/checkpoints/best.ckpt")
    assert_same(resumed, uninterrupted)


def test_negative_control_without_the_random_state(tmp_path, monkeypatch):
    uninterrupted = fit(tmp_path / "uninterrupted")
    with pytest.raises(Killed):
        fit(tmp_path / "killed", kill_after=2 * STEPS)
    monkeypatch.setattr("trainers.resume._set_random_state", lambda trainer, state: None)
    resumed = fit(tmp_path / "killed", resume="auto")
    assert not torch.equal(resumed["state"]["network.0.weight"], uninterrupted["state"]["network.0.weight"])


def test_negative_control_without_the_position(tmp_path, monkeypatch):
    arguments = {"every_n_train_steps": 1, "module": {"dropout": 0.0}}
    uninterrupted = fit(tmp_path / "uninterrupted", **arguments)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", kill_after=STEPS + 2, **arguments)
    monkeypatch.setattr("trainers.resume.Position", lambda *position: Position(*position[:1]))
    resumed = fit(tmp_path / "killed", resume="auto", **arguments)
    assert not torch.equal(resumed["state"]["network.0.weight"], uninterrupted["state"]["network.0.weight"])


@pytest.mark.parametrize("case", ["epoch end", "mid-epoch", "mid-epoch, averaged"])
def test_resume_is_exact_on_two_processes(case, tmp_path):
    arguments = {"preset": "ddp_sim", **CASES[case]}
    kill_after = arguments.pop("kill_after")
    uninterrupted = fit(tmp_path / "uninterrupted", **arguments)
    with pytest.raises(Exception, match="Killed"):
        fit(tmp_path / "killed", kill_after=kill_after, **arguments)
    resumed = fit(tmp_path / "killed", resume="auto", **arguments)
    assert 0 < len(resumed["seen"]) < len(uninterrupted["seen"])
    assert_same(resumed, uninterrupted)


@pytest.mark.gpu
@pytest.mark.parametrize("case", ["epoch end", "mid-epoch", "mid-epoch, averaged"])
def test_resume_is_exact_on_a_gpu(case, tmp_path):
    arguments = {"preset": "gpu", **CASES[case]}
    kill_after = arguments.pop("kill_after")
    uninterrupted = fit(tmp_path / "uninterrupted", **arguments)
    with pytest.raises(Killed):
        fit(tmp_path / "killed", kill_after=kill_after, **arguments)
    assert_same(fit(tmp_path / "killed", resume="auto", **arguments), uninterrupted)


def test_another_number_of_processes_sees_the_same_batches_and_is_told_of_the_dropout(tmp_path):
    with pytest.raises(Killed):
        fit(tmp_path / "killed", kill_after=STEPS + 2, every_n_train_steps=1)
    with pytest.raises(Exception, match="random numbers"):
        fit(tmp_path / "killed", resume="auto", preset="ddp_sim", every_n_train_steps=1)


def test_checkpoints_load_in_safe_mode(tmp_path):
    fit(tmp_path, ema=True, every_n_train_steps=2, max_epochs=1)
    for name in ("last", "best"):
        checkpoint = torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert checkpoint["exact_resume"]["position"] == (1, 0)
    assert not list(tmp_path.rglob("*.partial"))


def test_fit_after_a_finished_resume_starts_afresh(tmp_path):
    fit(tmp_path, max_epochs=1)
    seed_everything(3, verbose=False)
    trainer = build_trainer(output=tmp_path, resume="auto", preset="cpu", **QUIET)
    trainer.fit(ToyModule(dropout=0.5), ToyData())
    assert trainer.ckpt_path is None


def test_after_a_resume_on_forked_processes_the_parent_tests_the_new_weights(tmp_path):
    fit(tmp_path, max_epochs=1, preset="ddp_sim")
    trainer = build_trainer(output=tmp_path, resume="auto", preset="ddp_sim", **QUIET)
    trainer.fit(module := ToyModule(dropout=0.5), data := ToyData())
    assert trainer.ckpt_path is None
    tested = trainer.test(module, data, verbose=False)
    assert tested == trainer.test(module, data, ckpt_path=tmp_path / LAST, verbose=False)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"module": {"lr": 0.5}}, r"\(saved -> given\): model\.lr: 0\.05 -> 0\.5$"),
        ({"data": {"seed": 1}, "module": {"dropout": 0.1}}, r"data\.seed: 0 -> 1; model\.dropout: 0\.5 -> 0\.1$"),
    ],
)
def test_resume_with_other_hyper_parameters_is_refused(changed, message, tmp_path):
    fit(tmp_path, max_epochs=1)
    with pytest.raises(ValueError, match=message):
        fit(tmp_path, resume="auto", **changed)


@pytest.mark.parametrize("entry", ["hparams", "random_states", "averages"])
def test_a_checkpoint_of_an_earlier_version_is_refused(entry, tmp_path):
    fit(tmp_path, max_epochs=1)
    checkpoint = torch.load(tmp_path / LAST)
    del checkpoint["exact_resume"][entry]
    torch.save(checkpoint, tmp_path / LAST)
    with pytest.raises(ValueError, match=f"the checkpoint lacks {entry}: an earlier version"):
        fit(tmp_path, resume="auto")


def test_a_checkpoint_without_what_makes_resuming_exact_is_told_of(tmp_path):
    fit(tmp_path, max_epochs=1)
    checkpoint = torch.load(tmp_path / LAST)
    del checkpoint["exact_resume"]
    torch.save(checkpoint, tmp_path / LAST)
    with pytest.warns(UserWarning, match="written without ExactResume"):
        fit(tmp_path, resume="auto", max_epochs=2)


def test_resume_with_other_workers_and_more_epochs_is_allowed(tmp_path):
    fit(tmp_path, max_epochs=1)
    assert_same(
        fit(tmp_path, resume="auto", max_epochs=2, data={"num_workers": 1}), fit(tmp_path / "other", max_epochs=2)
    )


def test_hyper_parameters_are_compared_field_by_field_and_plain():
    values = {"kwargs": {"width": 8, "sizes": (1, 2)}, "seed": None, "tensor": torch.ones(1)}
    fields = {"kwargs.width": 8, "kwargs.sizes.0": 1, "kwargs.sizes.1": 2, "seed": None}
    assert dict(_plain_fields("", values)) == fields


def test_best_is_kept_over_a_resume_and_a_move(tmp_path):
    fit(tmp_path / "old", max_epochs=2)
    (tmp_path / "old").rename(tmp_path / "new")
    checkpoints = Checkpoints(tmp_path / "new")
    state = torch.load(tmp_path / "new" / LAST)["callbacks"]
    (own,) = (value for name, value in state.items() if name.startswith("Checkpoints"))
    checkpoints.load_state_dict(own)
    assert checkpoints.best_model_path == str(tmp_path / "new/checkpoints/best.ckpt")
    assert checkpoints.best_model_score == own["best_model_score"]


def test_find_resume(tmp_path):
    assert find_resume(tmp_path) is None
    for number in ("2", "10", "11"):
        (tmp_path / number / "checkpoints").mkdir(parents=True)
    for number in ("2", "10"):
        (tmp_path / number / LAST).touch()
    assert find_resume(tmp_path) is None, "the newest by number has nothing to resume, and older ones are done"
    (tmp_path / "11" / LAST).touch()
    assert find_resume(tmp_path) == tmp_path / "11" / LAST
    assert find_resume(tmp_path / "2") == tmp_path / "2" / LAST


def test_auto_starts_a_new_run_where_the_newest_wrote_no_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "runs/python"
    (root / "0" / LAST).parent.mkdir(parents=True)
    (root / "0" / LAST).touch()
    (root / "1/logs").mkdir(parents=True)
    assert claim_run_folder(None, "python", "auto") == (root / "2", None)


def test_resume_of_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        build_trainer(output=tmp_path / "run", resume=tmp_path / "nothing", preset="cpu")


class SignalAfter(Callback):
    def __init__(self, number, step):
        self.number, self.step = number, step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_resume_after_a_signal(number, tmp_path):
    every = {"every_n_train_steps": 2} if number == signal.SIGKILL else {}
    arguments = {"signal_after": SignalAfter(number, STEPS + 3), **every}
    process = multiprocessing.get_context("fork").Process(target=fit, args=[tmp_path / "killed"], kwargs=arguments)
    process.start()
    process.join(60)
    assert process.exitcode == (-signal.SIGKILL if number == signal.SIGKILL else 128 + signal.SIGTERM)
    resumed = fit(tmp_path / "killed", resume="auto", **every)
    # Asked to stop, a run finishes the batch and writes where it stands; killed, it has what it wrote last.
    done = STEPS + 2 if number == signal.SIGKILL else STEPS + 4
    assert len(resumed["seen"]) == 4 * STEPS - done
    assert_same(resumed, fit(tmp_path / "uninterrupted", **every))


def test_a_signal_to_one_of_two_processes_stops_both(tmp_path):
    class SignalRankOne(SignalAfter):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if trainer.global_rank == 1:
                super().on_train_batch_start(trainer, pl_module, batch, batch_idx)

    with pytest.raises(ProcessExitedException, match="143"):
        fit(tmp_path / "stopped", signal_after=SignalRankOne(signal.SIGTERM, STEPS + 3), preset="ddp_sim")
    resumed = fit(tmp_path / "stopped", resume="auto", preset="ddp_sim")
    assert len(resumed["seen"]) == 4 * STEPS - (STEPS + 4)
    assert_same(resumed, fit(tmp_path / "uninterrupted", preset="ddp_sim"))


def test_signal_handlers_are_put_back(tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)]
    fit(tmp_path, max_epochs=1)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)] == before
