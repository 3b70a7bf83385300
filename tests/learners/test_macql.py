"""MACQL: known optima, and each part of the losses."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import load
from logo_jax.learners import bc, macql
from logo_jax.learners.parts import conservative
from logo_jax.types import Observed
from tests import toys
from tests.learners import problems

SMALL = macql.Config(
  hidden_size=32, learning_rate=3e-3, target_rate=0.05, num_samples=16
)
WEAK = dataclasses.replace(SMALL, cql_weight=0.5, bc_weight=0.1)


def _train(config, loaded, updates):
  learner = macql.make(config, problems.context(loaded))
  state, _ = problems.train(learner, loaded, updates)
  return learner, state


def test_finds_the_best_joint_action(game):
  """The majority miscoordinates; the best joint action is rarer. At default weights."""
  assert problems.plays(*_train(SMALL, game, 600)) == (1, 1)


def test_is_not_misled_by_what_the_others_did():
  assert problems.plays(*_train(WEAK, load(toys.confounded_game()), 500)) == (1, 1)


def test_tells_actions_apart_in_recordings_cut_short():
  """Their returns are 75 at most, the values of what goes on up to 150.

  Beside such values those of actions differ little: Eq. 12 as printed, not divided by
  the mean value, leaves more of the difference.
  """
  config = dataclasses.replace(
    SMALL, discount=0.98, target_rate=0.2, cql_weight=0.1, normalise_q=False
  )
  loaded = load(toys.cut_short())
  learner = macql.make(config, problems.context(loaded))
  state, metrics = problems.train(learner, loaded, 800)
  seen = jnp.ones((2, 1)), jnp.ones((2, 3), bool)
  assert problems.greedy(learner, state, *seen).tolist() == [2, 2]
  late = {k: np.asarray(v)[-100:].mean() for k, v in metrics.items()}
  assert late["learner/targets_clipped"] < 0.05
  assert late["learner/q"] > 80
  assert abs(late["learner/q_is_behaviour"]) < 0.8  # they played at random


@pytest.mark.parametrize(
  "changes",
  [
    {},
    pytest.param(
      {"window": 4, "recurrent": True, "td_lambda": 0.6}, marks=pytest.mark.slow
    ),
    pytest.param(
      {"policy": "greedy", "backup": "greedy", "window": 4, "td_lambda": 0.6},
      marks=pytest.mark.slow,
    ),
  ],
  ids=["feed-forward", "recurrent", "greedy"],
)
def test_learns_to_win_the_corridor(changes):
  """From random play to the known best return, 1.6."""
  config = dataclasses.replace(WEAK, **changes)
  learner, state = _train(config, toys.load_corridor(400), 700)
  assert problems.wins_the_corridor(learner, state) == pytest.approx(1.6)


def _lq_gains(lq, others):
  config = dataclasses.replace(
    SMALL, cql_weight=0.01, bc_weight=0.0, discount=toys.LQ_DISCOUNT, ascend_with=others
  )
  return problems.lq_gains(*_train(config, lq, 1_500))


def test_solves_the_linear_quadratic_task(lq):
  """The data's gain is 0.5; hardly conservative, the policy comes to the best, 0.98."""
  problems.assert_gains(_lq_gains(lq, "policy"), toys.lq_gain())


@pytest.mark.slow
def test_an_agent_that_answers_the_data_does_too_much(lq):
  """Where the other does half of its share, the best answer is to do more than one's.

  Both together then want 2 x 0.98; if the other does 0.5 x, 1.45 x is left.
  """
  gains = _lq_gains(lq, "data")
  assert ((gains > 1.15) & (gains < 1.5)).all()


def _losses(config, loaded, batch):
  context = problems.context(loaded)
  parts = conservative.make_parts(config, context)
  penalty = macql.joint_penalty(parts)
  state = jax.jit(conservative.make(parts, context, penalty).init)(jax.random.key(0))
  trained = {k: v for k, v in state.params.items() if k != "penalty"}
  held = (state.target, ())
  losses = jax.jit(functools.partial(conservative.losses, parts, penalty))
  return losses(trained, held, batch, jax.random.key(5))[1]


def test_target_stops_at_termination_and_at_the_range(game):
  batch = problems.draw_batch(game, 256, jax.random.key(1))
  metrics = _losses(SMALL, game, batch)
  # Every transition terminates: the target is the mean reward, whatever Q says.
  expected = float(batch.transition.reward.mean())
  assert float(metrics["learner/q_target"]) == pytest.approx(expected, rel=1e-5)
  endless = batch._replace(
    transition=batch.transition._replace(
      discount=jnp.ones(256), reward=jnp.full(256, 100.0)
    )
  )
  metrics = _losses(SMALL, game, endless)
  assert float(metrics["learner/q_target"]) == pytest.approx(3.0)  # the best return


