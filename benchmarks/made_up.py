"""Random data of given shapes, and what the benchmarks report beside their figures."""

from collections.abc import Callable, Mapping
import statistics
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.configs import registry
from logo_jax.ops.standardise import moments
from logo_jax.runs import outcomes
from logo_jax.training import optimizers
from logo_jax.types import (
  Batch,
  EnvSpec,
  Learner,
  LearnerContext,
  Statistics,
  Transition,
)


def spec(num_agents: int) -> EnvSpec:
  """A game of discrete actions, whose state grows with the number of agents."""
  return EnvSpec("made/up", num_agents, 64, 16 * num_agents, "discrete", 8, 100)


def statistics_of(spec: EnvSpec) -> Statistics:
  """Of normal observations, states and rewards."""
  rng = np.random.default_rng(1)
  obs, state = (rng.normal(size=(100, n)) for n in (spec.obs_dim, spec.state_dim))
  return Statistics(
    moments(obs), moments(state), moments(rng.normal(size=100)), (-9, 9)
  )


def learner(name: str, spec: EnvSpec, **fields: Any) -> Learner:
  """One of the library's, for data such as `batch` makes."""
  context = LearnerContext(spec, statistics_of(spec), optimizers.adam)
  return registry.make(
    "learner", registry.component("learner", name, **fields), context
  )


def batch(spec: EnvSpec, shape: tuple[int, ...], seed: int = 0) -> Batch:
  """Normal transitions [*shape], all actions legal."""
  rng = np.random.default_rng(seed)

  def normal(*features: int) -> jax.Array:
    return jnp.asarray(rng.normal(size=(*shape, *features)), jnp.float32)

  n, a = spec.num_agents, spec.action_dim
  if spec.action_kind == "discrete":
    action = jnp.asarray(rng.integers(a, size=(*shape, n)), jnp.int32)
  else:
    action = jnp.tanh(normal(n, a))
  legal = jnp.ones((*shape, n, a), bool)
  t = Transition(
    obs=normal(n, spec.obs_dim),
    state=normal(spec.state_dim),
    legal=legal,
    action=action,
    reward=normal(),
    discount=jnp.ones(shape),
    next_obs=normal(n, spec.obs_dim),
    next_state=normal(spec.state_dim),
    next_legal=legal,
  )
  return Batch(t, jnp.ones(shape), jnp.ones(shape, bool), jnp.float32(1))


def by_turns(
  calls: Mapping[Any, Callable[[], Any]], repeats: int
) -> dict[Any, list[float]]:
  """Seconds of each call, one of each a round, after one of each that compiles.

  What else the machine does so hits all alike.
  """
  for call in calls.values():
    jax.block_until_ready(call())
  seconds: dict[Any, list[float]] = {name: [] for name in calls}
  for _ in range(repeats):
    for name, call in calls.items():
      start = time.perf_counter()
      jax.block_until_ready(call())
      seconds[name].append(time.perf_counter() - start)
  return seconds


def summary(seconds: Mapping[Any, list[float]], first: Any) -> dict[Any, Any]:
  """Medians with their range, and the median ratio to `first` of the same round."""
  return {
    name: {
      "seconds": statistics.median(values),
      "seconds_range": [min(values), max(values)],
      "ratio": statistics.median(
        x / y for x, y in zip(values, seconds[first], strict=True)
      ),
    }
    for name, values in seconds.items()
  }


def machine() -> dict[str, Any]:
  """Where it was measured."""
  return {"device": outcomes.device_name(), "jax": jax.__version__}
