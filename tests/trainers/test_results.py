import csv

import pytest

from tests.paths import REPOSITORY
from trainers.results import TABLE, render, write_csv

READMES = [
    path for path in [REPOSITORY / "README.md", *REPOSITORY.glob("zoo/*/README.md")] if TABLE.search(path.read_text())
]
TEXT = "before\n<!-- table: a.csv; model, test/mae -->\nstale\n<!-- end of table -->\nafter\n"


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_tables_of_readmes_are_in_step(readme):
    assert readme.read_text() == render(readme)


def test_there_is_a_table():
    assert REPOSITORY / "README.md" in READMES


def test_render_fills_a_table_from_its_file(tmp_path):
    write_csv(
        tmp_path / "a.csv", [{"model": "SPE", "test/mae": 0.123456, "epochs": 3}, {"model": "none", "test/mae": 1500}]
    )
    readme = tmp_path / "README.md"
    readme.write_text(TEXT)
    table = "| model | test/mae |\n| --- | --- |\n| SPE | 0.1235 |\n| none | 1,500 |\n"
    assert render(readme) == TEXT.replace("stale\n", table)
    readme.write_text(render(readme))
    assert render(readme) == readme.read_text()


def test_write_csv_keeps_every_column(tmp_path):
    path = write_csv(tmp_path / "a.csv", [{"model": "a", "x": 1}, {"model": "b", "y": 2}])
    with path.open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"model": "a", "x": "1", "y": ""}, {"model": "b", "x": "", "y": "2"}]


def test_a_missing_column_is_named(tmp_path):
    write_csv(tmp_path / "a.csv", [{"model": "SPE"}])
    (tmp_path / "README.md").write_text(TEXT)
    with pytest.raises(ValueError, match="has no column 'test/mae'; it has model"):
        render(tmp_path / "README.md")
