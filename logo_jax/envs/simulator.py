"""The game itself in a world model's place: what a perfect model would be worth.

Rollouts go on, from recorded states, in the environment. Nothing is fitted and nothing
is offline about it: a yardstick, that tells how much of what policies lack is the
model's fault and how much the learner's.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from logo_jax.envs import base
from logo_jax.types import (
  EnvSpec,
  HostEnvironment,
  Metrics,
  Params,
  Prediction,
  Statistics,
  Transition,
  WorldModel,
)


@dataclasses.dataclass(frozen=True)
class Config:
  """Nothing to choose."""


def make(config: Config, spec: EnvSpec, statistics: Statistics) -> WorldModel:
  """Builds the model.

  Raises:
    ValueError: the environment does not go on from what is recorded of it, or the data
      are of another one.
    ImportError: the package behind the environment is not installed.
  """
  del config, statistics
  resume = base.resume(spec.name)
  if resume is None:
    raise ValueError(
      "model.name: 'simulator' needs an environment that goes on from recorded states, "
      f"smax/<map>; got {spec.name!r}"
    )
  env = base.make(spec.name)
  assert not isinstance(env, HostEnvironment)
  sizes = [(s.num_agents, s.obs_dim, s.state_dim) for s in (env.spec, spec)]
  if sizes[0] != sizes[1]:
    raise ValueError(
      f"model.name: 'simulator' is {spec.name} itself, whose number of agents and "
      f"sizes of observations and states are {sizes[0]}; the data have {sizes[1]}"
    )

  def start(params: Params, t: Transition, key: jax.Array) -> Any:
    del params, key
    known = isinstance(t.time, jax.Array)
    time = t.time if known else jnp.zeros(t.reward.shape, jnp.int32)
    return jax.vmap(resume)(t.obs, t.state, time)

  def step(
    params: Params, latent: Any, action: jax.Array, key: jax.Array
  ) -> tuple[Any, Prediction]:
    del params
    keys = jax.random.split(key, len(action))
    latent, after = jax.vmap(env.step)(latent, action, keys)
    view = jnp.zeros((len(action), 1, 1, 1))  # there is no uncertainty to read from it
    prediction = Prediction(
      obs=after.obs,
      state=after.state,
      reward=after.reward,
      discount=after.discount,
      legal=after.legal,
      mean=view,
      std=view,
    )
    return latent, prediction

  return WorldModel(
    num_views=1,
    window=1,
    init=lambda key: {"nothing": jnp.zeros(())},  # for an axis of seeds to be of
    loss=_no_loss,
    validate=lambda params, t, weight, key: jnp.zeros(()),
    start=start,
    step=step,
    diagnose=lambda params, t: {},
  )


def _no_loss(
  params: Params, t: Transition, weight: jax.Array, key: jax.Array
) -> tuple[jax.Array, Metrics]:
  del params, t, weight, key
  return jnp.zeros(()), {}
