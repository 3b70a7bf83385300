"""Configurations in the form whose fields flags override."""

from collections.abc import Sequence
import copy
import dataclasses
import typing
from typing import Any

import ml_collections
from ml_collections import config_dict

from logo_jax.configs import config as config_lib
from logo_jax.configs import presets, registry
from logo_jax.configs.registry import Component


def of_preset(preset: str) -> ml_collections.ConfigDict:
  """A preset in the form whose fields flags override, `--config.learner.discount=0.9`.

  Raises:
    ValueError: no such preset.
  """
  return as_flags(presets.get(preset))


def as_flags(config: config_lib.ExperimentConfig) -> ml_collections.ConfigDict:
  """A configuration in the form whose fields flags override."""
  values = config_lib.to_dict(config) | _settable(config)
  for kind in registry.KINDS:
    chosen = getattr(config, kind)
    values[kind] = chosen and _component(chosen)
  return ml_collections.ConfigDict(values)


def with_named(
  values: ml_collections.ConfigDict, flag: str, argv: Sequence[str]
) -> ml_collections.ConfigDict:
  """Takes the components that flags name, with their defaults, for those that differ.

  Args:
    values: as `as_flags` makes them.
    flag: whose fields they are.
    argv: of the command line; `--config.weighting.name=penalty` names one.

  Raises:
    ValueError: no such component.
  """
  named, plain = copy.deepcopy(values), values.to_dict()
  for kind in registry.KINDS:
    name, present = _given(f"--{flag}.{kind}.name", argv), plain[kind]
    if name is not None and name != (present and present["name"]):
      component = _component(registry.component(kind, name))
      named[kind] = ml_collections.ConfigDict(component)
  return named


def _given(flag: str, argv: Sequence[str]) -> str | None:
  """The last value of a flag, `--flag=value` or `--flag value`, if there is one."""
  found = None
  for word, after in zip(argv, [*argv[1:], None], strict=True):
    name, equals, value = word.partition("=")
    if name in (flag, flag[1:]):
      found = value if equals else after
  return found


def _component(chosen: Component) -> dict[str, Any]:
  return {"name": chosen.name, **dataclasses.asdict(chosen.config)} | _settable(
    chosen.config
  )


def _settable(config: Any) -> dict[str, Any]:
  """Placeholders for fields that are None, which no flag could set without."""
  return {
    name: config_dict.placeholder(hint)
    for name, hint in _optional_fields(type(config)).items()
    if getattr(config, name) is None
  }


def _optional_fields(dataclass: type) -> dict[str, type]:
  """Fields that may be None, with the type that they have otherwise."""
  found = {}
  for name, hint in typing.get_type_hints(dataclass).items():
    allowed = typing.get_args(hint)
    if type(None) in allowed and name not in registry.KINDS:
      is_text = typing.get_origin(allowed[0]) is typing.Literal
      found[name] = str if is_text else allowed[0]
    elif None in allowed:  # a Literal
      found[name] = str
  return found


def experiment_config(values: ml_collections.ConfigDict) -> Any:
  """The checked `config.ExperimentConfig` of what flags have left.

  Raises:
    ValueError: an unknown key or a value that is not allowed, by name.
  """
  return config_lib.from_dict(_without_none_words(values.to_dict()))


def _without_none_words(values: dict[str, Any]) -> dict[str, Any]:
  """What flags say as "None" in place of one of several words."""
  plain = {k: None if v == "None" else v for k, v in values.items()}
  return {
    k: _without_none_words(v) if isinstance(v, dict) else v for k, v in plain.items()
  }
