import csv

import pytest

from scripts import koopman_training


def test_table_and_figure_are_written(tmp_path, monkeypatch, capsys):
    kept = ("EDMD-DL", "whitened residual")
    monkeypatch.setattr(koopman_training, "LOSSES", {name: koopman_training.LOSSES[name] for name in kept})
    koopman_training.main(["--seeds", "1", "--steps", "3", "--output", str(tmp_path)])
    with (tmp_path / "error_vs_work.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["loss"], row["step"]) for row in rows] == [(name, step) for name in kept for step in ("0", "3")]
    # The same network to begin with, and held-out residuals that three steps make smaller.
    first, last = rows[2:]
    assert rows[0]["median_residual"] == first["median_residual"]
    assert float(last["mean_leak"]) < float(first["mean_leak"])
    with (tmp_path / "losses.csv").open() as file:
        summary = {row["loss"]: row for row in csv.DictReader(file)}
    assert list(summary) == ["untrained", *kept]
    assert float(summary["whitened residual"]["mean_leak"]) == float(last["mean_leak"])
    assert float(summary["untrained"]["mean_leak"]) == float(first["mean_leak"])
    assert (tmp_path / "error_vs_work.png").stat().st_size > 10_000
    assert "whitened residual" in capsys.readouterr().out


def test_bad_arguments_are_named(capsys):
    with pytest.raises(SystemExit):
        koopman_training.main(["--steps", "0"])
    assert "--steps must be at least 1, not 0" in capsys.readouterr().err
