"""The losses that MACQL and CFCQL share, on tables of numbers and worked out by hand.

Two heads, two agents, three actions. The first row is real; the second one is imagined
and weighs a third of it. Everything differs from everything: heads, rows, target and
online networks, legal actions now and next.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logo_jax.learners import macql
from logo_jax.learners.parts import conservative
from logo_jax.networks.agent import AgentNetwork
from logo_jax.ops.standardise import moments
from logo_jax.types import Batch, LearnerContext, Statistics, Transition
from tests import toys

# What is taken from the policy or the value: [agent][action], of each head.
PARAMS = {
  "policy": jnp.array([[0.0, 30.0, 60.0], [30.0, 0.0, 60.0]]),
  "value": {
    "q": jnp.array(
      [[[1.0, 2.0, 9.0], [8.0, 3.0, 7.0]], [[2.0, 0.0, 8.0], [-2.0, 1.0, 5.0]]]
    ),
    "state": jnp.array([1.0, -1.0]),
  },
}
TARGET = {
  "policy": jnp.array([[0.0, 30.0, 60.0], [0.0, 30.0, 60.0]]),
  "value": {
    "q": jnp.array(
      [[[4.0, 1.0, 3.0], [2.0, 6.0, 1.0]], [[3.0, 5.0, 7.0], [9.0, 0.0, 2.0]]]
    ),
    "state": jnp.array([2.0, 6.0]),
  },
}
DOWN = jnp.array([[7.0, 4.0], [3.0, 2.0]])  # what is to be lowered, by head and row


class _Tables:
  """Q = sum_i q_i(a_i) + w s; a context is utilities and w s, as of mixed values."""

  def contexts(self, params, t):
    def at(state):
      q = jnp.broadcast_to(params["q"][:, None], (2, len(state), 2, 3))
      return q, params["state"][:, None] * state[:, 0]

    return at(t.state), at(t.next_state)

  def joint(self, params, context, encoded):
    q, base = context
    more = tuple(range(1, 2 + encoded.ndim - q.ndim))
    q, base = jnp.expand_dims(q, more), jnp.expand_dims(base, more)
    return (q * encoded).sum((-2, -1)) + base


def _batch() -> Batch:
  t, f = True, False
  obs = jnp.zeros((2, 2, 5))
  transition = Transition(
    obs=obs,
    state=jnp.array([[1.0], [-1.0]]) * jnp.ones(8),
    legal=jnp.array([[[t, t, f], [t, t, f]], [[t, t, f], [t, f, t]]]),
    action=jnp.array([[0, 1], [1, 0]]),
    reward=jnp.array([1.0, -0.5]),
    discount=jnp.array([1.0, 0.5]),
    next_obs=obs,
    next_state=jnp.array([[2.0], [1.0]]) * jnp.ones(8),
    next_legal=jnp.array([[[t, f, f], [t, t, f]], [[f, t, t], [t, f, f]]]),
  )
  weight, real = jnp.array([1.5, 0.5]), jnp.array([True, False])
  return Batch(transition, weight, real, jnp.float32(0.6))


def _parts(**changes) -> conservative.Parts:
  plain = {
    **{"hidden_size": 8, "num_heads": 2, "num_samples": 5, "policy": "network"},
    **{"discount": 0.9, "reward_scale": 2.0, "clip_target": False, "td_lambda": 0.0},
    **{"cql_weight": 3.0, "bc_weight": 0.5, "push_down": "logsumexp"},
    **{"push_down_on": "real", "push_up_on": "real", "bellman_on": "batch"},
    **{"bc_on": "real", "ascend_with": "policy", "backup": "policy"},
    "normalise_q": False,
  }
  spec = toys.corridor().spec
  nothing = [moments(np.zeros(shape)) for shape in ((1, 5), (1, 8), (1,))]
  context = LearnerContext(spec, Statistics(*nothing, (0.0, 0.0)), optax.adam)
  parts = conservative.make_parts(macql.Config(**(plain | changes)), context)

  def outputs(table, obs):
    return jnp.broadcast_to(table, (len(obs), 2, 3))

  network = parts.policy.network
  assert isinstance(network, AgentNetwork)
  network = network._replace(
    apply=outputs, apply_both=lambda table, x, y: (outputs(table, x), outputs(table, y))
  )
  policy = parts.policy._replace(network=network)
  return parts._replace(policy=policy, value=_Tables(), value_range=None)


def _losses(params=PARAMS, target=TARGET, batch=None, down=DOWN, **changes):
  penalty = conservative.Penalty(
    init=lambda key: ((), ()),
    update=lambda params, opt_state, batch, key: (params, opt_state, {}),
    down=lambda params, view, key: (down, {}),
  )
  batch = batch or _batch()
  parts, key = _parts(**changes), jax.random.key(0)
  losses = jax.jit(functools.partial(conservative.losses, parts, penalty))
  loss, metrics = losses(params, (target, ()), batch, key)
  return loss, {k.removeprefix("learner/"): v for k, v in metrics.items()}


def _near(x):
  return pytest.approx(x, rel=1e-5)


# Values of the recorded actions, (0, 1) in state 1 and (1, 0) in state -1.
DATA_Q = np.array([[1 + 3 + 1, 2 + 8 - 1], [2 + 1 - 1, 0 - 2 + 1]])
# The target's policy plays its last legal action: (0, 1) in state 2, (2, 0) in state 1,
# worth 14 and 15, 7 and 22 by head.
TARGET_Q = np.array([2 * 1.0 + 0.9 * 14, 2 * -0.5 + 0.9 * 0.5 * 7])
BELLMAN = np.mean([1.5, 0.5] * (DATA_Q - TARGET_Q) ** 2) / 2
# Of the real row alone, which weighs 1.5 / 0.6: so that the mean over all batches is 1.
GAP = 2.5 * ((7 - 5) + (3 - 2)) / 4
# The policy plays (1, 0), worth 11 and -3, and (1, 2), worth 8 and 6.
ASCENT, MODULUS = (1.5 * -3 + 0.5 * 6) / 2, (1.5 * 3 + 0.5 * 6) / 2
# Agents had logits of 0 beside 30 for what was recorded, but for one choice of
# the imagined row.
CLONING = np.array([(30 + 30) / 2, (0 + 30) / 2])


@pytest.mark.parametrize("normalise", [False, True])
def test_losses_by_hand(normalise):
  loss, metrics = _losses(normalise_q=normalise)
  assert float(metrics["q"]) == _near(np.mean([1.5, 0.5] * DATA_Q) / 2)
  assert float(metrics["q_target"]) == _near(np.mean([1.5, 0.5] * TARGET_Q) / 2)
  assert float(metrics["bellman_error"]) == _near(BELLMAN / 4)
  assert float(metrics["cql_gap"]) == _near(GAP / 2)
  assert float(metrics["policy_q"]) == _near(ASCENT / 2)
  assert float(metrics["bc_loss"]) == _near(2.5 * CLONING[0] / 2)
  ascent = ASCENT / MODULUS if normalise else ASCENT
  policy = -ascent + 0.5 * 2.5 * CLONING[0] / 2
  assert float(loss) == _near(2 * (BELLMAN + 3 * GAP) + policy)


def test_rows_of_each_term_by_hand():
  """The other readings of which rows count."""
  _, metrics = _losses(
    push_down_on="batch", push_up_on="batch", bellman_on="real", bc_on="batch"
  )
  gap = np.mean([1.5, 0.5] * (np.asarray(DOWN) - DATA_Q))
  assert float(metrics["cql_gap"]) == _near(gap / 2)
  error = np.mean(2.5 * (DATA_Q - TARGET_Q)[:, 0] ** 2 * [0.5, 0.5]) / 2
  assert float(metrics["bellman_error"]) == _near(error / 4)
  assert float(metrics["bc_loss"]) == _near(np.mean([1.5, 0.5] * CLONING))


def test_greedy_targets_by_hand():
  """Chosen online by each head, valued by its target.

  In state 2: (0, 0) by the first head, whose target is 10; (0, 1) by the second, 15.
  """
  _, metrics = _losses(backup="greedy")
  target = np.array([2 * 1.0 + 0.9 * 10, TARGET_Q[1]])
  assert float(metrics["q_target"]) == _near(np.mean([1.5, 0.5] * target) / 2)


def test_each_loss_moves_its_own_networks():
  """Slopes of the sum, in the tables of the first row's actions, by hand."""

  def loss(params, down):
    return _losses(params, down=down)[0]

  grads, of_down = jax.jit(jax.grad(loss, argnums=(0, 1)))(PARAMS, DOWN)
  # Heads are summed: 1.5 / 2 (Q - y) of the Bellman error, and -3 2.5 / 2 of the gap.
  # Of the second agent's action 1, which no other row has.
  slope = 0.75 * (DATA_Q - TARGET_Q)[:, 0] - 3 * 1.25
  np.testing.assert_allclose(grads["value"]["q"][:, 1, 1], slope, rtol=1e-5)
  # What is only played by the policy is not moved through its loss.
  np.testing.assert_array_equal(grads["value"]["q"][:, 1, 2], 0.0)
  # What is to be lowered is: in the real row.
  np.testing.assert_allclose(of_down, [[3 * 1.25, 0.0]] * 2, rtol=1e-6)
  # -log p of actions 0 and 1 moves both logits, a quarter of 0.5 x 2.5 each.
  moved = np.array([[-1.0, 1.0, 0.0], [1.0, -1.0, 0.0]]) * 0.3125
  np.testing.assert_allclose(grads["policy"], moved, atol=1e-5)
  none = jax.jit(jax.grad(lambda target: _losses(target=target)[0]))(TARGET)
  assert not any(x.any() for x in jax.tree.leaves(none))


