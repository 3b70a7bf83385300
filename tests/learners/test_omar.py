"""OMAR: known optima, what misleads it, and each part of the losses."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import load
from logo_jax.learners import omar
from logo_jax.learners.parts import local
from logo_jax.networks.local_value import LocalValue
from tests import toys
from tests.learners import problems

SMALL = omar.Config(hidden_size=32, learning_rate=3e-3, target_rate=0.05)
WEAK = dataclasses.replace(SMALL, cql_weight=0.1)


def _train(config, loaded, updates):
  learner = omar.make(config, problems.context(loaded))
  state, _ = problems.train(learner, loaded, updates)
  return learner, state


def test_finds_the_best_joint_action_if_each_half_looks_best(game):
  """On average over the other's actions, 1 earns 2 and 0 earns 0.86."""
  assert problems.plays(*_train(WEAK, game, 500)) == (1, 1)


def test_is_misled_by_what_the_others_did():
  """Why joint values exist: (1, 1) earns 4, but the first agent's 1 seems to earn 1.3.

  Its 0 seems to earn 2.7, and the second agent's 1 and 0 earn 3.1 and 0.9: independent
  learners settle for (0, 1), which earns 3.
  """
  assert problems.plays(*_train(WEAK, load(toys.confounded_game()), 500)) == (0, 1)


@pytest.mark.parametrize(
  "changes",
  [
    {},
    pytest.param(
      {"window": 4, "recurrent": True, "td_lambda": 0.6}, marks=pytest.mark.slow
    ),
  ],
  ids=["feed-forward", "recurrent"],
)
def test_learns_to_win_the_corridor(changes):
  """From random play to the known best return, 1.6."""
  config = dataclasses.replace(WEAK, **changes)
  learner, state = _train(config, toys.load_corridor(400), 600)
  assert problems.wins_the_corridor(learner, state) == pytest.approx(1.6)


def _answer_to_the_data() -> float:
  """k of the best a = -k x for one agent while the other plays the data's -0.5 x."""
  g, b, c = toys.LQ_DISCOUNT, toys.LQ_PUSH, toys.LQ_COST
  a, q = 1 - 0.5 * b, 1 + 0.25 * c
  p = q
  for _ in range(100):
    p = q + g * a**2 * p - (g * a * b * p) ** 2 / (c + g * b**2 * p)
  return g * a * b * p / (c + g * b**2 * p)


@pytest.mark.parametrize(
  "search_weight", [0.2, pytest.param(1.0, marks=pytest.mark.slow)]
)
def test_answers_the_data_in_the_linear_quadratic_task(lq, search_weight):
  """Each agent does well by itself: the other is believed to go on as in the data.

  The best for both is 0.98 each; alone, where the other does but 0.5 x, it is 1.3. At a
  weight of 1 the policy sees no gradient and follows the search alone.
  """
  config = dataclasses.replace(
    SMALL,
    learning_rate=1e-3,
    cql_weight=0.01,
    discount=toys.LQ_DISCOUNT,
    search_weight=search_weight,
  )
  gains = problems.lq_gains(*_train(config, lq, 1_500))
  assert _answer_to_the_data() == pytest.approx(1.30, abs=0.01)
  problems.assert_gains(gains, _answer_to_the_data())


def _parts(config, loaded):
  context = problems.context(loaded)
  state = jax.jit(omar.make(config, context).init)(jax.random.key(0))
  return omar.make_parts(config, context), state


def _of(parts, params, target, batch, key=0):
  """The loss and its metrics."""
  losses = jax.jit(functools.partial(omar.losses, parts))
  return losses(params, target, batch, jax.random.key(key))


def _grads(parts, params, target, batch):
  losses = jax.grad(functools.partial(omar.losses, parts), has_aux=True)
  return jax.jit(losses)(params, target, batch, jax.random.key(0))[0]


def _losses(config, loaded, batch):
  parts, state = _parts(config, loaded)
  return _of(parts, state.params, state.target, batch, 5)[1]


