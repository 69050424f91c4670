"""Training that is a sum over the data: the same result for any number of processes, any interruption."""

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from torch.multiprocessing import ProcessRaisedException, start_processes

from tests.contract.shared import KillAt, Killed, SaveAt, WriteResults
from tests.trainers.toy_statistics import STATISTICS, LeastSquares, Line
from trainers import build_trainer
from trainers.samplers import CompleteBatches
from trainers.statistics import SumOverData, merge_over_ranks

statistics = pytest.mark.parametrize("statistic", list(STATISTICS))


def fit(folder, module=None, data=None, seed=0, ckpt_path=None, **arguments):
    seed_everything(seed, verbose=False)
    quiet = {"logger": None, "preset": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    trainer = build_trainer(output=folder, **{**quiet, "max_epochs": 1, **arguments})
    module = module or LeastSquares()
    trainer.fit(module, data or Line(), ckpt_path=ckpt_path)
    return trainer, module


def rows(data):
    data.setup("fit")
    return [torch.stack(parts).double() for parts in list(zip(*data.dataset("train"), strict=True))[:2]]


@statistics
def test_one_epoch_is_the_least_squares_of_all_samples(statistic, tmp_path):
    data = Line()
    trainer, module = fit(tmp_path, LeastSquares(statistic=statistic), data)
    x, y = rows(data)
    design = torch.cat([x, torch.ones(len(x), 1, dtype=torch.float64)], dim=1)
    expected = torch.linalg.lstsq(design, y).solution
    torch.testing.assert_close(module.coefficients, expected[:-1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(module.intercept, expected[-1], rtol=1e-12, atol=1e-12)
    assert module.seen == list(range(37))  # also those that batches of 8 leave over
    assert trainer.global_step == 4


def test_validation_sees_the_solution_of_the_epoch(tmp_path):
    trainer, module = fit(tmp_path)
    assert 0 < float(trainer.callback_metrics["val/mse"]) < 0.05
    best = torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)
    assert torch.equal(best["state_dict"]["coefficients"], module.coefficients)


def test_more_epochs_add_nothing(tmp_path):
    trainer, module = fit(tmp_path / "many", max_epochs=7)
    assert trainer.current_epoch == 1 and module.statistics["moments"].count == 37
    again, resumed = fit(tmp_path / "resumed", max_epochs=7, ckpt_path=tmp_path / "many" / "checkpoints" / "last.ckpt")
    assert again.global_step == trainer.global_step and resumed.seen == []
    assert torch.equal(resumed.principal, module.principal)


def test_a_second_fit_starts_from_nothing(tmp_path):
    _, module = fit(tmp_path / "first")
    fit(tmp_path / "second", module, Line(num_train=20))
    assert module.statistics["moments"].count == 20


def test_what_an_interrupted_run_has_added_up_is_forgotten(tmp_path):
    module = LeastSquares()
    with pytest.raises(Killed):
        fit(tmp_path / "killed", module, callbacks=KillAt(2))
    _, whole = fit(tmp_path / "whole")
    fit(tmp_path / "again", module)
    assert torch.equal(module.coefficients, whole.coefficients)


def test_without_validation(tmp_path):
    _, module = fit(tmp_path, limit_val_batches=0)
    assert module.coefficients.abs().sum() > 1 and not module.stale


def test_solves_at_each_validation_within_the_epoch(tmp_path):
    counts = []

    class Counting(LeastSquares):
        def solve(self, statistics):
            counts.append(statistics["moments"].count)
            return super().solve(statistics)

    fit(tmp_path, Counting(), val_check_interval=2)
    assert counts == [18, 37]


@statistics
@pytest.mark.parametrize("data", [{}, {"num_train": 33}, {"num_train": 3}, {"num_train": 5, "batch_size": 2}])
def test_two_processes_equal_one(statistic, data, tmp_path):
    results = []
    for preset in ("cpu", "ddp_sim"):
        path = tmp_path / f"{preset}.pt"
        write = WriteResults(path)
        _, module = fit(
            tmp_path / preset, LeastSquares(statistic=statistic), Line(**data), preset=preset, callbacks=write
        )
        results.append(torch.load(path))
        assert torch.equal(module.principal, results[-1]["state"]["principal"])
    one, two = results
    for name, value in one["state"].items():
        same = two["state"][name]
        # Signs are drawn at random, by process 0.
        torch.testing.assert_close(
            *((same.abs(), value.abs()) if name == "principal" else (same, value)), rtol=1e-12, atol=1e-12
        )
    assert two["metrics"] == pytest.approx(one["metrics"], rel=1e-10)


class Diverse(LeastSquares):
    """Each process would draw other signs; each writes what it has in the end."""

    def on_train_start(self):
        super().on_train_start()
        torch.manual_seed(self.global_rank)

    def on_fit_end(self):
        torch.save([dict(self.named_buffers()), self.seen], f"{self.trainer.default_root_dir}/{self.global_rank}.pt")


def test_all_processes_have_the_solution_of_the_first(tmp_path):
    fit(tmp_path, Diverse(num_features=3), preset="ddp_sim")
    (first, seen), (second, others) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first) and "principal" in first
    assert sorted(seen + others) == list(range(37))


def test_three_processes(tmp_path):
    _, one = fit(tmp_path / "one", data=Line(batch_size=6))
    _, three = fit(tmp_path / "three", data=Line(batch_size=6), preset="ddp_sim", devices=3)
    torch.testing.assert_close(three.coefficients, one.coefficients, rtol=1e-12, atol=1e-12)


@statistics
@pytest.mark.parametrize("preset", ["cpu", "ddp_sim"])
def test_resume_in_the_middle_of_the_epoch_is_bit_for_bit(statistic, preset, tmp_path):
    def run(name, callbacks=(), **arguments):
        module = LeastSquares(statistic=statistic)
        return fit(tmp_path / name, module, preset=preset, callbacks=list(callbacks), seed=4, **arguments)[1]

    whole, saved = run("whole"), tmp_path / "saved.ckpt"
    with pytest.raises(Killed if preset == "cpu" else ProcessRaisedException):
        run("killed", [SaveAt(2, saved), KillAt(3)])
    resumed = run("resumed", ckpt_path=saved)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    if preset == "cpu":
        assert resumed.seen == list(range(18, 37))


@statistics
def test_resume_on_another_number_of_processes(statistic, tmp_path):
    _, whole = fit(tmp_path / "whole", LeastSquares(statistic=statistic))
    saved = tmp_path / "saved.ckpt"
    with pytest.raises(Exception, match="Killed"):
        fit(
            tmp_path / "killed",
            LeastSquares(statistic=statistic),
            preset="ddp_sim",
            callbacks=[SaveAt(2, saved), KillAt(3)],
        )
    with pytest.warns(UserWarning, match="written by 2 processes and is resumed by 1"):
        _, resumed = fit(tmp_path / "resumed", LeastSquares(statistic=statistic), ckpt_path=saved)
    torch.testing.assert_close(resumed.coefficients, whole.coefficients, rtol=1e-12, atol=1e-12)


def test_last_checkpoint_resumes_by_itself(tmp_path):
    with pytest.raises(Killed):
        fit(tmp_path / "run", callbacks=KillAt(3), every_n_train_steps=2)
    _, whole = fit(tmp_path / "whole")
    trainer, resumed = fit(tmp_path / "run", resume="auto")
    assert resumed.seen == list(range(18, 37))
    assert torch.equal(resumed.coefficients, whole.coefficients)
    assert trainer.global_step == 4


def test_loaders_with_workers_and_loggers(tmp_path):
    _, plain = fit(tmp_path / "plain")
    _, workers = fit(tmp_path / "workers", data=Line(num_workers=1), logger="csv", log_every_n_steps=1)
    assert torch.equal(plain.coefficients, workers.coefficients)


def test_the_progress_bar_counts_batches(tmp_path, capsys):
    fit(tmp_path, enable_progress_bar=True)
    assert "4/4" in capsys.readouterr().out


@pytest.mark.parametrize("preset", ["cpu", "ddp_sim"])
def test_a_failure_to_solve_stops_all_processes(preset, tmp_path):
    class Failing(LeastSquares):
        def solve(self, statistics):
            raise ArithmeticError("singular")

    with pytest.raises(Exception, match="singular"):
        fit(tmp_path, Failing(), preset=preset)


def test_without_a_trainer(tmp_path):
    _, trained = fit(tmp_path)
    data = Line()
    data.setup("fit")
    batches = [data.collate(data.dataset("train")[first:last]) for first, last in ((0, 9), (9, 18), (18, 27), (27, 37))]
    module = LeastSquares().fit_batches(batches)
    assert torch.equal(module.coefficients, trained.coefficients)


def test_other_trainers_need_the_callback(tmp_path):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "max_epochs": 1}
    quiet |= {"enable_model_summary": False, "accelerator": "cpu", "default_root_dir": tmp_path}
    with pytest.raises(RuntimeError, match=r"trainers\.statistics\.SumOverData"):
        Trainer(**quiet).fit(LeastSquares(), Line())
    module = LeastSquares()
    Trainer(callbacks=[SumOverData()], **quiet).fit(module, Line())
    assert module.coefficients.abs().sum() > 1


