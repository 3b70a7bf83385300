"""OMIGA: the three losses by hand, what each of them moves, and known optima."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logo_jax.data.dataset import load
from logo_jax.learners import bc, omiga
from logo_jax.networks.linear_mixer import LinearWeights
from logo_jax.types import Batch, Transition
from tests import toys
from tests.learners import problems

SMALL = omiga.Config(hidden_size=32, learning_rate=3e-3, target_rate=0.05, alpha=1.0)


@pytest.fixture(scope="module")
def lq():
  """Without the actions at the border, which squashed normals see far outside."""
  stored = toys.linear_quadratic()
  action = np.clip(stored.rows.action, -0.9, 0.9)
  return load(stored._replace(rows=stored.rows._replace(action=action)))


def _train(config, loaded, updates):
  learner = omiga.make(config, problems.context(loaded))
  state, _ = problems.train(learner, loaded, updates)
  return learner, state


# Known numbers in place of networks. Local values add the agent's observation, weights
# add the state, so that a look at the wrong step would show.


class _Mixer:
  def apply(self, params, state):
    return LinearWeights(params["weight"] + state, params["bias"])


PARAMS = {
  "policy": jnp.zeros((1, 2, 2)),  # logits
  "q": jnp.array([[[1.0, 9.0], [9.0, 2.0]]]),  # Q(a) = 1 and 2
  "v": jnp.array([[[0.0], [1.0]]]),  # V(o) = 1 and 3
  "mixer": {"weight": jnp.array([[0.0, 1.0]]), "bias": jnp.array([0.5])},  # w = 1, 2
}
TARGET = {
  "q": jnp.array([[[3.0, 9.0], [9.0, 5.0]]]),  # Q-(a) = 3 and 5
  "v": jnp.array([[[1.0], [-1.0]]]),  # V-(o') = 3 and 2
  # w-(s) = 2, 1 and w-(s') = 3, 2
  "mixer": {"weight": jnp.array([[1.0, 0.0]]), "bias": jnp.array([-1.0])},
}


def _known(game, **changes):
  """The learner's parts with tables in them, and one transition."""
  config = omiga.Config(
    alpha=2.0, reward_scale=2.0, discount=0.9, clip_target=False, hidden_size=1
  )
  config = dataclasses.replace(config, **changes)
  parts = omiga.make_parts(config, problems.context(game))
  plain = jax.tree.map(jnp.zeros_like, parts.statistics)
  ones = {"scale": jnp.ones(1)}
  plain = plain._replace(
    obs=plain.obs._replace(**ones), state=plain.state._replace(**ones)
  )
  table = parts.q._replace(apply=lambda table, x: table)
  parts = parts._replace(
    q=table,
    v=parts.v._replace(apply=lambda table, x: table + x),
    mixer=_Mixer(),
    statistics=plain,
    policy=parts.policy._replace(network=table),
  )
  t = Transition(
    obs=jnp.array([[[1.0], [2.0]]]),
    state=jnp.array([[1.0]]),
    legal=jnp.ones((1, 2, 2), bool),
    action=jnp.array([[0, 1]]),
    reward=jnp.array([1.0]),
    discount=jnp.array([0.5]),
    next_obs=jnp.array([[[2.0], [3.0]]]),
    next_state=jnp.array([[2.0]]),
    next_legal=jnp.ones((1, 2, 2), bool),
  )
  return parts, Batch(t, jnp.ones(1), jnp.ones(1, bool), jnp.float32(1))


def _metrics(parts, target, batch):
  losses = jax.jit(functools.partial(omiga.losses, parts))
  return losses(PARAMS, target, batch)[1]


def test_losses_by_hand(game):
  parts, batch = _known(game)
  metrics = _metrics(parts, TARGET, batch)
  # Q = 1 * 1 + 2 * 2 + 0.5 = 5.5; y = 2 * 1 + 0.9 * 0.5 * (3 * 3 + 2 * 2 - 1) = 7.4;
  # reported in the rewards' unit and halved: 1.9^2 / 2 / 2^2
  assert float(metrics["learner/q"]) == pytest.approx(5.5 / 2)
  assert float(metrics["learner/q_target"]) == pytest.approx(7.4 / 2)
  assert float(metrics["learner/bellman_error"]) == pytest.approx(3.61 / 8, rel=1e-5)
  # z = 2 / 2 (3 - 1), 1 / 2 (5 - 3) = 2, 1; w V / alpha = 1, 1.5:
  # (e^2 + 1 + e + 1.5) / 2
  assert float(metrics["learner/v_loss"]) == pytest.approx(6.3036689, rel=1e-5)
  # (e^2 + e) / 2 times log 2
  assert float(metrics["learner/policy_weight"]) == pytest.approx(5.0536690, rel=1e-5)
  assert float(metrics["learner/policy_loss"]) == pytest.approx(3.5029364, rel=1e-5)
  assert float(metrics["learner/bc_loss"]) == pytest.approx(np.log(2))
  assert float(metrics["learner/clipped"]) == 0


