"""Lists of systems on a command line: presets, with other fields where wanted."""

import ast
from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any

from logo_jax.configs import config as config_lib
from logo_jax.configs import presets
from logo_jax.configs.config import ExperimentConfig


def systems(
  entries: Sequence[str],
  base: Callable[[str], ExperimentConfig] = presets.get,
  flag: str = "presets",
) -> dict[str, ExperimentConfig]:
  """Reads presets with other fields, for example `late@logo:horizon=15`.

  A field of a component or section is named with a dot: `weighting.temperature=1`.
  Another component is named by `weighting.name=penalty`; its own fields follow it.

  Args:
    entries: as in `read`.
    base: name to the configuration whose fields an entry changes.
    flag: what the list is called in errors.

  Returns:
    Label to configuration, of which the label is the `preset`.

  Raises:
    ValueError: an entry says something that is not allowed, or is there twice.
  """

  def make(name: str, fields: dict[str, Any]) -> ExperimentConfig:
    return changed(base(name), fields)

  check_some(flag, entries)
  found = read(flag, entries, make)
  return {k: dataclasses.replace(v, preset=k) for k, v in found.items()}


def check_some(flag: str, entries: Sequence[str]) -> None:
  """Refuses a list of nothing.

  Raises:
    ValueError: it is one.
  """
  if not entries:
    raise ValueError(f"{flag}: must name at least one; got nothing")


def changed(config: ExperimentConfig, fields: Mapping[str, Any]) -> ExperimentConfig:
  """A configuration with other fields; see `systems`.

  Raises:
    ValueError: no such field, or a value that is not allowed.
  """
  values = config_lib.to_dict(config)
  for path, value in fields.items():
    section, _, field = path.rpartition(".")
    if not section:
      values[field] = value
    elif field == "name":
      values[section] = {"name": value}
    else:
      known = values.get(section)
      values[section] = (known if isinstance(known, dict) else {}) | {field: value}
  return config_lib.from_dict(values)


def read(flag: str, entries: Sequence[str], make: Callable[..., Any]) -> dict[str, Any]:
  """Reads a list of names, each with other fields and a label where wanted.

  Args:
    flag: what the list is called in errors.
    entries: `name`, `name:field=value:field=value`, `label@name:field=value`. Values
      are Python's numbers, booleans or words.
    make: (name, fields) -> what is meant; may raise a ValueError.

  Returns:
    Label to what is meant; the label is the entry itself if none is given.

  Raises:
    ValueError: an entry says something that is not allowed, or is there twice.
  """
  found: dict[str, Any] = {}
  for entry in entries:
    given, _, rest = entry.rpartition("@")
    name, *settings = rest.split(":")
    label = given or rest
    try:
      if label in found or not label or label.startswith(".") or "/" in label:
        raise ValueError(
          f"label {label!r} must be one of its own that can name a folder, without a "
          "slash; write label@name"
        )
      found[label] = make(name, dict(map(_field, settings)))
    except ValueError as error:
      raise ValueError(f"{flag}: {entry!r}: {error}") from None
  return found


def check_decided(flag: str, systems: Mapping[str, ExperimentConfig]) -> None:
  """Refuses fields of an entry that flags decide for all systems alike.

  Raises:
    ValueError: naming the entry and the field.
  """
  plain = presets.get("bc")
  decided = "dataset data_dir model_run seed num_seeds".split()
  budget = "total_updates evaluation checkpoint".split()
  for label, values in systems.items():
    own = presets.learns_on_rollouts(values)  # keeps its own budget
    for name in decided if own else decided + budget:
      if getattr(values, name) != getattr(plain, name):
        raise ValueError(f"{flag}: {label!r}: {name} is the same for all; use a flag")


def _field(setting: str) -> tuple[str, Any]:
  name, equals, value = setting.partition("=")
  if not equals:
    raise ValueError(f"{setting!r} must be field=value")
  try:
    return name, ast.literal_eval(value)
  except (ValueError, SyntaxError):  # a word
    return name, {"true": True, "false": False}.get(value, value)
