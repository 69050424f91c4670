import subprocess
import sys

import pytest

import zoo.gppde


def test_names_are_where_they_are_said_to_be():
    for name in zoo.gppde.__all__:
        assert getattr(zoo.gppde, name).__name__ == name


def test_importing_the_package_loads_no_torch():
    code = "import sys, zoo.gppde; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="Wave"):
        zoo.gppde.Wave  # noqa: B018
