"""What only waits sees that the user asked to stop."""

from __future__ import annotations

import threading

import pytest

from rushes.execute import stop as stop_module
from rushes.execute.stop import StopSignal, is_stopping, tell_to_stop


def test_a_stop_is_seen_while_it_is_listened_for() -> None:
    with StopSignal().listening() as stop:
        assert not is_stopping()
        stop.request()
        assert is_stopping()
    assert not is_stopping()


def test_a_worker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_module, "_told", threading.Event())
    assert not is_stopping()
    tell_to_stop()
    assert is_stopping()