def test_every_loss_moves_its_own_networks_alone(game):
  """Slopes of the sum are those of one loss each, by hand."""
  parts, batch = _known(game)
  slopes = jax.jit(jax.grad(lambda p: omiga.losses(parts, p, TARGET, batch)[0]))
  grads = slopes(PARAMS)
  # 2 (5.5 - 7.4) = -3.8, times w for Q, Q for w, 1 for b
  np.testing.assert_allclose(grads["q"][0], [[-3.8, 0.0], [0.0, -7.6]], rtol=1e-5)
  np.testing.assert_allclose(grads["mixer"]["weight"][0], [-3.8, -7.6], rtol=1e-5)
  np.testing.assert_allclose(grads["mixer"]["bias"], [-3.8], rtol=1e-5)
  # w / alpha (1 - e^z) / 2: (1 - e^2) / 2 and (1 - e) / 4
  np.testing.assert_allclose(grads["v"][0, :, 0], [-3.1945280, -0.4295705], rtol=1e-5)
  # -e^z / 2 (one-hot - 1/2): e^2 / 4 and e / 4
  expected = [[-1.8472640, 1.8472640], [0.6795705, -0.6795705]]
  np.testing.assert_allclose(grads["policy"][0], expected, rtol=1e-5)


def test_the_published_loss_of_v_is_divided_by_its_largest_term(game):
  """By e^2 with z = 2, 1: (1 + e^-2 + e^-1 + 1.5 e^-2) / 2."""
  parts, batch = _known(game, shift_value_loss=True)
  metrics = _metrics(parts, TARGET, batch)
  assert float(metrics["learner/v_loss"]) == pytest.approx(0.8531088, rel=1e-5)


@pytest.mark.parametrize(
  ("max_weight", "expected"),
  [(100.0, 100.0), (1e5, 22026.466), (2.0, 2.0)],
  ids=["default", "published", "low"],
)
def test_the_largest_weight(game, max_weight, expected):
  """A z of 97 is clipped to 10; published weights go up to e^10."""
  parts, batch = _known(game, max_weight=max_weight)
  target = TARGET | {"q": jnp.full((1, 2, 2), 200.0)}
  metrics = _metrics(parts, target, batch)
  assert float(metrics["learner/policy_weight"]) == pytest.approx(expected, rel=1e-5)
  assert float(metrics["learner/clipped"]) == 1


def test_targets_are_clipped_to_possible_returns(game):
  parts, batch = _known(game, clip_target=True)
  metrics = _metrics(parts, TARGET, batch)
  assert float(metrics["learner/q_target"]) == pytest.approx(3.0)  # the best return


def _mixed(loaded):
  """A batch whose second half is imagined."""
  real = problems.draw_batch(loaded, 64, jax.random.key(1))
  return real._replace(real=jnp.arange(64) < 32, real_share=jnp.float32(0.5))


def _other_actions(batch, rows):
  t = batch.transition
  action = t.action.at[rows].set(1 - t.action[rows])
  return batch._replace(transition=t._replace(action=action))


def _measure(config, loaded):
  """Metrics of a batch before the first update, compiled once."""
  context = problems.context(loaded)
  parts = omiga.make_parts(config, context)
  state = jax.jit(omiga.make(config, context).init)(jax.random.key(0))
  losses = jax.jit(lambda b: omiga.losses(parts, state.params, state.target, b)[1])
  return lambda b: {k: float(v) for k, v in losses(b).items()}


@pytest.mark.parametrize("on", ["real", "batch"])
def test_policies_imitate_real_rows_and_values_learn_from_all(game, on):
  measure = _measure(dataclasses.replace(SMALL, policy_on=on), game)
  batch = _mixed(game)
  before, after = measure(batch), measure(_other_actions(batch, slice(32, 64)))
  policy = "learner/policy_loss"
  assert (before[policy] == after[policy]) == (on == "real")
  for name in ("learner/bellman_error", "learner/v_loss"):
    assert before[name] != after[name], name


