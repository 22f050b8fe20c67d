"""Doctor: what it says of missing, broken and crashing libraries, of weights, disk and versions."""

from __future__ import annotations

import json
import sys
from importlib import metadata, util
from pathlib import Path

import pytest

from rushes import doctor
from rushes.doctor import imports, machine, packages
from rushes.doctor.check import Check
from rushes.doctor.imports import Probed, probe
from rushes_sandbox.checks import SUMS, check_weights, write_sums

FACTS = {
    "torch": {"devices": ["cuda:0 H100, 80 GiB"], "num_threads": 2, "cpu_bfloat16": [], "cuda": None},
    "av": {"writes": ["libx264"], "reads": ["h264"]},
}


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


# ---------------------------------------------------------------------------------------------- imports


def test_a_library_that_crashes_takes_no_other_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fine_lib.py").write_text("print('noise')\nprint('{\"x\": 1}')\n")
    (tmp_path / "crashing_lib.py").write_text("import os; os._exit(7)\n")
    (tmp_path / "raising_lib.py").write_text("raise RuntimeError('operator nms does not exist')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = probe(["fine_lib", "crashing_lib", "raising_lib", "no_such_lib", "json"])
    assert [one.name for one in found] == ["fine_lib", "crashing_lib", "raising_lib", "no_such_lib", "json"]
    errors = [one.error for one in found]
    assert errors[0] is None
    assert errors[1] == "the process ended with code 7 while importing it"
    assert errors[2] == "RuntimeError: operator nms does not exist"
    assert errors[3] is not None
    assert "no_such_lib" in errors[3]
    assert errors[4] is None


def test_a_library_that_takes_too_long_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_lib.py").write_text("import time; time.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (found,) = probe(["slow_lib"], timeout_s=3.0)
    assert found.timed_out
    (check,) = imports._libraries([found], [])
    assert check.status == "warning"
    assert "less busy" in check.fix


def test_the_probe_tells_before_and_after_each_import(capsys: pytest.CaptureFixture[str]) -> None:
    from rushes.doctor import probe as script

    script.main(["av", "no_such_lib"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["name"], line.get("starting", False)) for line in lines] == [
        ("av", True),
        ("av", False),
        ("no_such_lib", True),
        ("no_such_lib", False),
    ]
    assert lines[1]["error"] is None
    assert "libx264" in lines[1]["facts"]["writes"]
    assert lines[3]["error"].startswith("ModuleNotFoundError")


def examined(monkeypatch: pytest.MonkeyPatch, installed: set[str], errors: dict[str, str]) -> dict[str, Check]:
    monkeypatch.setattr(util, "find_spec", lambda name: object() if name in installed else None)

    def fake(names: list[str]) -> list[Probed]:
        return [Probed(name, errors.get(name), {} if name in errors else FACTS.get(name, {})) for name in names]

    monkeypatch.setattr(imports, "probe", fake)
    return by_name(imports.check_imports())


def test_a_torchvision_that_does_not_import_is_named_as_what_breaks_transformers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors = {
        "torchvision": "RuntimeError: operator torchvision::nms does not exist",
        "transformers": "ModuleNotFoundError",
    }
    found = examined(monkeypatch, {"torchvision"}, errors)
    assert found["torchvision"].status == "missing"
    assert "breaks transformers" in found["torchvision"].found
    assert found["torchvision"].fix == "python -m pip uninstall -y torchvision"
    assert "uninstall -y torchvision" in found["import transformers"].fix
    assert "transformers" not in found["imports"].found


def test_all_is_well_without_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    found = examined(monkeypatch, set(), {})
    assert {check.status for check in found.values()} == {"ok"}
    assert "H100" in found["devices"].found
    assert "float32 in the place of bfloat16" in found["devices"].found


def test_a_torchvision_that_imports_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert examined(monkeypatch, {"torchvision"}, {})["torchvision"].status == "ok"


def test_a_library_that_does_not_import_names_its_own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    found = examined(monkeypatch, set(), {"cv2": "ImportError: libGL.so.1", "torch": "OSError: bad"})
    assert "opencv-python-headless" in found["import cv2"].fix
    assert "devices" not in found


def test_av_without_the_codec_for_mp4_is_missing_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FACTS, "av", {"writes": ["ffv1"], "reads": ["h264"]})
    check = examined(monkeypatch, set(), {})["video codecs"]
    assert check.status == "missing"
    assert "av>=18,<19" in check.fix


