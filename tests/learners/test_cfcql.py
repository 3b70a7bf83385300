"""CFCQL: known optima, the penalty by hand, and the behaviour model."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import load
from logo_jax.learners import cfcql
from logo_jax.learners.parts import conservative
from logo_jax.ops.mixing import MixerWeights
from tests import toys
from tests.learners import problems

SMALL = cfcql.Config(
  hidden_size=32,
  learning_rate=3e-3,
  target_rate=0.05,
  cql_weight=0.5,
  bc_weight=0.1,
  behaviour_warmup=50,
)


def _train(config, loaded, updates):
  learner = cfcql.make(config, problems.context(loaded))
  state, metrics = problems.train(learner, loaded, updates)
  return learner, state, metrics


# Beyond one case of each, those that take longest are left out by default.
SLOW = pytest.mark.slow


@pytest.mark.parametrize("policy", ["greedy", pytest.param("network", marks=SLOW)])
def test_finds_the_best_joint_action(game, policy):
  """The majority miscoordinates; the best joint action is rarer."""
  config = dataclasses.replace(SMALL, policy=policy)
  assert problems.plays(*_train(config, game, 500)[:2]) == (1, 1)


def test_is_not_misled_by_what_the_others_did():
  loaded = load(toys.confounded_game())
  assert problems.plays(*_train(SMALL, loaded, 600)[:2]) == (1, 1)


@pytest.mark.parametrize(
  "changes",
  [
    pytest.param({}, marks=SLOW),
    {"window": 4, "td_lambda": 0.6},
    pytest.param(
      {"policy": "network", "window": 4, "recurrent": True, "td_lambda": 0.6},
      marks=SLOW,
    ),
  ],
  ids=["greedy", "windows", "recurrent"],
)
def test_learns_to_win_the_corridor(changes):
  """From random play to the known best return, 1.6."""
  config = dataclasses.replace(SMALL, **changes)
  learner, state, _ = _train(config, toys.load_corridor(400), 600)
  assert problems.wins_the_corridor(learner, state) == pytest.approx(1.6)


@pytest.mark.parametrize("temperature", [0.0, pytest.param(1.0, marks=SLOW)])
def test_solves_the_linear_quadratic_task(lq, temperature):
  """The data's gain is 0.5; hardly conservative, the policy comes to the best, 0.98."""
  config = dataclasses.replace(
    SMALL,
    cql_weight=0.01,
    bc_weight=0.0,
    discount=toys.LQ_DISCOUNT,
    temperature=temperature,
    behaviour_samples=5,
  )
  gains = problems.lq_gains(*_train(config, lq, 1_500)[:2])
  problems.assert_gains(gains, toys.lq_gain())


class _Discrete:
  """A penalty on two agents with two actions; Q_tot is the sum of the utilities."""

  def __init__(self, game, **changes):
    config = cfcql._resolve(dataclasses.replace(SMALL, **changes), "discrete")
    context = problems.context(game)
    self.parts = conservative.make_parts(config, context)
    self.penalty = cfcql.counterfactual_penalty(self.parts, context)
    self._down = jax.jit(self.penalty.down)
    learned, _ = jax.jit(self.penalty.init)(jax.random.key(0))
    # A uniform beta, and more updates than the warm-up.
    self.learned = jax.tree.map(jnp.zeros_like, learned)
    self.t = problems.draw_batch(game, 1, jax.random.key(0)).transition
    self.encoded = jax.nn.one_hot(jnp.array([[0, 1]]), 2)

  def down(self, utilities, step=1_000, legal=None, learned=None):
    """Of one state and head, from utilities [2, 2]."""
    learned = self.learned if learned is None else learned
    if learned != ():
      learned = learned._replace(step=jnp.int32(step))
    t = self.t if legal is None else self.t._replace(legal=jnp.asarray(legal)[None])
    ones = jnp.ones((1, 1, 2, 1))
    weights = MixerWeights(
      ones, jnp.zeros((1, 1, 1)), ones[..., 0, :], jnp.zeros((1, 1))
    )
    context = jnp.asarray(utilities, jnp.float32)[None, None], weights
    view = conservative.View(t, self.encoded, (), context, t.obs, t.obs)
    down, metrics = self._down(learned, view, jax.random.key(0))
    return down[0, 0], metrics


# Agent 0 did action 0 (utility 1), agent 1 action 1 (utility 2).
UTILITIES = np.array([[1.0, 3.0], [2.5, 2.0]])
# Q(s, (a, a_other)): agent 0 beside 2, agent 1 beside 1.
ALONE = np.array([[3.0, 5.0], [3.5, 3.0]])
LSE = np.log(np.exp(ALONE).sum(-1))


def _kl(q):
  mu, floor = np.exp(q - np.log(np.exp(q).sum(-1, keepdims=True))), 1e-5
  return ((mu + floor) * (np.log(mu + floor) - np.log(0.5 + floor))).sum(-1)


