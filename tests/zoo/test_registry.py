import pytest
from torch import nn

import zoo
from zoo import registry


def test_list_models_takes_patterns():
    assert zoo.list_models("spe-*") == ["spe-gine", "spe-transformer"]
    assert zoo.list_models("no-such-*") == []


def test_get_network_builds_by_name():
    network = zoo.get_network("spe-gine", num_targets=2, width=8, num_layers=1, rho_layers=1, rho_width=8)
    assert isinstance(network, nn.Module)


def test_arguments_of_encodings_are_checked_without_encodings_too():
    with pytest.raises(TypeError, match="num_eig"):
        zoo.get_network("spe-gine", pe="none", num_eig=3)


def test_unknown_names_are_refused_with_the_closest_ones():
    with pytest.raises(ValueError, match="unknown network 'spe-gin'; did you mean 'spe-gine'"):
        zoo.get_network("spe-gin")
    with pytest.raises(ValueError, match="unknown method 'spectral'; allowed: eigencam, "):
        zoo.get_module_class("spectral")


def test_methods_are_the_folders_with_a_module():
    assert "spe" in zoo.list_methods()
    assert "spectral" not in zoo.list_methods()
    for method in zoo.list_methods():
        assert zoo.get_module_class(method).__module__ == f"zoo.{method}.module"


def test_further_modules_of_a_method_have_names_of_their_own():
    assert {"koopman", "koopman/kernel"} <= set(zoo.list_modules())
    module = zoo.get_module_class("koopman/kernel")
    assert module.__module__ == "zoo.koopman.kernel_module"
    assert module(target_names=["x"]).method == "koopman/kernel"


def test_a_name_is_given_once(monkeypatch):
    monkeypatch.setattr(registry, "_networks", dict(registry._networks))
    zoo.list_models()
    with pytest.raises(ValueError, match=r"name='spe-gine' is already the name of zoo\.spe"):
        registry.register("spe-gine")(nn.Linear)
