"""Stand-ins for what another program imports and its models and adapters do not need. Run by that program's Python."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence
from unittest.mock import MagicMock


class _Stub(types.ModuleType):
    def __getattr__(self, name: str) -> MagicMock:
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock(name=f"{self.__name__}.{name}")


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname.split(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = _Stub(spec.name)
        module.__path__ = []
        module.__version__ = "0.0"  # type: ignore[attr-defined]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def stub_missing(names: Sequence[str]) -> None:
    """Let these packages be imported where they are not installed; their contents do nothing."""
    import transformers  # noqa: F401  finds out what is really there before there are stand-ins

    missing = frozenset(name for name in names if importlib.util.find_spec(name) is None)
    sys.meta_path.insert(0, _Finder(missing))