@pytest.mark.parametrize("temperature", [0.5, 100.0])
def test_penalty_by_hand(game, temperature):
  down, metrics = _Discrete(game, temperature=temperature).down(UTILITIES)
  kl = _kl(ALONE)
  share = np.exp(temperature * kl) / np.exp(temperature * kl).sum()
  assert share[0] > share[1]  # agent 0 is the more decided one
  assert float(down) == pytest.approx(float(share @ LSE), rel=1e-5)
  assert float(metrics["learner/behaviour_kl"]) == pytest.approx(kl.mean(), rel=1e-4)
  assert float(metrics["learner/largest_share"]) == pytest.approx(share[0], rel=1e-5)


def test_agents_weigh_the_same_until_the_behaviour_is_known(game):
  penalty = _Discrete(game, behaviour_warmup=10)
  mean = float(LSE.mean())
  assert float(penalty.down(UTILITIES, step=9)[0]) == pytest.approx(mean, rel=1e-5)
  assert float(penalty.down(UTILITIES, step=10)[0]) != pytest.approx(mean, rel=1e-3)
  never = _Discrete(game, temperature=0.0)
  assert float(never.down(UTILITIES)[0]) == pytest.approx(mean, rel=1e-5)


def test_illegal_actions_count_for_nothing(game):
  """Agent 0 may only do what it did: nothing to push down but that, and no choice."""
  legal = [[True, False], [True, True]]
  down, metrics = _Discrete(game, temperature=0.5).down(UTILITIES, legal=legal)
  kl = np.array([0.0, _kl(ALONE)[1]])
  share = np.exp(0.5 * kl) / np.exp(0.5 * kl).sum()
  assert float(down) == pytest.approx(share @ [3.0, LSE[1]], rel=1e-4)
  assert float(metrics["learner/behaviour_kl"]) == pytest.approx(kl.mean(), rel=1e-3)


def test_who_strays_further_weighs_more(game):
  penalty = _Discrete(game, temperature=1.0)
  shares = []
  for gap in (1.0, 2.0, 4.0):  # agent 1 stays as decided as a gap of 0.5 makes it
    utilities = [[1.0, 1.0 + gap], [2.5, 2.0]]
    shares.append(float(penalty.down(utilities)[1]["learner/largest_share"]))
  assert 0.5 < shares[0] < shares[1] < shares[2]


def test_no_gradient_through_the_shares(game):
  penalty = _Discrete(game, temperature=0.5)
  slope = jax.jit(jax.grad(lambda u: penalty.down(u)[0]))
  grads = slope(jnp.asarray(UTILITIES, jnp.float32))
  kl = _kl(ALONE)
  share = np.exp(0.5 * kl) / np.exp(0.5 * kl).sum()
  mu = np.exp(ALONE - LSE[:, None])
  # d LSE_i / d utility: mu for one's own, 1 for the other's recorded one.
  wanted = share[:, None] * mu
  wanted[0, 0] += share[1]
  wanted[1, 1] += share[0]
  np.testing.assert_allclose(grads, wanted, rtol=1e-4)
  params = penalty.learned.params

  def of_beta(params):
    return penalty.down(UTILITIES, learned=penalty.learned._replace(params=params))[0]

  for g in jax.tree.leaves(jax.jit(jax.grad(of_beta))(params)):
    assert (g == 0).all()


@pytest.fixture
def continuous(lq):
  config = cfcql._resolve(dataclasses.replace(SMALL, num_samples=3), "continuous")
  parts = conservative.make_parts(config, problems.context(lq))
  t = problems.draw_batch(lq, 4, jax.random.key(0)).transition
  value = jax.jit(parts.value.init)(jax.random.key(1))
  context, _ = jax.jit(parts.value.contexts)(value, t)
  outputs = jax.random.normal(jax.random.key(2), (2, 4, 2, 1))
  return parts, conservative.View(t, t.action, value, context, *outputs)


def test_continuous_penalty_replaces_one_agent_at_a_time(lq, continuous):
  parts, view = continuous
  draw = jax.jit(functools.partial(cfcql.draw_own, parts))
  own, log_prob = draw(view, jax.random.split(jax.random.key(5))[0])
  assert own.shape == (9, 4, 2, 1)
  np.testing.assert_allclose(log_prob[:3], np.log(0.5), rtol=1e-6)
  # Kinds two and three lie around the policies' actions, with their noise's density.
  for kind, outputs in ((own[3:6], view.outputs), (own[6:], view.next_outputs)):
    assert (jnp.abs(kind - jnp.tanh(outputs)) < 4 * 0.2).all()
  penalty = cfcql.counterfactual_penalty(parts, problems.context(lq))
  down, metrics = jax.jit(penalty.down)((), view, jax.random.key(5))
  assert metrics == {}
  each = []
  for agent in range(2):
    action = jnp.broadcast_to(view.encoded, own.shape)
    action = action.at[:, :, agent].set(own[:, :, agent])
    q = jax.jit(
      jax.vmap(functools.partial(parts.value.joint, view.value, view.context))
    )(action)
    ratio = np.exp(np.asarray(q) - log_prob[:, None, :, agent])
    each.append(np.log(ratio.mean(0)))
  np.testing.assert_allclose(down, np.mean(each, 0), rtol=1e-4, atol=1e-5)


