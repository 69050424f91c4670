import json

import pytest

from scripts.generate_data import main

TINY = ["SubstructureCounting", "--num_train", "5", "--num_val", "3", "--num_test", "4"]


def test_data_are_prepared_in_a_folder_and_described(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path / "unused"))
    main([*TINY, "--home", str(tmp_path / "home")])
    output = capsys.readouterr().out
    assert json.loads(output[output.index("{") :])["sizes"] == {"train": 5, "val": 3, "test": 4}
    assert len(list((tmp_path / "home").rglob("*.npz"))) == 1
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["QM9"], "QM9"),
        ([*TINY, "--num_train", "few"], "num_train"),
        ([*TINY, "--num_trian", "5"], "num_trian"),
    ],
)
def test_a_bad_command_line_is_refused(args, message, capsys):
    with pytest.raises(SystemExit):
        main(args)
    assert message in capsys.readouterr().err


def test_a_bad_value_is_one_line():
    with pytest.raises(SystemExit, match="error: num_eigs=0 is not allowed"):
        main([*TINY, "--num_eigs", "0"])
