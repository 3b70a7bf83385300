"""The trained policies of a run as one function of what the agents see."""

from collections.abc import Sequence
import dataclasses
import functools
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.runs import playback
from logo_jax.training import parallel, plans
from logo_jax.types import Actor, EnvSpec, Observed, Params


def load_policy(
  run_dir: str | os.PathLike[str], seed_index: int = 0, best: bool = False
) -> "Policy":
  """Loads the learner's policies of a run; its dataset is not needed.

  Policies are decentralised, but for those of learners that search among joint actions
  (`Policy.centralised`); of a run whose planner plays they are those that the planner
  starts from.

  Args:
    run_dir: a run's folder, finished or not; it is only read.
    seed_index: which of the runs that were trained side by side, from 0 on.
    best: the checkpoint of the best learning-curve point instead of the last one.

  Returns:
    The policies of all agents, to be called.

  Raises:
    ValueError: no such run, no checkpoint yet, or no such seed.
  """
  config, known = playback.of_run(run_dir)
  if not 0 <= seed_index < config.num_seeds:
    raise ValueError(
      f"seed_index: must be from 0 to {config.num_seeds - 1}, for {run_dir} has "
      f"{config.num_seeds} seeds; got {seed_index}"
    )
  config = dataclasses.replace(config, actor="policy", data_parallel=1)
  system = playback.compose_of(config, known)
  mesh = parallel.make_mesh(config.num_seeds, 1)
  step, params = playback.played(config, system, mesh, run_dir, known.spec, best)
  params = jax.tree.map(lambda x: x[seed_index], params)
  return Policy(plans.actor_of(config, system), params, known.spec, step)


class Policy:
  """Policies of all agents, with their weights; calling it decides.

  Attributes:
    spec: the game that it was trained for: numbers of agents and features, the kind of
      actions.
    params: the weights of one seed.
    step: learner updates that they have seen.
    centralised: an agent's action depends on what others observe.
  """

  def __init__(self, actor: Actor, params: Params, spec: EnvSpec, step: int = 0):
    """Puts together what `load_policy` reads.

    Args:
      actor: of the learner.
      params: of one seed.
      spec: of the environment.
      step: learner updates that the parameters have seen.
    """
    self.spec, self.params, self.step = spec, params, step
    self.centralised = actor.centralised
    self._initial_carry = actor.initial_carry
    self._act = actor.act
    self._jitted = jax.jit(self.act, static_argnames="greedy")

  def __call__(
    self, obs: Any, legal: Any = None, memory: Any = None, key: Any = None
  ) -> tuple[Any, Any]:
    """Decides what all agents do.

    Arrays may be numpy's or JAX's; what comes back is of the kind of `obs`. It may be
    called inside of `jax.jit` and `jax.vmap`.

    Args:
      obs: raw observations `[*b, N, O]`, whatever leading axes; `stack` makes them of
        one array per agent.
      legal: bool `[*b, N, A]`, which actions are legal; needed with discrete actions,
        unused with continuous ones.
      memory: what the last call has returned, or `initial_memory(*b)` at the start of
        an episode; may be left out by policies that remember nothing.
      key: a key of JAX: actions are sampled. None: the likeliest ones; a learner that
        searches then draws what it tries by one fixed key.

    Returns:
      Actions, int32 `[*b, N]` or float32 `[*b, N, A]` in [-1, 1], and the memory.

    Raises:
      ValueError: a shape is not that of the game, or something needed is left out.
    """
    obs_shape = np.shape(obs)
    on_host = not isinstance(obs, jax.Array)
    batch, spec = obs_shape[:-2], self.spec
    _check_shape("obs", obs, (*batch, spec.num_agents, spec.obs_dim), "[*b, N, O]")
    wanted = (*batch, spec.num_agents, spec.action_dim)
    if spec.action_kind == "continuous":
      legal = np.ones(wanted, bool)
    elif legal is None:
      raise ValueError(
        f"legal: actions of {spec.name} are discrete; say which are legal, bool "
        f"{list(wanted)}"
      )
    _check_shape("legal", legal, wanted, "[*b, N, A]")
    memory = self._checked_memory(memory, batch)
    greedy = key is None
    key = jax.random.key(0) if greedy else typed_key(key)
    result = self._jitted(
      self.params,
      jnp.asarray(obs, jnp.float32),
      jnp.asarray(legal, bool),
      memory,
      key,
      greedy=greedy,
    )
    return jax.tree.map(np.asarray, result) if on_host else result

  def act(
    self, params: Params, obs: Any, legal: Any, memory: Any, key: Any, greedy: bool
  ) -> tuple[jax.Array, Any]:
    """The same as a pure function of the weights, without checks."""
    state = jnp.zeros((*obs.shape[:-2], self.spec.state_dim))  # no policy reads it
    seen = Observed(obs, state, legal)
    memory, action = self._act(params, memory, seen, key, greedy=greedy)
    return action, memory

  def initial_memory(self, *batch: int) -> Any:
    """What agents remember at the start of an episode; () if they never do.

    Args:
      *batch: leading axes, of which there may be none.
    """
    return self._initial_carry(batch)

  def stack(self, observations: Sequence[Any]) -> np.ndarray:
    """Observations `[*b, N, O]` of one array `[*b, <= O]` per agent, in their order.

    Shorter ones are padded with zeros, as they were in training. On the host; in
    compiled programs use `jnp.stack`.

    Raises:
      ValueError: not one per agent, or one of another size.
    """
    spec = self.spec
    sizes = spec.obs_sizes or (spec.obs_dim,) * spec.num_agents
    found = tuple(np.shape(x)[-1] if np.ndim(x) else 0 for x in observations)
    if found != tuple(sizes):
      raise ValueError(
        f"observations: agents of {spec.name} see {list(sizes)} features, got "
        f"{list(found)}"
      )
    padded = [
      np.pad(x, [(0, 0)] * (np.ndim(x) - 1) + [(0, spec.obs_dim - np.shape(x)[-1])])
      for x in observations
    ]
    return np.stack(padded, -2).astype(np.float32)

  @functools.cached_property
  def remembers(self) -> bool:
    """Whether there is a memory to be handed from call to call."""
    return bool(jax.tree.leaves(jax.eval_shape(lambda: self.initial_memory())))

  def _checked_memory(self, memory: Any, batch: tuple[int, ...]) -> Any:
    if not self.remembers:
      return self.initial_memory(*batch)
    asked = f"initial_memory({', '.join(map(str, batch))})"
    if memory is None:
      raise ValueError(
        f"memory: this policy remembers; give what the last call has returned, or "
        f"{asked} at the start of an episode"
      )
    wanted = jax.eval_shape(lambda: self.initial_memory(*batch))
    shapes = [np.shape(x) for x in jax.tree.leaves(memory)]
    if shapes != [x.shape for x in jax.tree.leaves(wanted)]:
      raise ValueError(
        f"memory: must be that of {asked}, with shape "
        f"{[x.shape for x in jax.tree.leaves(wanted)]}; got {shapes}"
      )
    return jax.tree.map(jnp.asarray, memory)


def typed_key(key: Any) -> jax.Array:
  """A key of JAX, of either kind, as a typed one."""
  key = jnp.asarray(key)
  if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
    return key
  return jax.random.wrap_key_data(key)


def _check_shape(name: str, array: Any, wanted: tuple[int, ...], axes: str) -> None:
  found = np.shape(array)
  if found != wanted:
    raise ValueError(
      f"{name}: must have shape {axes}, here {list(wanted)}; got {list(found)}"
    )