def test_the_critic_is_the_least_head_in_the_environments_units(game):
  config = dataclasses.replace(SMALL, reward_scale=7.0)
  t = problems.draw_batch(game, 64, jax.random.key(1)).transition
  learner = macql.make(config, problems.context(game))
  value = conservative.make_parts(config, problems.context(game)).value
  critic = learner.critic
  assert critic is not None and critic.discount == 0.99

  @jax.jit
  def both(t):
    params = jax.jit(value.init)(jax.random.key(0))
    heads = value.joint(
      params, value.contexts(params, t)[0], jax.nn.one_hot(t.action, 2)
    )
    return critic.value(
      {"value": params}, Observed(t.obs, t.state, t.legal), t.action
    ), heads

  said, heads = both(t)
  assert (heads.min(0) < heads.max(0)).all()
  np.testing.assert_allclose(said, heads.min(0) / 7, rtol=1e-5)
  assert learner.advice_weight == 1.0
  greedy = dataclasses.replace(SMALL, policy="greedy", backup="greedy")
  assert macql.make(greedy, problems.context(game)).advice_weight is None


@pytest.mark.parametrize("on", ["real", "batch"])
def test_imagined_rows_and_the_conservative_term(game, on):
  """With push_down_on = push_up_on = real, imagined rows do not enter the gap."""
  config = dataclasses.replace(SMALL, push_down_on=on, push_up_on=on)
  real = problems.draw_batch(game, 64, jax.random.key(1))
  mixed = real._replace(real=jnp.arange(64) < 32, real_share=jnp.float32(0.5))
  other = mixed.transition.action.at[32:].set(1 - mixed.transition.action[32:])
  changed = mixed._replace(transition=mixed.transition._replace(action=other))
  gaps = [float(_losses(config, game, b)["learner/cql_gap"]) for b in (mixed, changed)]
  assert (gaps[0] == gaps[1]) == (on == "real")


def test_padding_changes_nothing(game):
  batch = problems.draw_batch(game, 32, jax.random.key(1))
  weight = jnp.where(jnp.arange(32) < 16, 2.0, 0.0)  # half padding, mean 1
  padded = batch._replace(weight=weight)
  garbage = jax.tree.map(lambda x: x.at[16:].set(x[0]), batch.transition)
  again = padded._replace(transition=garbage)
  cloner = bc.make(bc.Config(hidden_size=8), problems.context(game))
  s, update = jax.jit(cloner.init)(jax.random.key(0)), jax.jit(cloner.update)
  losses = [
    float(update(s, b, jax.random.key(2))[1]["learner/bc_loss"])
    for b in (padded, again)
  ]
  assert losses[0] == losses[1]
  before, after = (_losses(SMALL, game, b) for b in (padded, again))
  for name in ("bellman_error", "policy_q", "bc_loss", "cql_gap"):
    assert before[f"learner/{name}"] == after[f"learner/{name}"], name


def test_illegal_samples_count_as_zero_in_the_published_form():
  """One of each agent's three actions is illegal at a corner: 4 of 9 samples count."""
  loaded = toys.load_corridor(50)
  config = dataclasses.replace(
    SMALL,
    **{"push_down": "uniform_zeroed", "policy": "greedy", "backup": "greedy"},
    num_samples=4_000,
    cql_weight=1.0,
  )
  parts = conservative.make_parts(config, problems.context(loaded))
  penalty = macql.joint_penalty(parts)
  batch = problems.draw_batch(loaded, 1, jax.random.key(0))
  t = batch.transition
  t = t._replace(legal=jnp.array([[[False, True, True]] * 2]))
  value = jax.jit(parts.value.init)(jax.random.key(1))
  context, _ = jax.jit(parts.value.contexts)(value, t)
  utilities, weights = context
  constant = (jnp.zeros_like(utilities), jax.tree.map(jnp.zeros_like, weights))
  constant = (constant[0], constant[1]._replace(b2=jnp.full((2, 1), 2.0)))  # Q = 2
  view = conservative.View(t, jnp.zeros((1, 2, 3)), value, constant, t.obs, t.obs)
  down, _ = jax.jit(penalty.down)((), view, jax.random.key(2))
  # log(4000 (4/9 e^2 + 5/9)), up to the number of samples that happen to be legal.
  expected = np.log(4_000 * (4 / 9 * np.exp(2) + 5 / 9))
  np.testing.assert_allclose(down, expected, atol=0.05)


@pytest.mark.parametrize(
  ("changes", "field"),
  [
    ({"policy": "greedy"}, "learner.policy"),
    ({"backup": "greedy"}, "learner.backup"),
    ({"push_down": "uniform_zeroed"}, "learner.push_down"),
    ({"recurrent": True}, "learner.window"),
    ({"td_lambda": 0.5}, "learner.window"),
    ({"cql_weight": -1.0}, "learner.cql_weight"),
  ],
)
def test_what_cannot_work_is_refused(lq, changes, field):
  with pytest.raises(ValueError, match=field):
    macql.make(dataclasses.replace(SMALL, **changes), problems.context(lq))