def test_what_nothing_trains_must_not_ask_for_it(tmp_path):
    module = LeastSquares()
    module.head = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"head\.weight"):
        fit(tmp_path / "wrong", module)
    module.head.requires_grad_(False)
    fit(tmp_path / "right", module)


def test_a_solution_of_another_shape_changes_nothing():
    module = LeastSquares()
    with pytest.raises(ValueError, match="intercept"):
        module.take({"coefficients": torch.ones(3, 2), "intercept": torch.ones(3)})
    assert not module.coefficients.any()


def merge_shares(rank, world_size, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{folder}/store", rank=rank, world_size=world_size)
    rows = torch.load(folder / "rows.pt")
    merged = {}
    for name, kind in STATISTICS.items():
        accumulator = kind(4, dtype=rows.dtype, shards=2)
        accumulator.update(rows[rank::world_size], shard=rank % 2)
        merged[name] = merge_over_ranks(accumulator)
        assert accumulator.count == len(rows[rank::world_size])
    assert all((one is not None) == (rank == 0) for one in merged.values())
    if rank == 0:
        torch.save({name: one.state_dict() for name, one in merged.items()}, folder / "merged.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("world_size", [2, 3, 5])
def test_complex_statistics_merge_along_a_tree(world_size, tmp_path):
    rows = torch.randn(50, 4, dtype=torch.complex128)
    torch.save(rows, tmp_path / "rows.pt")
    start_processes(merge_shares, (world_size, tmp_path), nprocs=world_size, start_method="fork")
    for name, state in torch.load(tmp_path / "merged.pt").items():
        merged = STATISTICS[name](4, dtype=rows.dtype, shards=2)
        merged.load_state_dict(state)
        torch.testing.assert_close(merged.gram, rows.mH @ rows, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(merged.sums, rows.sum(0), rtol=1e-12, atol=1e-12)
        assert merged.counts.tolist() == [
            sum(len(rows[rank::world_size]) for rank in range(first, world_size, 2)) for first in (0, 1)
        ]


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [4, 5, 11, 12, 13, 15, 16, 24, 25, 31])
@pytest.mark.parametrize("batch_size", [12, 24])
def test_complete_batches(length, world_size, batch_size):
    ranks = [list(CompleteBatches(range(length), batch_size, rank, world_size)) for rank in range(world_size)]
    shared = [[index for part in parts for index in part] for parts in zip(*ranks, strict=True)]
    assert [index for batch in shared for index in batch] == list(range(length))
    assert all(part for rank in ranks for part in rank)
    assert shared == list(CompleteBatches(range(length), batch_size))
    assert all(len(batch) >= min(length, batch_size) for batch in shared)
    assert max(map(len, shared)) - min(map(len, shared)) <= 1
    assert all(len(CompleteBatches(range(length), batch_size, 0, world_size)) == len(rank) for rank in ranks)