def test_continuous_agent_that_strays_weighs_more(lq, continuous):
  """beta is around 0: agent 0's policy stays there, agent 1's goes to the border."""
  parts, view = continuous
  config = dataclasses.replace(parts.config, temperature=1.0, behaviour_samples=200)
  parts = parts._replace(config=config)
  penalty = cfcql.counterfactual_penalty(parts, problems.context(lq))
  learned, _ = jax.jit(penalty.init)(jax.random.key(0))
  learned = jax.tree.map(jnp.zeros_like, learned)  # decodes 0 for every latent
  learned = learned._replace(step=jnp.int32(1_000))
  outputs = jnp.zeros((4, 2, 1)).at[:, 1].set(10.0)
  view = view._replace(outputs=outputs)
  _, metrics = jax.jit(penalty.down)(learned, view, jax.random.key(1))
  # Peaks of deviation 0.2 and sqrt(0.5 / 4); agent 1 is 1 away: 1 / (2 x 0.125) = 4.
  peaks = 0.5 * np.log(0.125 / 0.04)
  assert float(metrics["learner/behaviour_kl"]) == pytest.approx(peaks + 2, rel=1e-4)
  share = 1 / (1 + np.exp(-4.0))
  assert float(metrics["learner/largest_share"]) == pytest.approx(share, rel=1e-4)


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_without_a_temperature_there_is_no_behaviour_model(game, lq, kind):
  config = dataclasses.replace(SMALL, temperature=0.0)
  loaded = game if kind == "discrete" else lq
  state = jax.jit(cfcql.make(config, problems.context(loaded)).init)(jax.random.key(0))
  assert state.params["penalty"] == state.opt_state["penalty"] == ()
  default = jax.jit(cfcql.make(SMALL, problems.context(loaded)).init)(jax.random.key(0))
  assert (default.params["penalty"] == ()) == (kind == "continuous")


def _changes(learner, state, batch, num=3):
  """Whether value and behaviour move, per update."""
  moved, update = [], jax.jit(learner.update)
  for step in range(num):
    new, _ = update(state, batch, jax.random.key(step))
    each = []
    for pick in (
      lambda s: (s.params["value"], s.opt_state["value"], s.target),
      lambda s: s.params["penalty"].params,
    ):
      pairs = zip(*map(jax.tree.leaves, (pick(state), pick(new))), strict=True)
      each.append(any((x != y).any() for x, y in pairs))
    moved.append(tuple(each))
    state = new
  return moved


def test_behaviour_is_learned_first_and_kept_if_asked(game):
  config = dataclasses.replace(SMALL, behaviour_pretrain=1, behaviour_updates=2)
  learner = cfcql.make(config, problems.context(game))
  batch = problems.draw_batch(game, 16, jax.random.key(1))
  state = jax.jit(learner.init)(jax.random.key(0))
  assert _changes(learner, state, batch) == [(False, True), (True, True), (True, False)]


def test_behaviour_is_learned_from_real_rows_alone(game):
  learner = cfcql.make(SMALL, problems.context(game))
  real = problems.draw_batch(game, 64, jax.random.key(1))
  mixed = real._replace(real=jnp.arange(64) < 32, real_share=jnp.float32(0.5))
  other = mixed.transition.action.at[32:].set(1 - mixed.transition.action[32:])
  changed = mixed._replace(transition=mixed.transition._replace(action=other))
  state, update = jax.jit(learner.init)(jax.random.key(0)), jax.jit(learner.update)
  losses = [
    float(update(state, b, jax.random.key(2))[1]["learner/behaviour_loss"])
    for b in (mixed, changed, real)
  ]
  assert losses[0] == losses[1] != losses[2]


@SLOW  # as `test_behaviour` shows
def test_behaviour_comes_to_the_data_s_frequencies(game):
  learner, state, metrics = _train(SMALL, game, 500)
  entropy = -(0.7 * np.log(0.7) + 0.3 * np.log(0.3))
  late = float(metrics["learner/behaviour_loss"][-100:].mean())
  assert late == pytest.approx(entropy, abs=0.03)


@pytest.mark.parametrize(
  ("changes", "field"),
  [
    ({"policy": "greedy"}, "learner.policy"),
    ({"backup": "greedy"}, "learner.backup"),
    ({"temperature": -1.0}, "learner.temperature"),
    ({"num_samples": 0}, "learner.num_samples"),
    ({"behaviour_samples": 0}, "learner.behaviour_samples"),
    ({"recurrent": True}, "learner.window"),
  ],
)
def test_what_cannot_work_is_refused(lq, changes, field):
  with pytest.raises(ValueError, match=field):
    cfcql.make(dataclasses.replace(SMALL, **changes), problems.context(lq))
