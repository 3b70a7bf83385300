"""Environments by name."""

from collections.abc import Callable
import functools
import importlib
from importlib import metadata
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax import types
from logo_jax.checks import reading
from logo_jax.layout import Layout

# Suite -> the packages behind it.
_PACKAGES: dict[str, tuple[str, ...]] = {
  "smax": ("jaxmarl",),
  "jumanji": ("jumanji",),
  "mamujoco": ("mujoco", "gymnasium-robotics"),
}
# Suite -> the module that holds `SCENARIOS` (the names it knows) and `make(scenario)`.
# A module is imported when one of its environments is made, not before. It may have
# `termination_rule`, `layout`, `weaken`, `resume` and `has_wins`, of a scenario, too;
# without the last its games can be won.
_SUITES: dict[str, Any] = {
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


def register_game(
  name: str,
  make: Callable[[], types.Environment | types.HostEnvironment],
  wins: bool = False,
  termination_rule: Callable[[jax.Array], jax.Array] | None = None,
  packages: tuple[str, ...] = (),
) -> None:
  """Makes one game of yours known.

  Doing it again changes nothing.

  Args:
    name: <suite>/<scenario>, as the game's spec must have it, too; of a suite with no
      other games than those that are registered so.
    make: builds it when it is asked for.
    wins: whether an episode can be won.
    termination_rule: the law by which episodes end, see `termination_rule`; None: none
      is known.
    packages: distributions whose versions decide what happens, beside those of the
      suite's other games; cards hold them.

  Raises:
    ValueError: the name is taken, or not of two parts.
  """
  suite, _, scenario = name.partition("/")
  if not suite or not scenario or any(x in "/@," or x.isspace() for x in scenario):
    raise ValueError(
      f"game {name!r} must be <suite>/<scenario>, without @, comma, space"
    )
  games = _SUITES.get(suite, _Games(suite))
  if not isinstance(games, _Games):
    raise ValueError(f"game {name!r}: the suite {suite!r} is taken, by {games}")
  game = _Game(make, wins, termination_rule)
  if games.SCENARIOS.get(scenario, game) != game:
    raise ValueError(f"game {name!r} is taken; choose another name")
  games.SCENARIOS[scenario] = game
  _SUITES[suite] = games
  _PACKAGES[suite] = tuple(dict.fromkeys((*_PACKAGES.get(suite, ()), *packages)))


class _Game(NamedTuple):
  make: Callable[[], types.Environment | types.HostEnvironment]
  wins: bool
  rule: Callable[[jax.Array], jax.Array] | None


class _Games:
  """What a suite's module has, of games that were registered one by one."""

  def __init__(self, suite: str):
    self.SCENARIOS: dict[str, _Game] = {}
    self._suite = suite

  def __str__(self) -> str:
    return "register_game"

  def make(self, scenario: str) -> types.Environment | types.HostEnvironment:
    name = f"{self._suite}/{scenario}"
    env = self.SCENARIOS[scenario].make()
    if not isinstance(env, types.Environment | types.HostEnvironment):
      raise ValueError(
        f"game {name!r}: what makes it must return an Environment or HostEnvironment, "
        f"but returned a {type(env).__name__}"
      )
    if env.spec.name != name:
      raise ValueError(
        f"game {name!r}: its spec.name is {env.spec.name!r}, not the same"
      )
    return env

  def layout(self, scenario: str) -> Layout | None:
    known = scenario in self.SCENARIOS
    return make(f"{self._suite}/{scenario}").spec.layout if known else None

  def has_wins(self, scenario: str) -> bool:
    return scenario in self.SCENARIOS and self.SCENARIOS[scenario].wins

  def termination_rule(self, scenario: str) -> Callable[..., jax.Array] | None:
    known = self.SCENARIOS.get(scenario)
    return known and known.rule


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
  return _offered(name, "termination_rule")


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
  return _offered(name, "weaken")


def resume(name: str) -> Callable[[jax.Array, jax.Array, jax.Array], Any] | None:
  """How an environment goes on from what was recorded of an episode.

  Args:
    name: an environment's, or any other.

  Returns:
    None where it cannot. Otherwise a jax-traceable function: a step's observations
    `[N, O]`, state `[S]` and time `[]`, in steps from 0 -> the environment's state.
  """
  return _offered(name, "resume")


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


def _offered(name: str, what: str) -> Any:
  """What a suite's module has to say of one of its scenarios; None: nothing."""
  suite, _, scenario = name.partition("/")
  offer = getattr(_module(suite), what, None) if suite in _SUITES else None
  return offer and offer(scenario)


def _module(suite: str):
  known = _SUITES[suite]
  return known if isinstance(known, _Games) else importlib.import_module(known)
