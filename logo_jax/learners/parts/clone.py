"""Models of the behaviour that learn beside a value, and what they tell of it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from logo_jax.learners.parts import conservative
from logo_jax.learners.parts.conservative import Parts, Penalty, View
from logo_jax.networks.agent import Trunk
from logo_jax.networks.behaviour import (
  Behaviour,
  CategoricalBehaviour,
  make_behaviour,
)
from logo_jax.networks.value import MixedValue
from logo_jax.ops import correlation
from logo_jax.types import Batch, LearnerContext, Metrics, Params

# Of the clone that only watches: small, for what it must know is roughly known soon.
_WIDTH, _LEARNING_RATE = 64, 1e-3


class Learned(NamedTuple):
  """What is learned of beta."""

  params: Params
  step: jax.Array  # updates so far


def penalty(
  model: Behaviour,
  context: LearnerContext,
  down: Any,
  learning_rate: float,
  updates: int = 0,
  alone: int = 0,
) -> Penalty:
  """A penalty whose model of the behaviour is fitted to real rows, a step per update.

  Args:
    model: of the behaviour.
    context: has the optimizer's factory.
    down: of the penalty; its parameters are a `Learned`.
    learning_rate: of Adam.
    updates: after which the model is kept; 0: it learns on.
    alone: updates at first in which nothing but the model learns.
  """
  optimizer = context.make_optimizer(learning_rate)

  def init(key: jax.Array):
    params = model.init(key)
    return Learned(params, jnp.int32(0)), optimizer.init(params)

  def loss(params: Params, batch: Batch, key: jax.Array) -> jax.Array:
    cost = model.cost(params, batch.transition, key)
    return jnp.mean(conservative.real_weight(batch) * cost)

  def update(learned: Learned, opt_state: Any, batch: Batch, key: jax.Array):
    value, grads = jax.value_and_grad(loss)(learned.params, batch, key)
    step, moved = optimizer.update(grads, opt_state, learned.params)
    new = optax.apply_updates(learned.params, step), moved
    if updates:
      old = learned.params, opt_state
      learns = learned.step < updates
      new = jax.tree.map(lambda x, y: jnp.where(learns, x, y), new, old)
    metrics = {"learner/behaviour_loss": value}
    return Learned(new[0], learned.step + 1), new[1], metrics

  return Penalty(init, update, down, alone)


def watched(plain: Penalty, parts: Parts, context: LearnerContext) -> Penalty:
  """A penalty that learns nothing, beside a clone that tells how much Q is its copy.

  `learner/q_is_behaviour` is the correlation, within states and agents, of what Q says
  of an agent's legal actions, the others' as recorded, with the clone's
  log-probabilities. Near 1 the value knows what was done and not what it brought.

  Args:
    plain: has no parameters.
    parts: with a value of discrete actions.
    context: has spec, statistics and the optimizer's factory.
  """
  share, dtype = parts.config.share_agents, parts.config.compute_dtype
  trunk = Trunk(_WIDTH, share, False, dtype)
  model = make_behaviour(context.spec, context.statistics, trunk)
  assert isinstance(model, CategoricalBehaviour)

  def down(learned: Learned, view: View, key: jax.Array) -> tuple[jax.Array, Metrics]:
    values, metrics = plain.down((), view, key)
    log_beta = model.log_probs(learned.params, view.t)
    alarm = q_is_behaviour(parts, view, log_beta)
    return values, metrics | {"learner/q_is_behaviour": alarm}

  return penalty(model, context, down, _LEARNING_RATE)


def q_is_behaviour(parts: Parts, view: View, log_beta: jax.Array) -> jax.Array:
  """The correlation that `watched` describes, of the first head.

  Args:
    parts: with a value of discrete actions.
    view: of a batch [*b].
    log_beta: [*b, N, A].
  """
  assert isinstance(parts.value, MixedValue)
  first = jax.tree.map(lambda x: x[:1], view.context)
  q = parts.value.all_counterfactual(first, view.encoded)[0]
  q, log_beta = jax.lax.stop_gradient((q, log_beta))
  weight = jnp.broadcast_to(view.weight, view.t.reward.shape)[..., None]
  return correlation.within_groups(q, log_beta, view.t.legal, weight)
