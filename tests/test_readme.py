"""The commands of the READMEs work: each is run, training ones with the debug preset."""

import re
import shlex
import subprocess
import sys

import pytest

from tests.paths import REPOSITORY
from trainers.cli import main

READMES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "zoo").glob("*/README.md"))]


def commands(language: str) -> list[str]:
    blocks = [block for path in READMES for block in re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.S)]
    if language == "python":
        return blocks
    lines = (line.split("#")[0].strip() for block in blocks for line in block.splitlines())
    return sorted({line for line in lines if line})


# The benchmark is the slow one; its harness has tests of its own.
SHELL = [
    pytest.param(line, marks=pytest.mark.slow if "benchmark" in line else (), id=line) for line in commands("bash")
]
# Two small batches of every stage instead of a whole training.
SHORTENED = ["--preset", "debug", "--data.batch_size", "16"]


@pytest.mark.parametrize("command", SHELL)
def test_shell_command(command, tmp_path, monkeypatch):
    program, *arguments = shlex.split(command)
    if program == "eigenzoo":
        monkeypatch.chdir(tmp_path)
        main([*arguments, *(SHORTENED if arguments[0] == "fit" else [])])
    elif program == "python" and arguments[0].startswith("scripts/"):
        if "benchmark" in arguments[0]:
            arguments += ["--repeats", "1"]
        for folder in ("scripts", "tests"):  # as in the repository, but what is written stays outside of it
            (tmp_path / folder).symlink_to(REPOSITORY / folder)
        subprocess.run([sys.executable, *arguments], cwd=tmp_path, check=True, capture_output=True, timeout=240)
    elif program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=REPOSITORY, check=True, capture_output=True)
    else:
        # Making an environment is what continuous integration does with every run.
        assert program in (".", "pip", "pytest") or arguments[:2] == ["-m", "venv"], (
            f"the README has a command that no test runs: {command}"
        )


@pytest.mark.parametrize("code", commands("python"))
def test_python_example(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
