"""Hub ids, with a hub that is a folder."""

import sys
from types import ModuleType

import pytest

import checkpoints
from checkpoints import errors
from checkpoints.format import FILES


@pytest.fixture
def hub(monkeypatch, folder):
    """A `huggingface_hub` that always has the saved toy, and records what it was asked."""
    calls = []

    def snapshot_download(repository, **options):
        calls.append((repository, options))
        return str(folder)

    module = ModuleType("huggingface_hub")
    module.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return calls


def test_repository_and_revision_are_asked_for_the_four_files_only(hub):
    assert checkpoints.load("hf-hub:owner/name@0123abc").hparams["width"] == 4
    repository, options = hub[0]
    assert (repository, options["revision"]) == ("owner/name", "0123abc")
    assert sorted(options["allow_patterns"]) == sorted(FILES)
    assert not options["local_files_only"]


@pytest.mark.parametrize(
    ("suffix", "revision"), [("", "main"), ("@main", "main"), ("@v1.0", "v1.0"), ("@refs/pr/1", "refs/pr/1")]
)
def test_revisions(hub, suffix, revision):
    checkpoints.info(f"hf-hub:owner/spe-zinc.v2{suffix}")
    assert hub[0][0] == "owner/spe-zinc.v2"
    assert hub[0][1]["revision"] == revision


@pytest.mark.parametrize(
    "text",
    ["name", "", "owner/name@", "../name", "owner/..", "a/b/c", "owner/name@../x", "owner/na me", "owner/name@a@b"],
)
def test_malformed_ids_ask_nobody(hub, text):
    with pytest.raises(errors.HubError, match="is not a hub id"):
        checkpoints.load(f"hf-hub:{text}")
    assert not hub


def test_what_arrives_is_checked_like_any_folder(hub, folder):
    (folder / "weights.safetensors").write_bytes(b"short")
    with pytest.raises(errors.CorruptFileError):
        checkpoints.load("hf-hub:owner/name")


def test_missing_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(errors.HubError, match=r"pip install 'eigenzoo\[hub\]'"):
        checkpoints.load("hf-hub:owner/name")


def test_offline_asks_the_cache_only(hub, monkeypatch):
    monkeypatch.setenv("EIGENZOO_OFFLINE", "1")
    checkpoints.load("hf-hub:owner/name")
    assert hub[0][1]["local_files_only"]


def test_offline_without_a_cached_copy(monkeypatch, tmp_path):
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("EIGENZOO_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(errors.HubError, match="not in the cache and EIGENZOO_OFFLINE is set"):
        checkpoints.load("hf-hub:owner/name@main")


@pytest.mark.parametrize("error", [ConnectionError("no route"), ValueError("no such revision")])
def test_a_hub_that_does_not_answer(hub, monkeypatch, error):
    def snapshot_download(repository, **options):
        raise error

    monkeypatch.setattr(sys.modules["huggingface_hub"], "snapshot_download", snapshot_download)
    with pytest.raises(errors.HubError, match=f"cannot fetch hf-hub:owner/name.*{error}"):
        checkpoints.load("hf-hub:owner/name")
