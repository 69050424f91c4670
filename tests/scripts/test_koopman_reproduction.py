import csv

from scripts import koopman_reproduction
from tests.paths import REPOSITORY


def test_the_table_of_the_readme_is_what_the_script_finds(tmp_path, capsys):
    koopman_reproduction.main(["--output", str(tmp_path / "table.csv")])
    with (tmp_path / "table.csv").open() as file:
        found = list(csv.DictReader(file))
    with (REPOSITORY / "zoo/koopman/results/reproduction.csv").open() as file:
        shown = list(csv.DictReader(file))
    assert [row["quantity"] for row in found] == [row["quantity"] for row in shown]
    for row, other in zip(found, shown, strict=True):
        difference = abs(float(row["ours"]) - float(other["ours"]))
        assert difference <= 2e-3 * abs(float(other["ours"])) or difference < 1e-12
    assert "RAGE" in capsys.readouterr().out
