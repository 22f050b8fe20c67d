"""The contract of a role's Spec: it travels, it is frozen, it has a place in work keys."""

from __future__ import annotations

import pickle

from pydantic import ValidationError

from rushes.roles import Spec
from rushes.store.identity import content_hash


def check_spec(spec: Spec) -> None:
    """Put a Spec through the contract.

    Args:
        spec: an instance, with the options that a recipe would give.
    """
    cls = type(spec)
    name = f"{cls.__module__}:{cls.__qualname__}"
    assert isinstance(spec, Spec), f"{name} must be a subclass of rushes.roles.Spec"
    assert callable(getattr(cls, "build", None)), f"{name} must define build(self, runtime)"
    assert cls.__dict__.get("spec_name"), f"{name} must have a spec_name of its own: records are kept under it"
    assert pickle.loads(pickle.dumps(spec)) == spec, f"{name} must survive pickling: it travels to workers"
    again = cls.model_validate_json(spec.model_dump_json())
    assert again == spec, f"{name} must survive JSON: it is stored with the run; {again!r} came back for {spec!r}"
    assert content_hash(again) == content_hash(spec), f"{name} must have one identity"
    for field in cls.model_fields:
        try:
            setattr(spec, field, getattr(spec, field))
        except ValidationError:
            continue
        raise AssertionError(f"{name} must be frozen: {field} could be set")
    try:
        cls.model_validate({**spec.model_dump(), "no_such_option": 1})
    except ValidationError:
        return
    raise AssertionError(f"{name} must refuse unknown options: a typo would be ignored")
