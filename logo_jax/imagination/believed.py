"""The game as a model with a memory comes to believe it, for policies that read that.

What agents believe takes the place of what they observe, and all beliefs side by side
the place of the state. So whoever learns on rollouts in a model learns on its latents
as well, and knows nothing of it. In the real game each step's beliefs follow from the
last ones, from what all agents did, and from what is observed; where beliefs come of
messages, an agent's action depends on more than it has observed itself.
"""

import dataclasses

import jax
import jax.numpy as jnp

from logo_jax.ops.standardise import Moments
from logo_jax.types import (
  Actor,
  Beliefs,
  EnvSpec,
  Observed,
  Params,
  Prediction,
  Statistics,
  Transition,
  WorldModel,
)


def spec_of(spec: EnvSpec, beliefs: Beliefs) -> EnvSpec:
  """What learners may know of the game as it is believed."""
  size = beliefs.size
  return dataclasses.replace(
    spec, obs_dim=size, state_dim=spec.num_agents * size, obs_sizes=(), layout=None
  )


def statistics_of(
  statistics: Statistics, spec: EnvSpec, beliefs: Beliefs
) -> Statistics:
  """The data's, with features as they are: they lie between -1 and 1."""
  size = beliefs.size
  return statistics._replace(
    obs=_as_it_is(size), state=_as_it_is(spec.num_agents * size)
  )


def _as_it_is(size: int) -> Moments:
  zeros, ones = jnp.zeros(size), jnp.ones(size)
  return Moments(zeros, ones, ones, -ones, ones, jnp.ones(size, bool))


def told(beliefs: Beliefs, params: Params, t: Transition, key: jax.Array) -> Transition:
  """Windows [B, T] of recorded steps as they come to be believed.

  Args:
    beliefs: the model's.
    params: of the model.
    t: windows.
    key: of samples.
  """
  features = beliefs.follow(params, t, key)
  now, after = features[:, :-1], features[:, 1:]
  return t._replace(
    obs=now, state=_together(now), next_obs=after, next_state=_together(after)
  )


def in_beliefs(model: WorldModel) -> WorldModel:
  """The model, of steps of the game as it is believed; it starts from single ones."""
  beliefs = model.beliefs
  assert beliefs is not None

  def start(params: Params, t: Transition, key: jax.Array):
    del params, key  # a belief is where the model goes on from
    return beliefs.latent(t.obs)

  def step(params: Params, latent, action: jax.Array, key: jax.Array):
    latent, p = model.step(params, latent, action, key)
    return latent, _believed(p, beliefs.of(latent))

  return model._replace(window=1, start=start, step=step, draw=None)


def _believed(p: Prediction, features: jax.Array) -> Prediction:
  return p._replace(obs=features, state=_together(features))


def _together(features: jax.Array) -> jax.Array:
  """All agents' features side by side, [*b, N * F]."""
  return features.reshape(*features.shape[:-2], -1)


def acting_on(beliefs: Beliefs, policies: Actor) -> Actor:
  """Plays the real game by policies that read beliefs.

  Args:
    beliefs: the model's.
    policies: of a learner, in the game as it is believed.

  Returns:
    A centralised actor of the parameters of model, uncertainty and learner.
  """

  def initial_carry(shape: tuple[int, ...]):
    return beliefs.nothing(shape), policies.initial_carry(shape)

  def act(params, carry, now: Observed, key: jax.Array, greedy: bool = False):
    model_params, _, policy_params = params
    before, memory = carry
    k_see, k_act = jax.random.split(key)
    features = beliefs.see(model_params, before, now.obs, k_see)
    believed = now._replace(obs=features, state=_together(features))
    memory, action = policies.act(policy_params, memory, believed, k_act, greedy=greedy)
    return (beliefs.acted(features, action), memory), action

  return Actor(initial_carry, act, centralised=True)
