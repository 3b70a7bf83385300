"""Playing a policy in a jittable environment: many episodes at once, one program."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from logo_jax.types import Actor, Environment, Observed, Params, TimeStep


class EpisodeResult(NamedTuple):
  """What is known of played episodes; leading axes are the caller's."""

  episode_return: Float[Array, "*b"]  # undiscounted, environment's units
  length: Int[Array, "*b"]  # steps
  won: Bool[Array, "*b"]


class _Carry(NamedTuple):
  env_state: Any
  time_step: TimeStep
  memory: Any  # of the policy
  result: EpisodeResult
  step: Int[Array, ""]


def play(
  env: Environment,
  actor: Actor,
  params: Params,
  num_episodes: int,
  key: jax.Array,
  greedy: bool = True,
) -> EpisodeResult:
  """Plays whole episodes.

  Args:
    env: the environment.
    actor: acts; every episode begins with its empty memory.
    params: of the actor.
    num_episodes: E, played side by side until the last one ends.
    key: decides the episodes; the same key gives the same figures.
    greedy: the likeliest actions, or else sampled ones.

  Returns:
    Results with axis [E].
  """

  def going(carry: _Carry) -> jax.Array:
    return ~carry.time_step.last.all()

  def step(carry: _Carry) -> _Carry:
    now = carry.time_step
    k_act, k_env = jax.random.split(jax.random.fold_in(k_steps, carry.step))
    seen = Observed(now.obs, now.state, now.legal)
    memory, action = actor.act(params, carry.memory, seen, k_act, greedy=greedy)
    keys = jax.random.split(k_env, num_episodes)
    env_state, after = jax.vmap(env.step)(carry.env_state, action, keys)
    running = ~now.last
    r = carry.result
    result = EpisodeResult(
      episode_return=r.episode_return + running * after.reward,
      length=r.length + running,
      won=r.won | (running & after.won),
    )
    after = after._replace(last=now.last | after.last)
    return _Carry(env_state, after, memory, result, carry.step + 1)

  k_reset, k_steps = jax.random.split(key)
  env_state, first = jax.vmap(env.reset)(jax.random.split(k_reset, num_episodes))
  zeros = jnp.zeros(num_episodes)
  empty = EpisodeResult(zeros, zeros.astype(jnp.int32), zeros.astype(bool))
  memory = actor.initial_carry((num_episodes,))
  carry = _Carry(env_state, first, memory, empty, jnp.int32(0))
  return jax.lax.while_loop(going, step, carry).result