def _row(loaded, action, **changes):
  """A batch of one row that goes on, with a reward of 2."""
  batch = problems.draw_batch(loaded, 1, jax.random.key(1))
  fields = {"action": jnp.asarray(action)[None], "reward": jnp.full(1, 2.0)}
  t = batch.transition._replace(discount=jnp.ones(1), **fields, **changes)
  return batch._replace(transition=t)


PLAIN = dataclasses.replace(
  SMALL,
  **{"discount": 0.9, "reward_scale": 1.0, "clip_target": False, "normalise_q": False},
  search_weight=0.5,
)


def _zeros(state):
  return jax.tree.map(jnp.zeros_like, state.params)


def _discrete(config, loaded, q, logits):
  """Networks whose outputs are known: values of the actions by head, and logits."""
  parts, state = _parts(config, loaded)
  params = _zeros(state)
  params["value"]["params"]["advantage"]["bias"] = jnp.array(q)
  params["policy"]["params"]["Dense_2"]["bias"] = jnp.array(logits)
  return parts, params


def test_losses_of_discrete_actions_by_hand(game):
  """Worked out with values (1, 3) and (2, 1) by head and a policy of (1/4, 3/4)."""
  parts, params = _discrete(PLAIN, game, [[1.0, 3.0], [2.0, 1.0]], [0.0, np.log(3)])
  batch = _row(game, [0, 1])
  loss, metrics = _of(parts, params, params, batch)
  # The target policy plays 1 next, of which the lesser value is 1: y = 2 + 0.9.
  bellman = (1.9**2 + 0.1**2 + 0.9**2 + 1.9**2) / 4
  soft = [np.log(np.exp(1) + np.exp(3)), np.log(np.exp(2) + np.exp(1))]
  gap = np.mean(soft) - (1 + 3 + 2 + 1) / 4
  # V = 2.5: advantages -1.5 and 0.5 of what the agents did; the search finds action 1.
  ascent = (-1.5 * np.log(0.25 + 1e-5) + 0.5 * np.log(0.75)) / 2
  expected = 2 * (bellman + 5.0 * gap) - 0.5 * ascent + 0.5 * 0.25**2
  assert float(loss) == pytest.approx(expected, rel=1e-5)
  assert float(metrics["learner/bellman_error"]) == pytest.approx(bellman / 2, rel=1e-5)
  assert float(metrics["learner/cql_gap"]) == pytest.approx(gap, rel=1e-5)
  assert float(metrics["learner/policy_q"]) == pytest.approx(2.5, rel=1e-5)
  assert float(metrics["learner/search_gain"]) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize(
  ("lse_on", "expected"), [("legal", 1.0), ("all", np.log(np.exp(1) + np.exp(3)))]
)
def test_illegal_actions_count_in_the_published_soft_maximum(game, lse_on, expected):
  """Never in what the search finds: the best legal action is worth 1, not 3."""
  config = dataclasses.replace(PLAIN, lse_on=lse_on, num_heads=1)
  parts, params = _discrete(config, game, [[1.0, 3.0]], [0.0, 0.0])
  legal = jnp.array([[[True, False]] * 2])
  batch = _row(game, [0, 0], legal=legal, next_legal=legal)
  _, metrics = _of(parts, params, params, batch)
  assert float(metrics["learner/cql_gap"]) == pytest.approx(expected - 1.0, abs=1e-5)
  assert float(metrics["learner/search_gain"]) == pytest.approx(0.0, abs=1e-6)
  assert float(metrics["learner/search_distance"]) == pytest.approx(0.0, abs=1e-6)
  assert float(metrics["learner/q_target"]) == pytest.approx(2.9, abs=1e-5)


def test_targets_take_legal_next_actions_from_the_target(game):
  """It prefers 1, which is legal now but not next; the least target of 0 is 4."""
  parts, params = _discrete(PLAIN, game, [[1.0, 3.0], [2.0, 1.0]], [0.0, -9.0])
  _, target = _discrete(PLAIN, game, [[4.0, 8.0], [6.0, 7.0]], [0.0, 9.0])
  first = jnp.array([[[True, False]] * 2])
  batch = _row(game, [1, 1], legal=~first, next_legal=first)
  _, metrics = _of(parts, params, target, batch)
  assert float(metrics["learner/q_target"]) == pytest.approx(2 + 0.9 * 4, rel=1e-5)


