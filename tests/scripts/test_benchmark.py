import csv
import subprocess
import sys

import pytest

from tests.paths import REPOSITORY


def run(*arguments):
    command = [sys.executable, "scripts/benchmark.py", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=240)


@pytest.mark.slow
def test_spe_beats_the_published_layout(tmp_path):
    result = run("spe", "--repeats", "5", "--output", str(tmp_path / "spe.csv"))
    assert result.returncode == 0, result.stderr
    with (tmp_path / "spe.csv").open() as file:
        rows = {(row["case"], row["variant"]): row for row in csv.DictReader(file)}
    assert len(rows) == 4
    assert all(float(row["error"]) < 1e-5 for row in rows.values())
    # Measured: 2.2 and 1.6.
    assert float(rows["SPE-GINE step, 64 ZINC molecules, d 37", "published layout"]["ratio"]) > 1.5
    assert float(rows["SPE-GINE step, 4 random graphs, n 100, d 32", "published layout"]["ratio"]) > 1.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["unknown"], "choose from"), (["spe", "--repeats", "0"], "--repeats must be at least 1, not 0")],
)
def test_bad_arguments_are_named(arguments, message):
    result = run(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
