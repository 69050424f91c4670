"""An installed wheel has the checkpoints and all that they need, and loads them from anywhere."""

import os
import shutil
import subprocess
import sys

import pytest

import checkpoints
from checkpoints.format import FILES
from tests.paths import REPOSITORY
from trainers.catalogue import list_presets, list_recipes

PACKAGES = ("zoo", "datamodules", "trainers", "checkpoints")
SHIPPED = checkpoints.list_checkpoints()


def python(*arguments, **options):
    command = [sys.executable, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An otherwise empty folder with the project installed from its wheel."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy, since the build backend leaves files of its own beside the sources.
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, folder / "source" / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / file, folder / "source")
    pip = ("-m", "pip", "--disable-pip-version-check", "--no-input")
    offline = ("--no-deps", "--no-index")
    python(*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", folder, folder / "source")
    python(*pip, "install", *offline, "--no-compile", "--target", folder / "target", *folder.glob("*.whl"))
    return folder / "target"


def in_installed(installed, code, folder):
    """Run code that sees the installed packages and nothing of the repository."""
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    return python("-W", "ignore", "-c", code, cwd=folder, env=environment)


def test_packages_and_nothing_else_are_installed(installed):
    names = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {*PACKAGES, "bin"}
    assert (installed / "bin" / "eigenzoo").is_file()


def test_recipes_and_presets_are_there(installed, tmp_path):
    code = "from trainers.catalogue import list_presets, list_recipes; print(list_recipes(), list_presets())"
    assert in_installed(installed, code, tmp_path).strip() == f"{list_recipes()} {list_presets()}"


def test_checkpoints_are_there(installed, tmp_path):
    assert in_installed(
        installed, "import checkpoints; print(checkpoints.list_checkpoints())", tmp_path
    ).strip() == str(SHIPPED)
    assert (installed / "checkpoints" / "index.csv").read_bytes() == (
        REPOSITORY / "checkpoints" / "index.csv"
    ).read_bytes()
    for name in SHIPPED:
        assert sorted(path.name for path in (installed / "checkpoints" / name).iterdir()) == sorted(FILES)


def test_the_command_and_the_packaged_data_work_from_elsewhere(installed, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    listed = python("-W", "ignore", installed / "bin" / "eigenzoo", "list", cwd=tmp_path, env=environment)
    assert "spe-gine" in listed and "datamodules.graphs.ZINC" in listed
    code = "from datamodules.graphs import ZINC; print(ZINC().source())"
    assert in_installed(installed, code, tmp_path).startswith(str(installed / "datamodules"))


@pytest.mark.skipif(not SHIPPED, reason="no checkpoint is shipped")
def test_checkpoints_load_from_elsewhere(installed, tmp_path):
    code = f"import checkpoints; [checkpoints.load(name) for name in {SHIPPED}]; print(checkpoints.__file__)"
    assert in_installed(installed, code, tmp_path).strip() == str(installed / "checkpoints" / "__init__.py")