def test_the_real_av_writes_mp4() -> None:
    (found,) = probe(["av"])
    assert found.error is None
    assert "libx264" in found.facts["writes"]
    assert "h264" in found.facts["reads"]


# ---------------------------------------------------------------------------------------------- versions


def test_versions_against_requirement_and_known_pin(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {"old": "0.9", "other": "1.5", "exact": "1.2", "local": "2.13.0+cpu"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    check = packages._package
    assert check("old>=1,<2", "1.2").status == "missing"
    assert check("old>=1,<2", "1.2").fix == 'python -m pip install "old==1.2"'
    assert check("gone>=1", None) == Check(
        "gone", "missing", "not installed; wanted >=1", 'python -m pip install "gone>=1"'
    )
    assert check("other>=1,<2", "1.2").status == "warning"
    assert "1.2 is known to work" in check("other>=1,<2", "1.2").found
    assert check("exact>=1,<2", "1.2") == Check("exact", "ok", "1.2")
    assert check("local>=2.13,<2.14", "2.13.0").status == "ok"


def test_without_an_installed_package_the_checkout_says_what_is_wanted(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def requires(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    names = {packages._name(text) for text in packages.requirements()}
    assert {"torch", "diffusers", "PyYAML"} <= names
    monkeypatch.setattr(packages, "_CHECKOUT", tmp_path)
    assert (packages.requirements(), packages.known_versions()) == ([], {})


def test_everything_the_package_asks_for_is_looked_at(root: Path) -> None:
    names = {check.name for check in packages.check_packages()}
    assert {"python", "torch", "diffusers", "av", "pydantic"} <= names
    assert not {"pytest", "ruff", "mypy"} & names
    if (root / "constraints.txt").is_file():
        assert packages.known_versions()["pyyaml"]


# ---------------------------------------------------------------------------------------------- weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    (folder / "base").mkdir(parents=True)
    (folder / "base" / "model.safetensors").write_bytes(b"1234")
    (folder / "judge.json").write_bytes(b"{}")
    write_sums(folder)
    return folder


def test_weights_are_intact_altered_or_gone(weights: Path) -> None:
    assert check_weights(weights).status == "ok"
    assert "2 files" in check_weights(weights).found
    (weights / "base" / "model.safetensors").write_bytes(b"1235")
    assert "base/model.safetensors was changed" in check_weights(weights).found
    (weights / "base" / "model.safetensors").unlink()
    assert check_weights(weights) == Check(
        "sandbox weights", "missing", "base/model.safetensors is missing", check_weights(weights).fix
    )
    assert check_weights(weights).fix


def test_weights_without_hashes_cannot_be_vouched_for(weights: Path) -> None:
    (weights / SUMS).unlink()
    assert check_weights(weights).status == "warning"
    assert SUMS in check_weights(weights).found


def test_no_weights_at_all_says_how_to_get_them(tmp_path: Path) -> None:
    assert "python -m lab.pretrain" in check_weights(tmp_path).fix
    (tmp_path / SUMS).write_text("")
    assert check_weights(tmp_path).status == "missing"


def test_sums_are_those_of_sha256sum(weights: Path) -> None:
    import hashlib

    expected = [
        f"{hashlib.sha256(b'1234').hexdigest()}  base/model.safetensors",
        f"{hashlib.sha256(b'{}').hexdigest()}  judge.json",
    ]
    assert (weights / SUMS).read_text().splitlines() == expected
    assert write_sums(weights).read_text().splitlines() == expected  # the list does not list itself


# ---------------------------------------------------------------------------------------------- machine


@pytest.mark.parametrize(("free_gib", "status"), [(100.0, "ok"), (3.0, "warning"), (0.2, "missing")])
def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_gib: float, status: str) -> None:
    usage = type("Usage", (), {"free": free_gib * 2**30})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: usage)
    check = machine._disk(tmp_path / "not" / "yet" / "there")
    assert check.status == status
    assert str(tmp_path) in check.found


def test_a_file_is_no_place_for_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = machine._disk(tmp_path / "file" / "runs")
    assert check.status == "missing"
    assert "--home" in check.fix


def test_memory_and_cores_are_told() -> None:
    checks = by_name(machine.check_machine(Path()))
    assert set(checks) == {"disk", "memory", "cores"}
    assert "GiB" in checks["memory"].found


def test_examining_puts_everything_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(doctor, "check_imports", lambda: [Check("imports", "ok", "all")])
    names = {check.name for check in doctor.examine(tmp_path)}
    assert {"python", "imports", "disk", "sandbox weights"} <= names
    assert sys.version_info >= (3, 11)
