"""Nested dicts, as configurations are stored."""

import json
from typing import Any


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
  """Dotted keys to leaves; an empty dict is a leaf."""
  if not isinstance(value, dict) or not value:
    return {prefix: value}
  flat = {}
  for key, item in value.items():
    flat |= flatten(item, f"{prefix}.{key}" if prefix else str(key))
  return flat


def first_difference(stored: Any, given: Any) -> tuple[str, str, str] | None:
  """Dotted key, stored value and given value, as JSON, where two configs differ."""
  flat_stored, flat_given = flatten(stored), flatten(given)
  for key in flat_stored | flat_given:
    was, now = flat_stored.get(key, ...), flat_given.get(key, ...)
    if was != now or isinstance(was, bool) != isinstance(now, bool):
      return key, _as_text(was), _as_text(now)
  return None


def filled(given: Any, stored: Any) -> Any:
  """What is given, with what is stored for keys that it lacks or has None for."""
  if not isinstance(given, dict) or not isinstance(stored, dict):
    return stored if given is None else given
  both = {key: filled(value, stored.get(key)) for key, value in given.items()}
  return stored | both


def _as_text(value: Any) -> str:
  return "nothing" if value is ... else json.dumps(value)
