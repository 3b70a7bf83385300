"""Names of components: the one place to list a new one of ours; `register` adds yours.

Each entry names a module with a frozen dataclass `Config` and a function `make`. The
module is imported when its component is asked for, not before.
"""

import dataclasses
import importlib
from typing import Any

_MODULES = {
  "model": {
    "logo": "logo_jax.world_models.logo",
    "direct": "logo_jax.world_models.direct",
    "ensemble": "logo_jax.world_models.ensemble",
    "rssm": "logo_jax.world_models.rssm",
    "value_equivalent": "logo_jax.world_models.value_equivalent",
    "simulator": "logo_jax.envs.simulator",
  },
  "uncertainty": {
    "path_discrepancy": "logo_jax.uncertainty.path_discrepancy",
    "disagreement": "logo_jax.uncertainty.disagreement",
    "knn_search": "logo_jax.uncertainty.knn_search",
    "none": "logo_jax.uncertainty.none",
  },
  "weighting": {
    "confidence": "logo_jax.weighting.confidence",
    "penalty": "logo_jax.weighting.penalty",
    "halt": "logo_jax.weighting.halt",
    "uniform": "logo_jax.weighting.uniform",
  },
  "learner": {
    "bc": "logo_jax.learners.bc",
    "macql": "logo_jax.learners.macql",
    "omar": "logo_jax.learners.omar",
    "cfcql": "logo_jax.learners.cfcql",
    "omiga": "logo_jax.learners.omiga",
    "mappo": "logo_jax.learners.mappo",
    "mazero": "logo_jax.learners.mazero",
  },
  "planner": {
    "mpc": "logo_jax.planning.mpc",
  },
}

KINDS = tuple(_MODULES)


def register(kind: str, name: str, module: str) -> None:
  """Makes a component of yours known, for configurations, flags and presets to name.

  A config file, which is Python, is a good place to do so; whatever else opens the run,
  such as an evaluation, has to do it first as well. Doing it again changes nothing.

  Args:
    kind: one of `KINDS`.
    name: of the component.
    module: its full name; it must have `Config`, a frozen dataclass, and `make`, which
      takes what those of our components of that kind take.

  Raises:
    ValueError: no such kind, the name is taken, or the module lacks something.
    ImportError: there is no such module.
  """
  if kind not in _MODULES:
    raise ValueError(f"kind {kind!r} must be one of {', '.join(KINDS)}")
  taken = _MODULES[kind].get(name)
  if taken not in (None, module):
    raise ValueError(f"{kind}.name: {name!r} is taken, by {taken}; choose another")
  found = importlib.import_module(module)
  config = getattr(found, "Config", None)
  if not (dataclasses.is_dataclass(config) and callable(getattr(found, "make", None))):
    raise ValueError(f"{module} must have a dataclass Config and a function make")
  _MODULES[kind][name] = module


@dataclasses.dataclass(frozen=True)
class Component:
  """A named component with its configuration."""

  name: str
  config: Any  # the `Config` of the component's module


def names(kind: str) -> tuple[str, ...]:
  """The components of a kind, for enumeration in flags, tests and benchmarks."""
  return tuple(_MODULES[kind])


def module(kind: str, name: str) -> Any:
  """The module of a component, with `Config` and `make`.

  Raises:
    ValueError: no such component.
  """
  if not isinstance(name, str) or name not in _MODULES[kind]:
    raise ValueError(
      f"{kind}.name: must be one of {', '.join(names(kind))}; got {name!r}"
    )
  return importlib.import_module(_MODULES[kind][name])


def eats(learner: str) -> str:
  """What an update of a learner is on, known before it is built: `Learner.eats`.

  The learner's module says so, `EATS = "rollouts"`; without it: "transitions".

  Raises:
    ValueError: no such learner.
  """
  return getattr(module("learner", learner), "EATS", "transitions")


def component(kind: str, name: str, /, **fields: Any) -> Component:
  """A component with the given fields and defaults for the others."""
  return Component(name, module(kind, name).Config(**fields))


def make(kind: str, chosen: Component, *args: Any) -> Any:
  """Builds a component: `make(config, *args)` of its module."""
  return module(kind, chosen.name).make(chosen.config, *args)
