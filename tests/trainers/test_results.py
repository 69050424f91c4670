import csv

import pytest

from tests.paths import REPOSITORY
from trainers import results
from trainers.results import TABLE, collect, render, write_csv

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


class Model:
    def parameters(self):
        return iter([])


@pytest.fixture
def finished(monkeypatch):
    """Two seeds of a run whose test compared a variant."""

    def info(seed):
        metrics = {"test/mae": 1.0 + seed, "test/plain/mae": 3.0 + seed, "val/mae": 9.0}
        provenance = {"split": "80/20", "epochs": 5, "seeds": [int(seed)], "hardware": "cpu", "time": 60 + 60 * seed}
        return {"metrics": metrics, "provenance": provenance | {"commit": "0123456789abcdef"}}

    monkeypatch.setattr(results.checkpoints, "info", lambda source: info(float(source)))
    monkeypatch.setattr(results.checkpoints, "load", lambda source: Model())


def test_variants_have_rows_of_their_own(finished):
    own, plain = collect([("ours", "0")])
    assert (own["model"], own["test/mae"], own["seeds"], own["minutes"]) == ("ours", 1.0, "0", 1.0)
    assert (plain["model"], plain["test/mae"]) == ("plain", 3.0)
    assert "test/mae std" not in own and "val/mae" not in own


def test_variants_can_be_left_out(finished):
    (row,) = collect([("ours", "0")], variants=False)
    assert row["model"] == "ours"


def test_runs_of_one_label_are_averaged(finished):
    own, plain = collect([("ours", "0"), ("ours", "1")])
    assert (own["test/mae"], own["minutes"], own["seeds"]) == (1.5, 1.5, "0 1")
    assert own["test/mae std"] == pytest.approx(0.5**0.5)
    assert plain["test/mae"] == 3.5
