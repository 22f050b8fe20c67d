"""What holds for every test: no network, one thread, fixed seeds, no keys from the environment."""

from __future__ import annotations

import os

# Before torch is imported anywhere: libgomp reads these once.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# For child processes, which the blocked sockets below do not reach.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
for _name in [name for name in os.environ if name.endswith(("_API_KEY", "_TOKEN"))]:
    del os.environ[_name]

import ipaddress
import random
import socket
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def _is_local(address: object) -> bool:
    """True for loopback addresses and for sockets that are files."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "")


class NetworkIsOff(AssertionError):
    """A test tried to leave the machine."""


def _guarded(name: str):
    real = getattr(socket.socket, name)

    def connect(self: socket.socket, address: object):
        if not _is_local(address):
            raise NetworkIsOff(f"tests must not use the network, got a connection to {address!r}")
        return real(self, address)

    return connect


def _guarded_lookup(real):
    def lookup(host: object, *args: object, **kwargs: object):
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not _is_local((name, 0)):
            raise NetworkIsOff(f"tests must not use the network, got a look-up of {name!r}")
        return real(host, *args, **kwargs)

    return lookup


@pytest.fixture(scope="session", autouse=True)
def _no_network():
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _guarded(name))
    patch.setattr(socket, "getaddrinfo", _guarded_lookup(socket.getaddrinfo))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _fixed_seeds():
    """The same random numbers and one torch thread for every test, whichever ran before; loads nothing by itself."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.manual_seed(0)
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Extra test data beside the checkout: real clips, benchmark prompts. What needs it skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no extra test data at {folder}")
    return folder
