"""Compare losses of learned dictionaries on the damped Duffing oscillator: what residuals a second of training buys.

    python scripts/koopman_training.py [--seeds 3] [--steps 500] [--output folder]

All losses train the same network from the same weights by the same optimiser on the same 3000 pairs, in one batch, in
float64. Judged are the eigenpairs of EDMD with the dictionary, on trajectories of their own. Seconds are processor time
of one thread. Writes `error_vs_work.csv`, `error_vs_work.png`, and medians over seeds at the end, `losses.csv`.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datamodules.dynamics import Duffing
from zoo.koopman import losses
from zoo.koopman.dictionaries import ModuleDictionary
from zoo.koopman.edmd import edmd, predict
from zoo.koopman.factors import factorize_snapshots
from zoo.koopman.networks import TanhNetwork
from zoo.koopman.residuals import mean_leak, pair_residuals

RESULTS = Path(__file__).resolve().parents[1] / "zoo" / "koopman" / "results"
CHECKPOINTS = (0, 5, 10, 20, 35, 50, 75, 100, 150, 200, 250, 300, 350, 400, 450, 500)
LR, HELD, RIDGE, PENALTY, ROLLOUT = 1e-3, 2, 1e-5, 1e-4, 50

COLUMNS = ("seconds", "median_residual", "largest_residual", "mean_leak", "condition", "rollout_rmse")

Loss = Callable[[Tensor, Tensor, int], Tensor]


def edmd_dl() -> Loss:
    """Return the loss of EDMD-DL, with a matrix that is held for `HELD` steps."""
    matrix = torch.zeros(0)

    def loss(psi_x: Tensor, psi_y: Tensor, step: int) -> Tensor:
        nonlocal matrix
        if step % HELD == 0:
            matrix = losses.ridge_matrix(psi_x.detach(), psi_y.detach(), RIDGE)
        return losses.one_step_error(psi_x, psi_y, matrix)

    return loss


LOSSES: dict[str, Callable[[], Loss]] = {
    "EDMD-DL": edmd_dl,
    "ResKoopNet, as published": lambda: lambda x, y, _: losses.eigenpair_residual(x, y, RIDGE, normalized=False),
    "ResKoopNet, normalised": lambda: lambda x, y, _: losses.eigenpair_residual(x, y, RIDGE),
    "VAMP-2": lambda: lambda x, y, _: losses.vamp2(x, y),
    "whitened residual": lambda: lambda x, y, _: losses.whitened_residual(x, y),
    "whitened residual and condition": lambda: (
        lambda x, y, _: losses.whitened_residual(x, y) + PENALTY * losses.log_condition(x)
    ),
}


def train(name: str, seed: int, steps: int) -> Iterator[dict[str, float | str]]:
    """Train with a loss and yield what held-out data say of the dictionary."""
    datamodule = Duffing(time_step=0.25, damping=0.5, num_train=300, num_val=1, num_test=300, num_steps=10, seed=seed)
    datamodule.prepare_data()
    datamodule.setup("fit")
    datamodule.setup("test")
    training, test = datamodule.entries("train"), datamodule.entries("test")
    trajectories = [datamodule.sample(100, np.random.default_rng(1000 + seed))]
    for _ in range(ROLLOUT):
        trajectories.append(datamodule.flow(trajectories[-1]))
    truth = torch.from_numpy(np.stack(trajectories))
    torch.manual_seed(seed)
    network = TanhNetwork(2)
    dictionary = ModuleDictionary(network, 2, network.outputs).double()
    loss, optimizer, seconds = LOSSES[name](), torch.optim.Adam(dictionary.parameters(), lr=LR), 0.0
    for step in range(steps + 1):
        if step in CHECKPOINTS or step == steps:
            judged = judge(dictionary, training, test, truth)
            yield {"loss": name, "seed": seed, "step": step, "seconds": round(seconds, 3), **judged}
        start = time.process_time()
        optimizer.zero_grad()
        loss(dictionary(training["state"]), dictionary(training["next_state"]), step).backward()
        optimizer.step()
        seconds += time.process_time() - start


@torch.no_grad()
def judge(
    dictionary: ModuleDictionary, training: dict[str, Tensor], test: dict[str, Tensor], truth: Tensor
) -> dict[str, float]:
    """Return residuals and leak on held-out pairs, the condition, and the error of forecasts over 50 steps."""
    factors = factorize_snapshots(dictionary(training["state"]), dictionary(training["next_state"]))
    held_out = factorize_snapshots(dictionary(test["state"]), dictionary(test["next_state"]))
    pairs = edmd(factors)
    residual = pair_residuals(held_out, pairs.eigenvalues, pairs.right).residual
    state = torch.eye(dictionary.size, dtype=torch.float64)[:, 1:3]
    forecast = predict(pairs.matrix, dictionary(truth[0]), state, ROLLOUT)
    return {
        "median_residual": float(f"{residual.median():.4g}"),
        "largest_residual": float(f"{residual.max():.4g}"),
        "mean_leak": float(f"{mean_leak(held_out):.4g}"),
        "condition": float(f"{held_out.condition:.3g}"),
        "rollout_rmse": float(f"{((forecast - truth) ** 2).mean().sqrt():.4g}"),
    }


def draw(rows: list[dict[str, float | str]], path: Path) -> None:
    """Draw the median residual over steps and over seconds: all seeds, and their median."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for color, name in enumerate(LOSSES):
        runs = [[row for row in rows if (row["loss"], row["seed"]) == (name, seed)] for seed in seeds_of(rows)]
        values = np.array([[float(row["median_residual"]) for row in run] for run in runs])
        for axis, column in zip(axes, ("step", "seconds"), strict=True):
            work = np.array([[float(row[column]) for row in run] for run in runs])
            axis.plot(work.T, values.T, color=f"C{color}", alpha=0.25, linewidth=0.8)
            axis.plot(np.median(work, 0), np.median(values, 0), color=f"C{color}", label=name)
    axes[0].set(yscale="log", xlabel="optimiser steps", ylabel="median residual on held-out data")
    axes[1].set(xlabel="processor seconds of training")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=9)
    figure.savefig(path, dpi=120)


