"""The commands that a newcomer and continuous integration start from."""

import os
import subprocess

import pytest

from tests.paths import REPOSITORY


@pytest.mark.parametrize("target", ["train", "test", "check"])
def test_targets_install_first_and_work_twice(target):
    for _ in range(2):
        run = subprocess.run(["make", "--dry-run", target], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        assert run.stdout


def test_an_old_python_is_named(tmp_path):
    old = tmp_path / "python3"
    pretend = "import sys; sys.version_info = (3, 8); sys.version = '3.8.1 old'"
    old.write_text(f'#!/bin/sh\nexec python3 -c "{pretend}; exec(\\"$2\\")"\n')
    old.chmod(0o755)
    words = ["make", "install", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    run = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, env=os.environ, check=False)
    assert run.returncode != 0
    assert "Eigenzoo needs Python 3.11 or newer" in run.stderr
    assert not (tmp_path / "venv").exists()
