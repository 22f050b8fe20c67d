"""What only waits sees that the user asked to stop."""

from __future__ import annotations

from rushes.execute.stop import StopSignal, is_stopping


def test_a_stop_is_seen_while_it_is_listened_for() -> None:
    with StopSignal().listening() as stop:
        assert not is_stopping()
        stop.request()
        assert is_stopping()
    assert not is_stopping()
