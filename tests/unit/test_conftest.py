"""The test bed itself: a test that reaches for the network must fail."""

from __future__ import annotations

import os
import socket

import pytest


def test_network_is_off() -> None:
    with pytest.raises(AssertionError, match="must not use the network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(AssertionError, match="must not use the network"):
        socket.getaddrinfo("example.org", 443)
    with socket.socket() as one, pytest.raises(AssertionError, match=r"192\.0\.2\.1"):
        one.connect_ex(("192.0.2.1", 80))


def test_loopback_is_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname(), timeout=5) as client:
            assert client.getpeername() == server.getsockname()


def test_threads_and_keys() -> None:
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert not [name for name in os.environ if name.endswith("_API_KEY")]
