"""The guards of conftest bite."""

import socket

import pytest


@pytest.mark.parametrize("method", ["connect", "connect_ex"])
def test_no_test_reaches_the_network(method):
    with socket.socket() as outside, pytest.raises(RuntimeError, match="reach the network"):
        getattr(outside, method)(("192.0.2.1", 80))  # an address reserved for documentation


def test_the_loopback_is_open():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