@pytest.mark.parametrize("shift", [False, True])
def test_padding_changes_nothing(game, shift):
  """Rows of weight 0 may hold anything, the largest z among them too."""
  batch = problems.draw_batch(game, 32, jax.random.key(1))
  weight = jnp.where(jnp.arange(32) < 16, 2.0, 0.0)  # mean 1
  batch = batch._replace(weight=weight)
  measure = _measure(dataclasses.replace(SMALL, shift_value_loss=shift), game)
  other = _other_actions(batch, slice(16, 32))
  t = other.transition
  t = t._replace(obs=t.obs.at[16:].multiply(jnp.linspace(-50, 50, 16)[:, None, None]))
  assert measure(batch) == measure(other._replace(transition=t))


def test_weakly_regarded_values_leave_behaviour_cloning(lq):
  """With alpha without bound every weight is 1, and updates are those of cloning."""
  context = problems.context(lq)
  learner = omiga.make(dataclasses.replace(SMALL, alpha=1e9), context)
  cloner = bc.make(bc.Config(hidden_size=32, learning_rate=3e-3), context)
  state = jax.jit(learner.init)(jax.random.key(0))
  clone = jax.jit(cloner.init)(jax.random.key(0))
  policy = jax.tree.map(jnp.copy, state.params["policy"])
  clone = clone._replace(params=policy)
  update, update_clone = jax.jit(learner.update), jax.jit(cloner.update)
  for step in range(5):
    batch = problems.draw_batch(lq, 32, jax.random.key(step))
    state, _ = update(state, batch, jax.random.key(0))
    clone, _ = update_clone(clone, batch, jax.random.key(0))
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5),
    state.params["policy"],
    clone.params,
  )


def test_the_norm_of_gradients_is_passed_on_if_given(game):
  seen = []

  def optimizer(learning_rate, **fields):
    seen.append(fields)
    return optax.adam(learning_rate)

  for clip_norm in (None, 1.0):
    config = dataclasses.replace(SMALL, clip_norm=clip_norm)
    omiga.make(config, problems.context(game, optimizer))
  assert seen == [{}, {"clip_norm": 1.0}]


def test_finds_the_best_joint_action(game):
  """The majority miscoordinates; the best joint action is rarer."""
  assert problems.plays(*_train(SMALL, game, 600)) == (1, 1)


def test_is_not_misled_by_what_the_others_did():
  assert problems.plays(*_train(SMALL, load(toys.confounded_game()), 600)) == (1, 1)


@pytest.mark.parametrize(
  "changes",
  [{}, pytest.param({"window": 4, "recurrent": True}, marks=pytest.mark.slow)],
  ids=["feed-forward", "recurrent"],
)
def test_learns_to_win_the_corridor(changes):
  """From random play to the known best return, 1.6."""
  config = dataclasses.replace(SMALL, **changes)
  learner, state = _train(config, toys.load_corridor(400), 600)
  assert problems.wins_the_corridor(learner, state) == pytest.approx(1.6)


def test_agents_answer_the_data_in_the_linear_quadratic_task(lq):
  """From the data's gain, about 0.5, to the best answer to it, and no further.

  Local values are means over what the others did. While the other one does 0.5 x,
  1.45 x is left to do for the best of 2 x 0.98 together, and both agents learn it.
  """
  config = dataclasses.replace(SMALL, discount=toys.LQ_DISCOUNT)
  cloned, weighted = (
    problems.lq_gains(*_train(dataclasses.replace(config, alpha=alpha), lq, 1_000))
    for alpha in (1e3, 0.1)
  )
  assert ((cloned > 0.45) & (cloned < 0.7)).all()
  assert ((weighted > 1.0) & (weighted < 1.5)).all()


@pytest.mark.parametrize(
  ("changes", "field"),
  [
    ({"alpha": 0.0}, "learner.alpha"),
    ({"max_weight": 0.0}, "learner.max_weight"),
    ({"clip_norm": -1.0}, "learner.clip_norm"),
    ({"recurrent": True}, "learner.window"),
  ],
)
def test_what_cannot_work_is_refused(lq, changes, field):
  with pytest.raises(ValueError, match=field):
    omiga.make(dataclasses.replace(SMALL, **changes), problems.context(lq))
