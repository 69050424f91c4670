import csv
import os
import subprocess
import sys

import pytest
import torch

from tests.paths import REPOSITORY
from trainers.benchmark import Case, Variant, installed, measure, peak_memory, table, write_csv


def work(size):
    def step():
        matrix = torch.randn(400, 400)
        for _ in range(size):
            matrix @ matrix

    return step


def case(error=0.0):
    ours = Variant("ours", work(10), lambda: torch.tensor([2.0, 4.0]))
    slower = Variant("slower", work(100), lambda: torch.tensor([2.0, 4.0 + error]))
    return Case("products", ours, [slower])


def test_rows():
    ours, slower = measure([case(error=0.4)], repeats=3)
    assert (ours.variant, slower.variant) == ("ours", "slower")
    assert ours.ratio == 1
    assert ours.error == 0
    assert slower.ratio > 2
    assert slower.seconds > ours.seconds > 0
    assert slower.error == pytest.approx(0.1)
    assert ours.torch == torch.__version__
    assert ours.threads == torch.get_num_threads()


def test_variants_run_in_turns_after_a_warm_up():
    order = []
    variants = [Variant(name, lambda name=name: order.append(name), lambda: torch.ones(1)) for name in ("ours", "peer")]
    measure([Case("order", variants[0], variants[1:])], repeats=2)
    assert order == ["ours", "peer"] * 3  # the steps whose memory is measured run in other processes


def test_outputs_are_compared_before_steps_change_them():
    weight = torch.ones(1)
    ours = Variant("ours", lambda: weight.add_(1), weight.clone)
    peer = Variant("peer", lambda: None, lambda: torch.ones(1))
    assert [row.error for row in measure([Case("changing", ours, [peer])], repeats=1)] == [0.0, 0.0]


def test_missing_peers_are_told(capsys):
    assert installed("torch") and not capsys.readouterr().out
    assert not installed("surely_not_installed")
    assert "left out: surely_not_installed is not installed" in capsys.readouterr().out


def test_peak_memory():
    # In a process of its own: what this one has freed could be used again without raising the peak.
    code = (
        "import torch; from trainers.benchmark import peak_memory; torch.set_num_threads(1);"
        "print(peak_memory(lambda: torch.ones(16, 2**20)), peak_memory(lambda: None))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=120)
    filled, nothing = map(float, run.stdout.split())
    assert 60 < filled < 100  # MiB
    assert nothing < 10


def test_a_step_that_dies_is_reported():
    with pytest.raises(RuntimeError, match="the step itself fails"):
        peak_memory(lambda: os._exit(3))


def test_csv_and_table(tmp_path):
    rows = measure([case()], repeats=1)
    write_csv(rows, tmp_path / "new" / "rows.csv")
    with (tmp_path / "new" / "rows.csv").open() as file:
        read = list(csv.DictReader(file))
    assert [row["variant"] for row in read] == ["ours", "slower"]
    assert {"torch", "threads", "commit", "machine"} <= read[0].keys()
    assert float(read[1]["ratio"]) == rows[1].ratio
    assert "slower" in table(rows)
