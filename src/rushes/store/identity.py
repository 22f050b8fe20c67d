"""Identity: the same work has the same key, whatever the order, the machine or the process.

A key is sha256 over canonical JSON of (kind, identity version, spec, input keys, index), so it is known before the work
is done and resuming means skipping existing records. Seeds come from keys. Any change here changes every key: raise
`IDENTITY_VERSION` and update the golden values in the tests together.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rushes.plugins import ANY, plugin
from rushes.recipe.plugin import PluginSpec
from rushes.records import KeyedRecord, Record
from rushes.roles import Runtime, Spec

IDENTITY_VERSION: Final = 2
"""Version of the key computation, part of every key."""

_SEED_BITS: Final = 63


def canonical_json(value: object) -> str:
    """One text per value: keys sorted, no spaces, ASCII only, no NaN or infinity, -0.0 as 0.0.

    Args:
        value: JSON values, pydantic models, tuples, enums; a `Spec` carries its own name, a `Runtime` is refused.

    Raises:
        TypeError: a value without canonical form (a Runtime, a set, a path, an object, a key that is not text).
        ValueError: NaN or infinity.
    """
    return json.dumps(_plain(value, "value"), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def content_hash(value: object) -> str:
    """sha256 of the canonical JSON of `value`: 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def work_key(
    kind: str, spec: Spec | Mapping[str, Any] | str | None, inputs: Sequence[str | KeyedRecord] = (), index: int = 0
) -> str:
    """The key of a piece of work, known before it is done: 64 hex digits.

    Args:
        kind: kind of record: "prompt", "clip", "answer", ...
        spec: everything besides the inputs that affects the result.
        inputs: the records that the work reads, or their keys, in a meaningful order.
        index: which of several results with the same spec and inputs; 0 or more.

    Raises:
        TypeError: the spec holds a Runtime or a value without canonical form.
        ValueError: an empty kind, a negative index, NaN or infinity in the spec.
    """
    if not kind or index < 0:
        raise ValueError(f"expected a kind and an index >= 0, got kind={kind!r}, index={index!r}")
    if isinstance(inputs, str):
        raise TypeError(f"inputs must be a list of keys, got the single text {inputs!r}")
    keys = [item.key if isinstance(item, KeyedRecord) else item for item in inputs]
    return content_hash({"kind": kind, "identity": IDENTITY_VERSION, "spec": spec, "inputs": keys, "index": index})


def seed_from_key(key: str, *purpose: str | int) -> int:
    """A seed, 0 <= seed < 2**63, from a key: the same on every machine, different for each purpose.

    Args:
        key: a work key, or any text that names the work.
        purpose: what the seed is for, if one key needs several: "noise", 3.
    """
    digest = hashlib.sha256(canonical_json(["seed", IDENTITY_VERSION, key, list(purpose)]).encode("ascii")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _SEED_BITS)


def spec_part(value: object) -> Any:
    """`value` as JSON values, without anything of type `Runtime`: the part of a recipe that affects results.

    For comparing recipes: a path is written as text here, while a work key refuses it.
    """
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, BaseModel):
        fields = _fields(value)
        return _named(value, {name: spec_part(item) for name, item in fields.items() if not isinstance(item, Runtime)})
    if isinstance(value, Mapping):
        return {name: spec_part(item) for name, item in value.items() if not isinstance(item, Runtime)}
    if isinstance(value, (list, tuple)):
        return [spec_part(item) for item in value if not isinstance(item, Runtime)]
    return _plain(value, "value")


def left_out(spec: Spec | Record) -> frozenset[str]:
    """The fields of a Spec, or a Record in it, that enter no key: those that earlier releases did not have, at their
    default."""
    fields = type(spec).model_fields
    return frozenset(name for name in spec.added_later if getattr(spec, name) == _default(fields[name]))


def _default(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True)


def _fields(model: BaseModel) -> dict[str, Any]:
    """The fields that enter a key: all, without unset ones that earlier releases did not have."""
    unset = left_out(model) if isinstance(model, (Spec, Record)) else frozenset[str]()
    return {name: getattr(model, name) for name in type(model).model_fields if name not in unset}


def _named(model: BaseModel, fields: dict[str, Any]) -> dict[str, Any]:
    """A Spec's fields under its fixed name; the location of its class is not part of it."""
    if not isinstance(model, Spec):
        return fields
    name = type(model).__dict__.get("spec_name")
    if not name:
        raise TypeError(f"{type(model).__name__} needs a spec_name of its own to enter a work key")
    version = model.version()
    return {"spec_name": name, **fields, **({} if version is None else {"version": version})}


def _plain(value: object, path: str) -> Any:
    """`value` as JSON values; `path` is its place in the whole value, for the error message."""
    if isinstance(value, Enum):
        return _plain(value.value, path)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{path} must be a finite number, got {value!r}")
        return float(value) + 0.0  # -0.0 + 0.0 is 0.0
    if isinstance(value, PluginSpec):
        if ":" not in value.use:
            raise TypeError(f"{path} is an unresolved plug-in ({value.use}): resolve it with rushes.plugins.resolved")
        value = plugin(value, ANY)
    if isinstance(value, Runtime):
        raise TypeError(f"{path} is a Runtime ({type(value).__name__}): only what affects a result may enter a key")
    if isinstance(value, BaseModel):
        return _named(value, {name: _plain(item, f"{path}.{name}") for name, item in _fields(value).items()})
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"{path} must have text keys, got {name!r}")
        return {name: _plain(item, f"{path}.{name}") for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
    hint = "; use a hash of the content instead of the path" if isinstance(value, PurePath) else ""
    raise TypeError(f"{path} has no canonical form, got {value!r} of type {type(value).__name__}{hint}")
