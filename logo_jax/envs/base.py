"""Environments by name."""

from collections.abc import Callable
import functools
import importlib
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax import reading, types
from logo_jax.layout import Layout

# Suite -> the packages behind it.
_PACKAGES: dict[str, tuple[str, ...]] = {
  "smax": ("jaxmarl",),
  "jumanji": ("jumanji",),
  "mamujoco": ("mujoco", "gymnasium-robotics"),
}
# Suite -> the module that holds `SCENARIOS` (the names it knows) and `make(scenario)`.
# A module is imported when one of its environments is made, not before. It may have
# `termination_rule(scenario)`, `layout(scenario)`, `weaken(scenario)` and
# `has_wins(scenario)` too; without the last its games can be won.
_SUITES = {
  "smax": "logo_jax.envs.smax",
  "jumanji": "logo_jax.envs.jumanji",
  "mamujoco": "logo_jax.envs.mamujoco",
}


def register(suite: str, module: str, packages: tuple[str, ...] = ()) -> None:
  """Makes a suite of yours known, so that its environments have names.

  Doing it again changes nothing.

  Args:
    suite: the first part of its environments' names.
    module: its full name; it must have `SCENARIOS`, the names it knows, and
      `make(scenario)`, and may have the other functions that ours have.
    packages: distributions whose versions decide what happens; cards hold them.

  Raises:
    ValueError: the name is taken or none, or the module lacks something.
    ImportError: there is no such module.
  """
  if not suite or "/" in suite:
    raise ValueError(f"suite {suite!r} must be a name without /")
  taken = _SUITES.get(suite)
  if taken not in (None, module):
    raise ValueError(f"suite {suite!r} is taken, by {taken}; choose another")
  found = importlib.import_module(module)
  if not (hasattr(found, "SCENARIOS") and callable(getattr(found, "make", None))):
    raise ValueError(f"{module} must have SCENARIOS and a function make")
  _SUITES[suite], _PACKAGES[suite] = module, packages


def names() -> tuple[str, ...]:
  """The full names, <suite>/<scenario>, of all environments."""
  return tuple(
    f"{suite}/{scenario}" for suite in _SUITES for scenario in _module(suite).SCENARIOS
  )


def split_name(name: str) -> tuple[str, str]:
  """Splits a full name into suite and scenario, both known.

  Args:
    name: <suite>/<scenario>, for example "smax/2s3z".

  Raises:
    ValueError: the suite or the scenario is unknown.
  """
  suite, _, scenario = name.partition("/")
  if suite not in _SUITES or scenario not in _module(suite).SCENARIOS:
    known = reading.listed(names(), near=name)
    raise ValueError(f"environment {name!r} is not one of: {known}")
  return suite, scenario


@functools.cache
def make(name: str) -> types.Environment | types.HostEnvironment:
  """Builds an environment; the same one each time, so that compiled code is shared.

  Suites of pure JAX give an `Environment`, the others a `HostEnvironment`.

  Args:
    name: <suite>/<scenario>, for example "smax/2s3z".

  Raises:
    ValueError: the suite or the scenario is unknown.
    ImportError: the package behind the suite is not installed.
  """
  suite, scenario = split_name(name)
  return _module(suite).make(scenario)


def termination_rule(name: str) -> Callable[[jax.Array], jax.Array] | None:
  """The law by which episodes of an environment end before their time, if known.

  Args:
    name: an environment's, or any other; needs none of the suite's packages.

  Returns:
    None where no such law is known. Otherwise a pure function, jax-traceable: the state
    after a step `[*b, S]` -> bool `[*b]`, True where the step ended the episode with
    discount 0; it raises a ValueError for states of another size.
  """
  suite, _, scenario = name.partition("/")
  if suite not in _SUITES:
    return None
  rule = getattr(_module(suite), "termination_rule", None)
  return rule and rule(scenario)


def weaken(name: str) -> Callable[..., tuple[Any, Any]] | None:
  """How the enemies of an environment are made weaker at the start of an episode.

  For curricula of training; nobody is judged in such games.

  Args:
    name: an environment's, or any other.

  Returns:
    None where there are no enemies. Otherwise a jax-traceable function: what `reset`
    gave, one episode's environment state and time step, and the share of their health
    that enemies keep -> the same with weaker enemies.
  """
  suite, _, scenario = name.partition("/")
  if suite not in _SUITES:
    return None
  make_weaker = getattr(_module(suite), "weaken", None)
  return make_weaker and make_weaker(scenario)


def layout(spec: types.EnvSpec) -> Layout | None:
  """How the vectors of an environment, or of data from it, split into entities.

  Args:
    spec: with a name of ours, or any other; needs none of the suite's packages.

  Returns:
    None where no layout is known, or where it is of vectors of other sizes, as with
    data that others recorded.
  """
  suite, _, scenario = spec.name.partition("/")
  if suite not in _SUITES:
    return None
  known = getattr(_module(suite), "layout", lambda scenario: None)(scenario)
  sizes = spec.obs_sizes or (spec.obs_dim,) * spec.num_agents
  try:
    if known is not None:
      known.check(sizes, spec.state_dim)
  except ValueError:
    return None
  return known


def has_wins(name: str) -> bool:
  """Whether an episode can be won there; robots and warehouses just go on.

  Args:
    name: <suite>/<scenario>; of anybody's own names nothing is known, hence no wins.
  """
  suite, _, scenario = name.partition("/")
  if suite not in _SUITES:
    return False
  return getattr(_module(suite), "has_wins", lambda scenario: True)(scenario)


def versions(name: str) -> dict[str, str]:
  """Versions of the packages that decide what happens in an environment.

  Args:
    name: <suite>/<scenario>.
  """
  packages = ("jax", "numpy", *_PACKAGES.get(name.partition("/")[0], ()))
  return {package: metadata.version(package) for package in packages}


def host_rng(key: jax.Array) -> np.random.Generator:
  """A numpy generator for the resets of a `HostEnvironment`."""
  return np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())


def where_batched(condition: jax.Array, new: Any, old: Any) -> Any:
  """Selects per environment, to reset those whose episode is over.

  Args:
    condition: bool `[B]`; True takes `new`.
    new: tree of arrays `[B, ...]`.
    old: tree of the same structure; its types are kept.
  """

  def pick(x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.where(condition.reshape(-1, *[1] * (y.ndim - 1)), x, y).astype(y.dtype)

  return jax.tree.map(pick, new, old)


def _module(suite: str):
  return importlib.import_module(_SUITES[suite])
