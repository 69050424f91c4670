import pytest

from zoo.eigencam.settings import MapSettings, read_settings


def test_rectification_follows_the_meaning_of_the_sign():
    assert not MapSettings().rectifies
    assert MapSettings(mode="centered").rectifies
    assert MapSettings(method="grad").rectifies
    assert MapSettings(method="eigen-grad").rectifies
    assert not MapSettings(method="lafam").rectifies
    assert MapSettings(method="lafam", rectify=True).rectifies
    assert not MapSettings(mode="centered", rectify=False).rectifies


def test_plain_values_are_read():
    assert read_settings("settings", None) == MapSettings()
    assert read_settings("settings", {"method": "grad", "smooth": "eigen"}) == MapSettings(
        method="grad", smooth="eigen"
    )


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"method": "cam"}, "settings.method='cam'"),
        ({"mode": "centred"}, "settings.mode='centred'"),
        ({"sign": "up"}, "settings.sign='up'"),
        ({"rectify": "yes"}, "settings.rectify='yes'"),
        ({"fusion": "sum"}, "settings.fusion='sum'"),
        ({"smooth": "gauss"}, "settings.smooth='gauss'"),
        ({"smooth": "eigen"}, "settings.smooth='eigen'"),
        ({"method": "grad", "standardize": True}, "settings.standardize=True"),
        ({"method": "grad", "shared_basis": True}, "settings.shared_basis=True"),
        ({"layers": 3}, "settings.layers"),
    ],
)
def test_bad_values_are_named(values, name):
    with pytest.raises(ValueError, match=name):
        read_settings("settings", values)
