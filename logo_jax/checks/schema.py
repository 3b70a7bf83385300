"""Values from outside against the fields and type hints of dataclasses."""

from collections.abc import Collection, Mapping
import dataclasses
import types
import typing
from typing import Any, Literal

from logo_jax.checks import reading


def build(
  cls: type,
  values: Mapping[str, Any],
  prefix: str = "",
  of: str = "",
  ignore: Collection[str] = (),
) -> Any:
  """Makes a dataclass of values, checking every name and type.

  Args:
    cls: the dataclass, or a `NamedTuple`. A field's hint may be a number, a string, a
      boolean, `Any`, a `Literal`, one of them or None, `tuple[X, ...]` (of a list),
      `dict[str, X]`, or another such class (of a dict).
    values: field to value.
    prefix: of a field's name in errors, for example "learner.".
    of: after an unknown name in errors.
    ignore: fields that are not among the values; they keep their defaults.

  Raises:
    ValueError: an unknown key, a missing key, or a value of the wrong type or outside
      the allowed ones; the message names the key, the value and what is allowed.
  """
  hints = typing.get_type_hints(cls)
  optional = _optional(cls)
  for key in values:
    if key not in optional or key in ignore:
      allowed = ", ".join(sorted(set(optional) - set(ignore))) or "none"
      name = reading.in_line(key, 60)
      raise ValueError(f"{prefix}{name}: unknown key{of}; allowed are {allowed}")
  for name, is_optional in optional.items():
    if name not in values and not is_optional:
      raise ValueError(f"{prefix}{name}: missing")
  return cls(**{k: checked(prefix + k, v, hints[k]) for k, v in values.items()})


def _optional(cls: Any) -> dict[str, bool]:
  """The fields, and whether they have a default."""
  if hasattr(cls, "_field_defaults"):
    return {name: name in cls._field_defaults for name in cls._fields}
  nothing = (dataclasses.MISSING, dataclasses.MISSING)
  return {
    f.name: (f.default, f.default_factory) != nothing for f in dataclasses.fields(cls)
  }


def picked(cls: type, values: Mapping[str, Any], prefix: str = "") -> Any:
  """`build` of those values that are fields; all others may be anything."""
  names = {field.name for field in dataclasses.fields(cls)}
  return build(cls, {k: v for k, v in values.items() if k in names}, prefix)


def checked(name: str, value: Any, hint: Any) -> Any:
  """`value`, made a float or a tuple where one is expected, if it fits the hint.

  Raises:
    ValueError: it does not; see `build`.
  """
  kind, options = typing.get_origin(hint), typing.get_args(hint)
  if hint is Any:
    return value
  if kind is Literal:
    if value not in options:
      allowed = ", ".join(map(repr, options))
      raise ValueError(f"{name}: must be one of {allowed}; got {_short(value)}")
    return value
  if kind in (types.UnionType, typing.Union):  # of something and None
    return value if value is None else checked(name, value, options[0])
  if kind is tuple and isinstance(value, list | tuple):
    return tuple(checked(f"{name}[{i}]", x, options[0]) for i, x in enumerate(value))
  if kind is dict and isinstance(value, dict):
    return {k: checked(f"{name}.{k}", x, options[1]) for k, x in value.items()}
  has_fields = dataclasses.is_dataclass(hint) or hasattr(hint, "_field_defaults")
  if has_fields and isinstance(value, Mapping):
    return build(hint, value, f"{name}.")  # pyright: ignore[reportArgumentType]
  if hint is float and type(value) is int and abs(value) < 2**1000:  # no overflow
    return float(value)
  if type(value) is not hint:
    word = _WORDS.get(kind) or getattr(hint, "__name__", str(hint))
    raise ValueError(f"{name}: must be of type {word}; got {_short(value)}")
  return value


_WORDS = {tuple: "list", dict: "object"}


def _short(value: Any) -> str:
  return reading.in_line(repr(value), 60)
