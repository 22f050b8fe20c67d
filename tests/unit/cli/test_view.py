"""`rushes view` refuses what it cannot serve, and says what listening on the network means."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rushes.cli.main import main
from rushes.errors import UserError
from rushes.view.guard import is_loopback
from rushes.view.serve import Place, link, listening, meaning
from tests.support.studio import RULES


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", str(tmp_path / "nowhere")]) == 2
    said = capsys.readouterr().err
    assert "nowhere" in said and "rushes run sandbox" in said


def test_a_port_in_use(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["view", str(tmp_path), "--port", str(taken.getsockname()[1])]) == 2
    assert "rushes view --port 0" in capsys.readouterr().err


def test_an_interface_of_another_machine() -> None:
    with pytest.raises(UserError, match="cannot listen"):
        listening(Place(host="192.0.2.1", port=0))


def test_the_first_port_is_left_to_whoever_has_it() -> None:
    with listening(Place()) as one, listening(Place()) as other:
        assert one.getsockname()[1] != other.getsockname()[1]


@pytest.mark.parametrize(
    ("host", "is_own"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False)]
)
def test_only_the_network_needs_a_warning(host: str, is_own: bool) -> None:
    assert is_loopback(host) is is_own
    said = meaning(Place(host))
    assert (said is None) is is_own
    assert said is None or ("encrypted" in said and "--host" in said)


def test_writing_on_the_network_is_named() -> None:
    assert "see and change" in str(meaning(Place("0.0.0.0", may_write=True)))


def test_the_link_holds_the_token() -> None:
    assert link(RULES) == f"http://127.0.0.1:8600/?token={RULES.token}"
