"""The architecture: who may import whom, and how little importing a package costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import REPOSITORY

PACKAGES = ("zoo", "datamodules", "trainers", "checkpoints", "scripts")
METHODS = sorted(path.parent.name for path in (REPOSITORY / "zoo").glob("*/module.py"))


def allowed(source: str, target: str) -> bool:
    """Tell whether a module may import another one, both given by dotted name."""
    package, *rest = source.split(".")
    if target.split(".")[0] == package:
        method, other = (rest or [""])[0], (target.split(".")[1:] or [""])[0]
        return package != "zoo" or method not in METHODS or other not in METHODS or method == other
    may_import = {
        "zoo": (),
        "datamodules": ("zoo.spectral", "zoo.checks", "zoo.lazy"),  # numerics, and leaves that know no model
        "checkpoints": ("zoo",),
        "trainers": ("zoo", "datamodules", "checkpoints"),
        "scripts": ("zoo", "datamodules", "checkpoints", "trainers", "tests"),
    }[package]
    return any(target == name or target.startswith(name + ".") for name in may_import)


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
    return {name for name in names if name.split(".")[0] in (*PACKAGES, "tests")}


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_downwards(package):
    files = list((REPOSITORY / package).rglob("*.py"))
    assert files
    wrong = [
        f"{dotted(path)} imports {name}" for path in files for name in imports(path) if not allowed(dotted(path), name)
    ]
    assert not wrong


def test_the_rule_bites():
    assert not allowed("zoo.spe.module", "datamodules.keys")
    assert not allowed("datamodules.graphs.zinc", "zoo.spe.network")
    assert not allowed("checkpoints.hub", "trainers")
    assert allowed("datamodules.graphs.zinc", "zoo.spectral.transforms")


@pytest.mark.parametrize("package", ["zoo", "datamodules", "checkpoints", "trainers"])
def test_importing_a_package_is_cheap(package):
    code = f"import {package}, sys; print([m for m in ('lightning', 'torchmetrics', 'torch') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY, check=True)
    assert run.stdout.strip() == "[]"