@pytest.mark.parametrize(("q", "moves"), [([1.0, 3.0], True), ([3.0, 1.0], False)])
def test_a_policy_that_was_sure_too_early_can_still_change(game, q, moves):
  """It never plays 1; a recorded 1 moves it if that is better, and not if worse."""
  config = dataclasses.replace(PLAIN, search_weight=0.0)
  parts, params = _discrete(config, game, [q, q], [20.0, -20.0])
  batch = _row(game, [1, 1])
  grads = _grads(parts, params, params, batch)
  grad = grads["policy"]["params"]["Dense_2"]["bias"]
  expected = [2.0, -2.0] if moves else [0.0, 0.0]
  np.testing.assert_allclose(grad, expected, atol=1e-5)


def _continuous(config, loaded, q, action):
  """Constant values by head, and a policy that always does the same."""
  parts, state = _parts(config, loaded)
  params = _zeros(state)
  params["value"]["rest"]["params"]["Dense_1"]["bias"] = jnp.array(q)[:, None]
  params["policy"]["params"]["Dense_2"]["bias"] = jnp.arctanh(jnp.array(action))
  return parts, params


@pytest.mark.parametrize("push_down", ["log_density", "density"])
def test_losses_of_continuous_actions_by_hand(lq, push_down):
  """Values 2 and 1 by head; uniform samples have density 1/2, the others here 0.4."""
  config = dataclasses.replace(PLAIN, push_down=push_down)
  parts, params = _continuous(config, lq, [2.0, 1.0], [0.5])

  def sample(outputs, legal, key):
    del legal, key
    return jnp.tanh(outputs), jnp.full(outputs.shape[:-1], jnp.log(0.4))

  head = parts.policy.head._replace(sample=sample)
  parts = parts._replace(policy=parts.policy._replace(head=head))
  batch = _row(lq, [[0.3], [-0.3]])
  loss, metrics = _of(parts, params, params, batch)
  bellman = (0.9**2 + 1.9**2) / 2  # y = 2 + 0.9 x 1
  # CQL divides by the density; the published code by exp(density).
  factor = {"log_density": 1 / 0.4, "density": np.exp(-0.4)}[push_down]
  gap = np.log((2 + 2 * factor) / 3)
  policy = -0.5 * 2.0 + 1e-3 * 0.25  # nothing is better than the policy: no distance
  assert float(metrics["learner/cql_gap"]) == pytest.approx(gap, rel=1e-4)
  assert float(loss) == pytest.approx(2 * (bellman + gap) + policy, rel=1e-4)
  # Divided by mean |Q|, the policy's own term no longer depends on rewards' unit.
  normalised = parts._replace(
    config=dataclasses.replace(parts.config, normalise_q=True)
  )
  other, _ = _of(normalised, params, params, batch)
  assert float(other - loss) == pytest.approx(0.5 * (2.0 - 1.0), rel=1e-4)


BEST = np.array([0.6, -0.3, 0.2, 0.9], np.float32)