def seeds_of(rows: list[dict[str, float | str]]) -> list[float | str]:
    """Return the seeds in a table."""
    return sorted({row["seed"] for row in rows})


def at_the_end(rows: list[dict[str, float | str]]) -> list[dict[str, float | str]]:
    """Return, for each loss, the medians over seeds before and after training."""
    last = max(int(row["step"]) for row in rows)
    table: list[dict[str, float | str]] = []
    first = rows[0]["loss"]  # all losses begin with the same networks
    for label, name, step in [("untrained", first, 0), *((name, name, last) for name in LOSSES)]:
        chosen = [row for row in rows if (row["loss"], row["step"]) == (name, step)]
        columns = {key: float(np.median([float(row[key]) for row in chosen])) for key in COLUMNS}
        table.append({"loss": label, **columns, "steps": step, "seeds": len(chosen)})
    return table


def write(rows: list[dict[str, float | str]], path: Path) -> None:
    """Write rows to a CSV file with a header."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(args: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(args)
    for name in ("seeds", "steps"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1, not {getattr(options, name)}")
    torch.set_num_threads(1)
    rows: list[dict[str, float | str]] = []
    for seed in range(options.seeds):
        for name in LOSSES:
            rows += train(name, seed, options.steps)
            last = rows[-1]
            print(f"seed {seed}  {name:32s} {last['seconds']:8.1f} s  median residual {last['median_residual']:.4f}")
    options.output.mkdir(parents=True, exist_ok=True)
    write(rows, options.output / "error_vs_work.csv")
    write(at_the_end(rows), options.output / "losses.csv")
    draw(rows, options.output / "error_vs_work.png")


if __name__ == "__main__":
    main()
