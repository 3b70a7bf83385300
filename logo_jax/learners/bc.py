"""Behaviour cloning: every agent imitates its own recorded actions, of either kind."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import optax

from logo_jax.learners.parts import common
from logo_jax.networks import heads
from logo_jax.networks.policy import make_policy
from logo_jax.types import Batch, Learner, LearnerContext, LearnerState, Metrics, Params


@dataclasses.dataclass(frozen=True)
class Config:
  """Sizes and step length."""

  hidden_size: int = 256  # units of both hidden layers; Table 8 of LOGO
  learning_rate: float = 5e-4  # Adam; published SMAC code of CFCQL
  share_agents: bool = True  # one network for all agents with an agent identity
  recurrent: bool = False  # a GRU; needs a window of several steps
  window: int = 1  # consecutive steps per sample
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


def make(config: Config, context: LearnerContext) -> Learner:
  """Builds the learner.

  Args:
    config: sizes and step length.
    context: the environment's spec, statistics and the optimizer's factory.

  Returns:
    A learner whose loss is -mean log pi_i(a_i | o_i) over batch and agents, with a
    categorical or a squashed normal policy.

  Raises:
    ValueError: a number is out of range.
  """
  trunk = common.make_trunk(config)
  head = heads.stochastic(context.spec)
  policy = make_policy(context.spec, context.statistics.obs, head, trunk)
  optimizer = context.make_optimizer(config.learning_rate)

  def init(key: jax.Array) -> LearnerState:
    params = policy.init(key)
    return LearnerState(params, (), optimizer.init(params), jnp.int32(0))

  def loss(params: Params, batch: Batch) -> jax.Array:
    return common.imitation_loss(policy, params, batch)

  def update(
    state: LearnerState, batch: Batch, key: jax.Array
  ) -> tuple[LearnerState, Metrics]:
    del key
    value, grads = jax.value_and_grad(loss)(state.params, batch)
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    metrics = {"learner/bc_loss": value}
    return LearnerState(params, (), opt_state, state.step + 1), metrics

  return Learner(
    *(init, update, policy.actor(), config.window),
    reads_state=False,
    config=config,
  )
