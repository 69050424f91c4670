import pytest

from scripts.adversaries import main
from trainers.adversaries import disc


def test_found_is_printed_and_written(tmp_path, monkeypatch, capsys):
    whole = disc.demonstrate
    monkeypatch.setattr(disc, "demonstrate", lambda: whole(sizes=(320,)))
    main(["disc", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "identical bit by bit: yes" in printed
    assert (tmp_path / "disc.txt").read_text() in printed
    assert (tmp_path / "disc.png").exists()


def test_bad_arguments_are_named(capsys):
    with pytest.raises(SystemExit):
        main(["sphere"])
    assert "disc" in capsys.readouterr().err
