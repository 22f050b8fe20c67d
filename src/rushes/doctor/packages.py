"""Versions of Python and of the libraries, against what the package requires and what is known to work together."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Final

from rushes.doctor.check import Check

_CHECKOUT: Final = Path(__file__).resolve().parents[3]
_MIN_PYTHON: Final = (3, 11)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_packages() -> list[Check]:
    """Python, then one check per library that Rushes requires."""
    pins = known_versions()
    return [_python(), *(_package(wanted, pins.get(_plain(_name(wanted)))) for wanted in requirements())]


def requirements() -> list[str]:
    """The package's requirements, such as "torch<2.14,>=2.13", without those that only tests need."""
    try:
        wanted = metadata.requires("rushes") or []
    except metadata.PackageNotFoundError:
        wanted = _of_checkout()
    return [text for text in wanted if "extra ==" not in text]


def _of_checkout() -> list[str]:
    """The same from the source checkout, when the package runs without being installed."""
    file = _CHECKOUT / "pyproject.toml"
    if not file.is_file():
        return []
    found: list[str] = tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}).get("dependencies", [])
    return found


def known_versions() -> dict[str, str]:
    """Exact versions that are known to work together, by plain name; empty outside a source checkout."""
    file = _CHECKOUT / "constraints.txt"
    if not file.is_file():
        return {}
    lines = (line.split("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
    return {_plain(name): version for name, _, version in (line.partition("==") for line in lines) if version}


def _python() -> Check:
    found = sys.version.split()[0]
    if sys.version_info >= _MIN_PYTHON:
        return Check("python", "ok", found)
    return Check("python", "missing", found, f"install Python {'.'.join(map(str, _MIN_PYTHON))} or newer")


def _package(wanted: str, pin: str | None) -> Check:
    name = _name(wanted)
    line = f'python -m pip install "{wanted}"' if pin is None else f'python -m pip install "{name}=={pin}"'
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Check(name, "missing", f"not installed; wanted {wanted[len(name) :].strip() or 'any version'}", line)
    fits = _fits(wanted, version)
    if fits is False:
        return Check(name, "missing", f"{version}; wanted {wanted[len(name) :].strip()}", line)
    if pin is not None and version.split("+")[0] != pin:
        return Check(name, "warning", f"{version}; {pin} is known to work", line)
    return Check(name, "ok", version)


def _fits(wanted: str, version: str) -> bool | None:
    """Whether a version satisfies a requirement; None if the library that parses requirements is missing."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return None
    return Requirement(wanted).specifier.contains(version, prereleases=True)


def _name(requirement: str) -> str:
    found = _NAME.match(requirement.strip())
    return found.group() if found else requirement


def _plain(name: str) -> str:
    """A package's name in its normalised spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()
