"""The error that no world model can go below: what chance alone does.

From states that a behaviour policy has reached in the simulator, whole and hidden parts
included, the same actions are played again with other keys. The best prediction is the
mean of what follows, its expected squared error their variance. That is exact for one
step. Later actions of recorded play answer to what came before them, and so tell of it:
beyond one step it is the floor of actions that do not, and recorded play can be off it
to either side.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.behaviours import library, policy
from logo_jax.data import source
from logo_jax.data.dataset import LoadedDataset, evenly_spaced
from logo_jax.ops.standardise import Moments
from logo_jax.types import Environment, EnvSpec, HostEnvironment, Statistics, TimeStep

# (time steps [E], key) -> actions [E, ...]
Act = Callable[[TimeStep, jax.Array], jax.Array]


class Effort(NamedTuple):
  """How much is simulated."""

  episodes: int = 256  # played to reach states
  windows: int = 1_024  # of the reached states, evenly spaced
  repeats: int = 8  # of each window, other than the recorded play


_EFFORT = Effort()


class Played(NamedTuple):
  """Episodes side by side, [T, E, ...]."""

  env_state: Any
  action: Any
  last: Any  # the episode was over before the step


def behaviour(card: Mapping[str, Any], spec: EnvSpec) -> tuple[Act | None, str]:
  """Who played a dataset, if its card names policies that are shipped.

  Args:
    card: the dataset's; one of collected data names the snapshots that played.
    spec: of the environment.

  Returns:
    A function that lets each snapshot play every n-th episode, and ""; or None and why
    nobody is known.
  """
  played = card.get("behaviour")
  if not isinstance(played, dict) or not _names_policies(played):
    return None, "the dataset's card names no behaviour policies"
  environments = {entry["name"].rpartition("/")[0] for entry in played["snapshots"]}
  shipped = [
    dataclasses.asdict(snapshot)
    for name in environments.intersection(library.environments())
    for snapshot in library.index(name).snapshots
  ]
  for entry in played["snapshots"]:
    if not any(entry.items() <= snapshot.items() for snapshot in shipped):
      return None, f"the policy that played, {entry['name']!r}, is none of the shipped"
  params = [library.load(entry["name"]) for entry in played["snapshots"]]
  stacked = jax.tree.map(lambda *x: jnp.stack(x), *params)

  def act(now: TimeStep, key: jax.Array) -> jax.Array:
    every = jax.vmap(lambda params: policy.outputs(params, now.obs, spec))(stacked)
    episode = jnp.arange(now.last.shape[0])
    scores = every[episode % len(params), episode]
    mode = policy.Mode(played["greedy"], played["epsilon"])
    return policy.choose(scores, now.legal, spec.action_kind, mode, key)

  return act, ""


def _names_policies(played: Mapping[str, Any]) -> bool:
  """Whether a card's behaviour is of the form that `collect` gives it."""
  entries = played.get("snapshots")
  return (
    isinstance(entries, list)
    and bool(entries)
    and all(isinstance(e, dict) and isinstance(e.get("name"), str) for e in entries)
    and isinstance(played.get("epsilon"), float | int)
    and isinstance(played.get("greedy"), bool)
  )


def of_dataset(loaded: LoadedDataset, horizons: Sequence[int]) -> tuple[dict, str]:
  """The floor under every model of a dataset.

  Returns:
    What `measure` gives and ""; or {} and why it is not known.
  """
  env, why = source.environment(loaded.card, loaded.spec)
  if env is None:
    return {}, why
  if isinstance(env, HostEnvironment):  # their steps use no chance
    return zero(horizons), ""
  act, why = behaviour(loaded.card, loaded.spec)
  if act is None:
    return {}, why
  return measure(env, act, loaded.statistics, horizons), ""


def measure(
  env: Environment,
  act: Act,
  statistics: Statistics,
  horizons: Sequence[int],
  effort: Effort = _EFFORT,
  seed: int = 0,
) -> dict[str, Any]:
  """Plays, re-simulates and gives the least expected squared error.

  Like a model's error it counts windows whose recorded play goes so far. Among the
  repeats of a window only those that go as far count, too: of such windows a model's
  error is known, and that its episode goes on is part of what it may know.

  Args:
    env: a jittable environment.
    act: the behaviour.
    statistics: of the dataset; its deviations are the unit.
    horizons: steps of interest.
    effort: how much is simulated.
    seed: of all chances.

  Returns:
    `state_mse`, `state_rmse`, `obs_mse` and `obs_rmse` by horizon, of which those that
    no window reaches are left out; and `reward_r2`, the largest there can be.
  """
  k_play, k_repeat, k_reward = jax.random.split(jax.random.key(seed), 3)
  played = jax.jit(lambda key: _play(env, act, effort.episodes, key))(k_play)
  over = np.asarray(played.last)
  left = np.cumsum(~over[::-1], 0)[::-1].astype(np.int32)  # steps to the end
  episode, time = np.nonzero(~over.T)
  time, episode = (evenly_spaced(x, effort.windows) for x in (time, episode))
  horizons = [h for h in horizons if h <= left.max()]

  def spread(played: Played, key: jax.Array) -> Any:
    return _repeat(
      env, statistics, (played, time, episode), max(horizons), effort.repeats, key
    )

  variances, counts = jax.device_get(jax.jit(spread)(played, k_repeat))
  rewards = jax.jit(lambda played, key: _rewards(env, played, key, effort.repeats))
  found: dict[str, Any] = {"reward_r2": _share_known(rewards(played, k_reward)[~over])}
  for kind, variance in variances.items():
    mse = {}
    for h in horizons:
      counted = (left[time, episode] >= h) & (counts[h - 1] > 1)
      if counted.any():
        mse[str(h)] = float(variance[h - 1, counted].mean())
    found[f"{kind}_mse"] = mse
    found[f"{kind}_rmse"] = {h: x**0.5 for h, x in mse.items()}
  return found


