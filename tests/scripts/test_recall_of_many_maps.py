import pytest

from scripts import recall_of_many_maps


def test_time_and_memory_are_printed(capsys):
    recall_of_many_maps.main(["--images", "50", "--nside", "8", "--batch-size", "20"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("50 images x 768 cells: ")
    assert "'images': 50.0" in second


def test_bad_arguments_are_named(capsys):
    with pytest.raises(SystemExit):
        recall_of_many_maps.main(["--batch-size", "0"])
    assert "--batch-size must be at least 1, not 0" in capsys.readouterr().err
