"""The cache, with processes that die and collide, and downloads from a server on this machine that breaks off."""

import hashlib
import multiprocessing
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from datamodules import sources
from datamodules.sources import cache_home, download, generated, sha256_of

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()
fork = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EIGENZOO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EIGENZOO_OFFLINE", raising=False)
    return tmp_path / "home"


def write_hello(path):
    path.write_text("hello")


def must_not_build(path):
    pytest.fail("built although the cache has it")


def test_home_defaults_to_the_users_cache(monkeypatch):
    monkeypatch.delenv("EIGENZOO_HOME")
    assert cache_home().parts[-2:] == (".cache", "eigenzoo")


def test_a_file_is_generated_once_per_arguments(home):
    path = generated("a.txt", {"seed": 0}, write_hello)
    assert path.read_text() == "hello" and path.name == "a.txt" and path.is_relative_to(home)
    assert generated("a.txt", {"seed": 0}, must_not_build) == path
    others = [generated("a.txt", {"seed": 1}, write_hello), generated("b.txt", {"seed": 0}, write_hello)]
    assert len({path, *others}) == 3


def test_the_order_of_arguments_is_no_difference():
    path = generated("a.txt", {"seed": 0, "size": 1}, write_hello)
    assert generated("a.txt", {"size": 1, "seed": 0}, must_not_build) == path


def test_a_corrupt_file_is_reported_and_built_anew():
    path = generated("a.txt", {}, write_hello)
    path.write_text("hellO")
    with pytest.warns(UserWarning, match=r"a\.txt is corrupt"):
        assert generated("a.txt", {}, write_hello).read_text() == "hello"
    assert generated("a.txt", {}, must_not_build) == path


def test_a_missing_checksum_is_corruption():
    path = generated("a.txt", {}, write_hello)
    path.with_name("sha256").unlink()
    with pytest.warns(UserWarning, match="corrupt"):
        generated("a.txt", {}, write_hello)


def test_a_failed_build_leaves_nothing():
    def fail(path):
        path.write_text("hel")
        raise RuntimeError("no space")

    with pytest.raises(RuntimeError, match="no space"):
        generated("a.txt", {}, fail)
    assert generated("a.txt", {}, write_hello).read_text() == "hello"


def test_a_killed_writer_leaves_nothing_that_is_read():
    def die(path):
        path.write_text("hel")
        os.kill(os.getpid(), signal.SIGKILL)

    process = fork.Process(target=generated, args=("a.txt", {}, die))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert generated("a.txt", {}, write_hello).read_text() == "hello"
    assert not list(cache_home().rglob("*.partial"))


def test_processes_that_prepare_at_once_build_once(tmp_path):
    log = tmp_path / "log"

    def slow(path):
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        path.write_text("hel")
        time.sleep(0.3)
        path.write_text("hello")

    def prepare(number):
        assert generated("a.txt", {}, slow).read_text() == "hello"

    processes = [fork.Process(target=prepare, args=(number,)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(log.read_text().split()) == 1


def test_arguments_must_be_plain():
    with pytest.raises(TypeError):
        generated("a.txt", {"seed": object()}, write_hello)
    with pytest.raises(ValueError):
        generated("a.txt", {"seed": float("nan")}, write_hello)


class Server:
    """Serves CONTENT at every path but /missing; breaks off after `budgets[i]` bytes of the i-th answer."""

    def __init__(self, budgets=(), ranges=True, announce=True):
        self.requests = []
        budgets = iter(budgets)
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range")
                server.requests.append((self.path, asked))
                if self.path == "/missing":
                    return self.send_error(404)
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and ranges else 0
                if start >= len(CONTENT):
                    return self.send_error(416)
                body = CONTENT[start:] if self.path != "/wrong" else b"x" * len(CONTENT)
                self.send_response(206 if start else 200)
                if announce:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: next(budgets, len(body))])

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def test_download_is_verified_and_kept():
    with Server() as server:
        path = download([f"{server.url}/a"], DIGEST, "a.bin")
        assert path.read_bytes() == CONTENT and sha256_of(path) == DIGEST
        assert download([f"{server.url}/a"], DIGEST, "a.bin") == path
        assert len(server.requests) == 1