def zero(horizons: Sequence[int]) -> dict[str, Any]:
  """The floor of an environment without chance, in the form of `measure`."""
  nothing = {str(h): 0.0 for h in horizons}
  names = [f"{kind}_{unit}" for kind in ("state", "obs") for unit in ("mse", "rmse")]
  return {"reward_r2": 1.0} | {name: dict(nothing) for name in names}


def _play(env: Environment, act: Act, num_episodes: int, key: jax.Array) -> Played:
  k_reset, k_steps = jax.random.split(key)

  def step(carry: tuple, count: jax.Array) -> tuple[tuple, Played]:
    env_state, now = carry
    k_act, k_env = jax.random.split(jax.random.fold_in(k_steps, count))
    action = act(now, k_act)
    keys = jax.random.split(k_env, num_episodes)
    moved, reached = jax.vmap(env.step)(env_state, action, keys)
    reached = reached._replace(last=now.last | reached.last)
    return (moved, reached), Played(env_state, action, now.last)

  first = jax.vmap(env.reset)(jax.random.split(k_reset, num_episodes))
  return jax.lax.scan(step, first, jnp.arange(env.spec.max_steps))[1]


def _repeat(
  env: Environment,
  statistics: Statistics,
  where: tuple[Played, Any, Any],
  steps: int,
  repeats: int,
  key: jax.Array,
) -> tuple[dict[str, jax.Array], jax.Array]:
  """Variances [H, W] among the repeats of windows, and how many repeats they count."""
  played, time, episode = where
  reached = jax.tree.map(lambda x: x[time, episode], played.env_state)
  shape = (len(time), repeats)
  several = jax.tree.map(
    lambda x: jnp.broadcast_to(x[:, None], (*shape, *x.shape[1:])), reached
  )
  one = jax.vmap(jax.vmap(env.step, (0, None, 0)))

  def step(carry: tuple, offset: jax.Array) -> tuple[tuple, Any]:
    env_state, going = carry
    now = jnp.minimum(time + offset, played.last.shape[0] - 1)
    keys = jax.random.split(jax.random.fold_in(key, offset), shape)
    env_state, after = one(env_state, played.action[now, episode], keys)
    variances = {
      "state": _variance(after.state, going, statistics.state),
      "obs": _variance(after.obs, going, statistics.obs),
    }
    return (env_state, going & ~after.last), (variances, going.sum(1))

  carry = (several, jnp.ones(shape, bool))
  return jax.lax.scan(step, carry, jnp.arange(steps))[1]


def _rewards(
  env: Environment, played: Played, key: jax.Array, repeats: int
) -> jax.Array:
  """Of all steps that were played, as few may have one, repeated: [T, E, K]."""

  def at(now: tuple[Any, jax.Array, jax.Array]) -> jax.Array:
    env_state, action, time = now
    keys = jax.random.split(jax.random.fold_in(key, time), (len(action), repeats))
    several = jax.vmap(env.step, (None, None, 0))
    return jax.vmap(several)(env_state, action, keys)[1].reward

  time = jnp.arange(played.last.shape[0])
  return jax.lax.map(at, (played.env_state, played.action, time))


def _share_known(x: Any) -> float:
  """What is not by chance of the variance of [W, K], K repeats of each."""
  x = np.asarray(x, np.float64)
  return float(1 - x.var(1, ddof=1).mean() / max(x.var(), 1e-12))


def _variance(x: jax.Array, counted: jax.Array, m: Moments) -> jax.Array:
  """The unbiased variance over repeats, in standard deviations squared.

  Args:
    x: [W, K, *any, F].
    counted: bool [W, K], which repeats count.
    m: moments of the features.

  Returns:
    [W], means over the features that vary.
  """
  weight = counted.reshape(*counted.shape, *[1] * (x.ndim - 2)).astype(x.dtype)
  number = weight.sum(1)
  z = x / jnp.where(m.varies, m.std, 1.0)
  away = z - (weight * z).sum(1, keepdims=True) / jnp.maximum(number, 1.0)[:, None]
  variance = (weight * away**2).sum(1) / jnp.maximum(number - 1, 1.0)
  counted = jnp.broadcast_to(m.varies, x.shape[2:])
  total = jnp.where(counted, variance, 0.0).reshape(len(x), -1).sum(-1)
  return total / jnp.maximum(counted.sum(), 1)
