"""The revision is that of this repository, or none."""

import subprocess

import pytest

from trainers import revision


def git(folder, *words):
    identity = ["-c", "user.name=Name", "-c", "user.email=name@example.org"]
    return subprocess.run(
        ["git", *identity, "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    monkeypatch.setattr(revision, "ROOT", tmp_path)
    git(tmp_path, "init")
    (tmp_path / "tracked").write_text("old")
    git(tmp_path, "add", "tracked")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_hash_and_changes_of_tracked_files(clone):
    head = git(clone, "rev-parse", "HEAD")
    (clone / "untracked").touch()
    assert revision.revision() == head
    (clone / "tracked").write_text("new")
    assert revision.revision() == f"{head}+"


def test_an_enclosing_repository_is_another(clone, monkeypatch):
    (clone / "site-packages").mkdir()
    monkeypatch.setattr(revision, "ROOT", clone / "site-packages")
    assert revision.revision() is None


def test_no_repository_and_no_git(tmp_path, monkeypatch):
    monkeypatch.setattr(revision, "ROOT", tmp_path)
    assert revision.revision() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision.revision() is None