def test_an_interrupted_download_continues_where_it_broke():
    with Server(budgets=[3000, 2000]) as server:
        path = download([f"{server.url}/a"], DIGEST, "a.bin")
    assert path.read_bytes() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=3000-", "bytes=5000-"]


def test_a_later_process_continues_too():
    with Server(budgets=[100, 100, 100]) as server:
        with pytest.raises(OSError, match=r"a\.bin could not be downloaded.*broke after 300 of"):
            download([f"{server.url}/a"], DIGEST, "a.bin")
        download([f"{server.url}/a"], DIGEST, "a.bin")
        assert server.requests[-1] == ("/a", "bytes=300-")


def test_a_server_without_ranges_starts_over():
    with Server(budgets=[3000], ranges=False) as server:
        assert download([f"{server.url}/a"], DIGEST, "a.bin").read_bytes() == CONTENT


def test_a_complete_file_whose_process_died_before_the_rename_is_fetched_again():
    with Server() as server:
        partial = cache_home() / "downloads" / DIGEST / "a.bin.partial"
        partial.parent.mkdir(parents=True)
        partial.write_bytes(CONTENT)
        assert download([f"{server.url}/a"], DIGEST, "a.bin").read_bytes() == CONTENT
        assert [asked for _, asked in server.requests] == [f"bytes={len(CONTENT)}-", None]


def test_the_next_mirror_is_tried():
    with Server() as server:
        path = download([f"{server.url}/missing", f"{server.url}/wrong", f"{server.url}/a"], DIGEST, "a.bin")
    assert path.read_bytes() == CONTENT


def test_a_wrong_digest_is_deleted_and_both_are_named():
    wrong = hashlib.sha256(b"x" * len(CONTENT)).hexdigest()
    with Server() as server, pytest.raises(OSError, match=f"sha256 is {wrong}, not {DIGEST}"):
        download([f"{server.url}/wrong"], DIGEST, "a.bin")
    assert not [path for path in cache_home().rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_corrupt_download_is_reported_and_fetched_again():
    with Server() as server:
        path = download([f"{server.url}/a"], DIGEST, "a.bin")
        path.write_bytes(CONTENT[:-1])
        with pytest.warns(UserWarning, match=r"a\.bin is corrupt"):
            assert download([f"{server.url}/a"], DIGEST, "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("announce", [True, False])
def test_an_answer_that_is_too_long_is_refused(announce, monkeypatch):
    monkeypatch.setattr(sources, "CHUNK", 100)
    with Server(announce=announce) as server, pytest.raises(OSError, match="more than"):
        download([f"{server.url}/a"], DIGEST, "a.bin", max_bytes=1000)
    assert len(server.requests) == 1
    assert all(path.stat().st_size <= 1000 for path in cache_home().rglob("*.partial"))


def test_offline_forbids_downloads_and_says_what_to_do(monkeypatch):
    monkeypatch.setenv("EIGENZOO_OFFLINE", "1")
    with pytest.raises(RuntimeError, match=rf"EIGENZOO_OFFLINE.*a\.bin.*{DIGEST}"):
        download(["http://127.0.0.1:9/a"], DIGEST, "a.bin")
    path = cache_home() / "downloads" / DIGEST / "a.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(CONTENT)
    assert download(["http://127.0.0.1:9/a"], DIGEST, "a.bin") == path


def test_malformed_arguments_are_refused():
    with pytest.raises(ValueError, match="file:///etc/passwd"):
        download(["file:///etc/passwd"], DIGEST, "a.bin")
    with pytest.raises(ValueError, match="sha256='abc'"):
        download(["http://127.0.0.1:9/a"], "abc", "a.bin")
