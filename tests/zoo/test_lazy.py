import sys

import pytest

from zoo.lazy import lazy


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "late"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "home.py").write_text("thing = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "late"
    for name in [name for name in sys.modules if name.split(".")[0] == "late"]:
        del sys.modules[name]


def test_a_module_is_imported_where_its_name_is_first_asked_for(package):
    get, names, offered = lazy(package, {"home": ["thing"], "missing": ["other"]})
    assert names() == offered == ["other", "thing"]
    assert f"{package}.home" not in sys.modules
    assert get("thing") == 3
    assert f"{package}.home" in sys.modules


def test_unknown_names_are_refused_as_any_module_does(package):
    get, _, _ = lazy(package, {"home": ["thing"]})
    with pytest.raises(AttributeError, match="module 'late' has no attribute 'thin'"):
        get("thin")
