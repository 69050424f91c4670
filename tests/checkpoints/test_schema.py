"""Every field of the config is checked, and the config is written in one way only."""

import json

import pytest

import checkpoints
from checkpoints import errors, format
from checkpoints.format import CONFIG, decode, encode
from checkpoints.schema import FIELDS, PROVENANCE, is_name, validate
from tests.checkpoints import toys


@pytest.fixture
def config(folder):
    return checkpoints.info(folder)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_required(config, field):
    del config[field]
    with pytest.raises(errors.MalformedConfigError, match=rf"lacks {field}$"):
        validate(config)


@pytest.mark.parametrize("field", PROVENANCE)
def test_every_provenance_field_is_required_and_may_be_null(config, field):
    config["provenance"][field] = None
    validate(config)
    del config["provenance"][field]
    with pytest.raises(errors.MalformedConfigError, match=rf"lacks provenance\.{field}$"):
        validate(config)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format_version", 0),
        ("name", "../x"),
        ("name", "Spe"),
        ("name", "a/b"),
        ("name", ""),
        ("name", "spe-zinc\n"),
        ("method", None),
        ("hparams", []),
        ("recipe", 3),
        ("weights", "both"),
        ("metrics", {"test/mae": "0.07"}),
        ("metrics", {"test/mae": True}),
        ("metrics", {"test/mae": 10**400}),
        ("surprise", 1),
        ("provenance.data", "ZINC"),
        ("provenance.seeds", [0.5]),
        ("provenance.epochs", "many"),
        ("provenance.time", "2 h"),
        ("provenance.licence", " "),
        ("provenance.paper", [{"metric": "test/mae", "value": 0.07}]),
        ("provenance.paper", [{"metric": "test/mae", "value": "0.07", "source": "table 1"}]),
        ("provenance.mood", "good"),
        ("files.setup.py", {"sha256": "0" * 64, "bytes": 1}),
        ("files.weights.safetensors", None),
        ("files.weights.safetensors", {"sha256": "0" * 63, "bytes": 1}),
        ("files.weights.safetensors", {"sha256": "0" * 64, "bytes": -1}),
        ("reference.rtol", -1.0),
        ("reference.dtype", None),
    ],
)
def test_bad_values_are_named(config, path, value):
    field, _, rest = path.partition(".")
    if rest:
        config[field][rest] = value
    else:
        config[field] = value
    with pytest.raises(errors.MalformedConfigError) as raised:
        validate(config)
    assert path in str(raised.value)


def test_numbers_beyond_floats_are_refused_when_read(folder):
    text = (folder / CONFIG).read_text().replace('"test/mae": 0.0725', '"test/mae": 1e999')
    (folder / CONFIG).write_text(text)
    with pytest.raises(errors.MalformedConfigError, match="metrics"):
        checkpoints.info(folder)


@pytest.mark.parametrize("name", ["spe-zinc", "spe", "spe-zinc.v2", "a_b", "3bpa"])
def test_names(name):
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a--b", ".a", "a/b", "a\\b", "..", "ä", None, "²"])
def test_what_is_no_name(name):
    assert not is_name(name)


def test_canonical_json(config):
    shuffled = json.loads(json.dumps({key: config[key] for key in reversed(config)}))
    assert encode(config) == encode(shuffled)
    assert decode(encode(config)) == config
    assert encode(config).endswith(b"}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_what_is_not_json_is_refused(config, value):
    with pytest.raises(errors.MalformedConfigError, match="cannot be written"):
        encode(config | {"hparams": {"width": value}})


def test_an_earlier_format_is_migrated(config, monkeypatch):
    monkeypatch.setattr(format, "FORMAT_VERSION", 3)
    monkeypatch.setitem(format.MIGRATIONS, 1, lambda old: old | {"format_version": 2, "second": True})
    monkeypatch.setitem(format.MIGRATIONS, 2, lambda old: old | {"format_version": 3, "third": True})
    migrated = decode(encode(config))
    assert (migrated["format_version"], migrated["second"], migrated["third"]) == (3, True, True)


def test_there_is_a_migration_from_every_earlier_version():
    assert sorted(format.MIGRATIONS) == list(range(1, format.FORMAT_VERSION))


def test_the_toy_states_every_provenance_field():
    assert toys.PROVENANCE.keys() == PROVENANCE.keys()