def test_the_push_down_is_over_legal_joint_actions():
  """Where a single one is legal it is worth Q; of two alike, log 2 more.

  Illegal ones are worth more by far, and are sampled by nobody.
  """
  t = _batch().transition
  y, n = True, False
  legal = jnp.array([[[n, y, n], [y, n, n]], [[y, y, n], [n, y, n]]])
  params = {
    "q": jnp.array([[[1.0, 1.0, 90.0], [5.0, 3.0, 90.0]]] * 2),
    "state": jnp.array([1.0, -1.0]),
  }
  logits = jnp.array([[0.0, 0.0, 60.0], [0.0, 0.0, 60.0]])
  parts = _parts()
  t = t._replace(legal=legal)
  context, _ = parts.value.contexts(params, t)
  outputs = jnp.broadcast_to(logits, (2, 2, 3))
  encoded = jnp.zeros((2, 2, 3))
  view = conservative.View(t, encoded, params, context, outputs, outputs)
  down, _ = jax.jit(macql.joint_penalty(parts).down)((), view, jax.random.key(1))
  several = 1 + 3 + np.log(2)
  wanted = [[1 + 5 + 1, several - 1], [1 + 5 - 1, several + 1]]
  np.testing.assert_allclose(down, wanted, rtol=1e-5)