@pytest.mark.parametrize("update", ["elites", "softmax"])
def test_the_search_improves_on_the_policy(lq, update):
  """Q = -sum_d |a_d - best_d| in four dimensions, as a perceptron."""
  spec = dataclasses.replace(lq.spec, action_dim=4)
  config = dataclasses.replace(PLAIN, search_update=update, search_iterations=3)
  parts, state = _parts(config, dataclasses.replace(lq, spec=spec))
  assert isinstance(parts.value, LocalValue)
  value = _zeros(state)["value"]
  eye = np.eye(4, 32)
  value["action"]["params"]["kernel"] += eye - np.roll(eye, 4, 1)
  value["obs"]["params"]["bias"] += np.concatenate([-BEST, BEST, np.zeros(24)])
  value["rest"]["params"]["Dense_0"]["kernel"] += np.eye(32)
  value["rest"]["params"]["Dense_1"]["kernel"] -= 1.0
  obs = jnp.linspace(-1, 1, 20).reshape(10, 2, 1)
  context = parts.value.context(value, obs)
  distances = []
  for start in (0.0, BEST):
    pi = jnp.broadcast_to(jnp.asarray(start), (10, 2, 4))
    q = parts.value.values(value, context, pi)[0]
    np.testing.assert_allclose(q, -np.abs(pi - BEST).sum(-1), atol=1e-5)
    found, gain = local.search(parts, value, context, (pi, q), jax.random.key(3))
    assert (np.abs(found) <= 1).all() and (gain >= 0).all()
    found_q = parts.value.values(value, context, found)[0]
    np.testing.assert_allclose(found_q - q, gain, atol=1e-5)
    distances.append(float(-found_q.mean()))
  # From 0 (distance 2.0) the search comes closer; the best itself is left alone.
  assert distances[0] < 1.5 and distances[1] < 1e-5


def test_neither_loss_moves_the_others_networks(lq):
  """Weights of the one leave gradients of the other as they are."""
  batch = problems.draw_batch(lq, 16, jax.random.key(1))
  changes = ({}, {"search_weight": 0.9}, {"cql_weight": 9.0})
  grads = []
  for change in changes:
    parts, state = _parts(dataclasses.replace(PLAIN, **change), lq)
    grads.append(_grads(parts, state.params, state.target, batch))
  for name, other in (("value", 1), ("policy", 2)):
    jax.tree.map(np.testing.assert_array_equal, grads[0][name], grads[other][name])
    rest = ({"value", "policy"} - {name}).pop()
    pairs = zip(*(jax.tree.leaves(grads[i][rest]) for i in (0, other)), strict=True)
    assert any((x != y).any() for x, y in pairs)


def test_imagined_rows_enter_the_bellman_error_alone(game):
  real = problems.draw_batch(game, 64, jax.random.key(1))
  mixed = real._replace(real=jnp.arange(64) < 32, real_share=jnp.float32(0.5))
  other = mixed.transition.action.at[32:].set(1 - mixed.transition.action[32:])
  changed = mixed._replace(transition=mixed.transition._replace(action=other))
  before, after = (_losses(SMALL, game, b) for b in (mixed, changed))
  for name, same in (("cql_gap", True), ("search_distance", True), ("q", False)):
    values = [float(m[f"learner/{name}"]) for m in (before, after)]
    assert (values[0] == values[1]) == same, name


def test_padding_changes_nothing(game):
  batch = problems.draw_batch(game, 32, jax.random.key(1))
  padded = batch._replace(weight=jnp.where(jnp.arange(32) < 16, 2.0, 0.0))
  garbage = jax.tree.map(lambda x: x.at[16:].set(x[0]), batch.transition)
  before, after = (
    _losses(SMALL, game, b) for b in (padded, padded._replace(transition=garbage))
  )
  assert all(float(before[k]) == float(after[k]) for k in before)


@pytest.mark.parametrize(
  ("changes", "field"),
  [
    ({"lse_on": "all"}, "learner.lse_on"),
    ({"recurrent": True}, "learner.window"),
    ({"td_lambda": 0.5}, "learner.window"),
    ({"search_weight": 1.5}, "learner.search_weight"),
    ({"search_elites": 30}, "learner.search_elites"),
    ({"search_elites": 1}, "learner.search_elites: must be at least 2"),
    ({"search_samples": 0}, "learner.search_samples: must be at least 1"),
  ],
)
def test_what_cannot_work_is_refused(lq, changes, field):
  with pytest.raises(ValueError, match=field):
    omar.make(dataclasses.replace(SMALL, **changes), problems.context(lq))


def test_a_soft_search_needs_no_elites(lq):
  few = dataclasses.replace(SMALL, search_update="softmax", search_samples=3)
  omar.make(few, problems.context(lq))


def test_densities_are_of_continuous_actions_only(game):
  config = dataclasses.replace(SMALL, push_down="density")
  with pytest.raises(ValueError, match="learner.push_down"):
    omar.make(config, problems.context(game))
