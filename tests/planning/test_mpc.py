"""Plans: what a rollout scores, what is tried, and what is chosen."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.imagination.acted import Imagination
from logo_jax.planning import mpc
from logo_jax.planning.mpc import Earned, Plan
from logo_jax.types import (
  Actor,
  Critic,
  Learner,
  Observed,
  Prediction,
  Uncertainty,
  WorldModel,
)
from logo_jax.weighting import halt, penalty, uniform
from tests import toys

ALONE = mpc.Config(terminal_value=False)


def test_a_rollout_scores_rewards_and_value_by_predicted_discounts():
  """gamma = 1/2; three rollouts of three steps, at the end of which 10 is to come."""
  reward = jnp.array([[1.0, 2.0, 4.0]] * 3).T
  discount = jnp.array([[1.0, 0.8, 1.0], [1.0, 0.4, 1.0], [1.0, 1.0, 1.0]]).T
  valid = jnp.array([[True] * 3, [True, True, False], [True, False, False]]).T
  got = mpc.score(Earned(reward, discount, valid), jnp.full(3, 10.0), 0.5)
  # 1 + 2/2 + 0.8 (4/4 + 10/8); it more likely ends at the second step, which counts;
  # the second step is left out, and nothing is known of what follows.
  np.testing.assert_allclose(got, [1 + 1 + 0.8 * 2.25, 1 + 1, 1], rtol=1e-6)


def test_an_end_at_the_last_step_leaves_nothing_to_the_value():
  steps = Earned(jnp.ones((2, 1)), jnp.array([[1.0], [0.0]]), jnp.ones((2, 1), bool))
  np.testing.assert_allclose(mpc.score(steps, jnp.full(1, 9.0), 1.0), [2.0])


def test_the_best_candidate_of_every_row_is_chosen():
  scores = jnp.array([[1.0, 5.0], [3.0, 5.0], [2.0, 0.0]])
  discrete = Plan(jnp.arange(12).reshape(3, 2, 2), scores)
  np.testing.assert_array_equal(
    discrete.best(), [[4, 5], [2, 3]]
  )  # the first of equals
  continuous = Plan(jnp.arange(24.0).reshape(3, 2, 2, 2), scores)
  np.testing.assert_array_equal(continuous.best()[0], [[8, 9], [10, 11]])
  metrics = discrete.metrics()
  assert float(metrics["plan/score"]) == 4.0
  assert float(metrics["plan/gain"]) == 1.0  # (3 - 1 and 5 - 5) / 2
  assert float(metrics["plan/share_changed"]) == 0.5


def test_elites_are_the_best_of_every_row():
  scores = jnp.array([[1.0, 5.0], [3.0, 4.0], [2.0, 0.0]])
  best = Plan(jnp.arange(12).reshape(3, 2, 2), scores).elites(2)
  np.testing.assert_array_equal(best.scores, [[3, 5], [2, 4]])
  np.testing.assert_array_equal(best.candidates, [[[4, 5], [2, 3]], [[8, 9], [6, 7]]])


def test_each_agent_does_what_some_elite_does():
  """Of (0, 2) and (1, 3) all four mixtures are drawn, a quarter each, nothing else."""
  elites = jnp.array([[[0, 2]], [[1, 3]]])
  drawn = mpc.like(elites, 4_096, jax.random.key(0))[:, 0]
  kinds, counts = np.unique(drawn, axis=0, return_counts=True)
  np.testing.assert_array_equal(kinds, [[0, 2], [0, 3], [1, 2], [1, 3]])
  np.testing.assert_allclose(counts / 4_096, 0.25, atol=0.021)  # 3 deviations


def test_continuous_draws_have_the_moments_of_the_elites():
  """0 and 0.2: mean 0.1, deviation sqrt(0.02); 0.9 and 1.1 are cut at 1."""
  elites = jnp.array([[[0.0, 0.9]], [[0.2, 1.1]]])[..., None]
  drawn = mpc.like(elites, 4_096, jax.random.key(0))[:, 0, :, 0]
  np.testing.assert_allclose(drawn[:, 0].mean(), 0.1, atol=0.007)
  np.testing.assert_allclose(drawn[:, 0].std(), np.sqrt(0.02), atol=0.005)
  assert drawn[:, 1].max() == 1.0


def _actor() -> Actor:
  """Likeliest is the last legal action; samples are uniform over the legal ones."""

  def act(params, carry, now, key, greedy=False):
    if greedy:
      last = now.legal.shape[-1] - 1 - jnp.argmax(now.legal[..., ::-1], -1)
      return carry, last.astype(jnp.int32)
    action = jax.random.categorical(key, jnp.where(now.legal, 0.0, -1e9))
    return carry, action.astype(jnp.int32)

  return Actor(lambda shape: (), act)


def _seen(num: int = 64) -> Observed:
  legal = jnp.array([[True, True, False], [False, True, True]])
  return Observed(
    jnp.ones((num, 2, 1)),
    jnp.ones((num, 1)),
    jnp.broadcast_to(legal, (num, 2, 3)),
  )


def test_candidates_are_legal_and_begin_with_the_likeliest():
  config = mpc.Config(num_candidates=4)
  tried = mpc.propose(_actor(), (), _seen(), config, jax.random.key(0))
  assert tried.shape == (4, 64, 2) and tried.dtype == jnp.int32
  np.testing.assert_array_equal(tried[0], [[1, 2]] * 64)
  assert set(np.unique(tried[1:, :, 0])) == {0, 1}
  assert set(np.unique(tried[1:, :, 1])) == {1, 2}
  assert (tried[1] != tried[2]).any()
  config = mpc.Config(num_candidates=3, likeliest=False)
  tried = mpc.propose(_actor(), (), _seen(), config, jax.random.key(0))
  assert len(tried) == 3 and set(np.unique(tried[0, :, 0])) == {0, 1}


def _fork(pays: float = 0.0) -> WorldModel:
  """An action once pays what it is; both agents at 1 lead to 5 a step for ever.

  Whatever else is done leads nowhere. All of it has an uncertainty of its number of
  steps.
  """

  def step(params, latent, action, key):
    count, good = latent
    good = jnp.where(count == 0, (action == 1).all(-1), good)
    first = action.sum(-1) * 1.0
    reward = jnp.where(count == 0, first, jnp.where(good, 5.0, 0.0)) + pays
    none = jnp.zeros((len(good), 1, 1, 1))
    seen = _seen(len(good))
    return (count + 1, good), Prediction(
      *(seen.obs, seen.state, reward, jnp.ones_like(reward), seen.legal, none, none)
    )

  def start(params, t, key):
    return jnp.int32(0), jnp.zeros(len(t.reward), bool)

  return WorldModel(1, 1, None, None, None, start, step, None)  # type: ignore


def _learner(critic=None, actor=None) -> Learner:
  return Learner(None, None, actor or _actor(), critic=critic)  # type: ignore


def _imagination(weighting=None) -> Imagination:
  uncertainty = Uncertainty(
    min_views=1,
    init=lambda *args: (),
    score=lambda params, t, p: t.action.sum(-1) * 1.0,
    accumulate=lambda so_far, score: score,
    calibrate=lambda params, raw: raw,
  )
  weighting = weighting or uniform.make(uniform.Config(), None)  # type: ignore
  return Imagination(_fork(), uncertainty, weighting)


def _plan(config=ALONE, weighting=None, critic=None):
  learner = _learner(critic)

  def plan(key):
    return mpc.make_plan(
      *(config, _imagination(weighting), learner, ((), (), ()), _seen(), key)
    )

  return jax.jit(plan)(jax.random.key(1))


def test_what_pays_later_is_found_in_the_model():
  """Now (1, 2) pays 3 and (1, 1) pays 2; after it every step pays 5."""
  got = _plan(dataclasses.replace(ALONE, num_candidates=9, horizon=3))
  total = np.asarray(got.candidates.sum(-1))
  good = (np.asarray(got.candidates) == 1).all(-1)
  np.testing.assert_allclose(got.scores, total + 10.0 * good)
  assert good[0].sum() == 0 and good.any(0).sum() > 50
  np.testing.assert_array_equal(got.best()[good.any(0)], 1)
  # One step ahead nobody knows.
  short = _plan(dataclasses.replace(ALONE, num_candidates=9, horizon=1))
  np.testing.assert_array_equal(short.best(), [[1, 2]] * 64)


def test_more_rounds_find_what_few_samples_miss():
  """Few rows meet (1, 1) by chance; its halves, which elites have, come together."""
  few = dataclasses.replace(ALONE, num_candidates=4, num_elites=4, horizon=3)
  one, four = _plan(few), _plan(dataclasses.replace(few, rounds=4))
  assert len(four.candidates) == 4 + 4
  for x, y in zip(one, four, strict=True):
    np.testing.assert_array_equal(x, y[:4])  # the first round is the same
  scores = np.asarray(four.scores)
  assert (scores[4] >= scores[:4].max(0)).all()
  found = [(plan.best() == 1).all(-1).mean() for plan in (one, four)]
  assert found[1] > found[0] + 0.05


def test_the_value_at_the_end_is_of_the_policies_own_action():
  """gamma = 1/2: at the end of one step they do (1, 2), worth 12 = 10 * 1 + 2."""
  critic = Critic(lambda params, now, action: 10.0 * action[:, 0] + action[:, 1], 0.5)
  got = _plan(mpc.Config(horizon=1), critic=critic)
  np.testing.assert_allclose(got.scores, got.candidates.sum(-1) + 12 / 2)
  two = _plan(mpc.Config(horizon=2), critic=critic)
  good = (np.asarray(two.candidates) == 1).all(-1)
  np.testing.assert_allclose(two.scores, two.candidates.sum(-1) + 2.5 * good + 12 / 4)


def test_uncertainty_costs_what_the_weighting_says():
  statistics = toys.load_corridor(20).statistics
  charged = penalty.make(penalty.Config(coefficient=2.0, free=0.0), statistics)
  config = dataclasses.replace(ALONE, horizon=1)
  got = _plan(config, charged)
  total = np.asarray(got.candidates.sum(-1))
  cost = 2 * float(statistics.reward.std)
  np.testing.assert_allclose(got.scores, (1 - cost) * total, rtol=1e-5)
  # Halted at sums above 1.5, of which all but (0, 1) are: nothing is left but that.
  halted = halt.make(halt.Config(1.5, bootstrap=True), statistics)
  got = _plan(config, halted)
  np.testing.assert_allclose(got.scores, np.where(total == 1, 1.0, 0.0))


def test_the_actor_plays_the_plan_and_says_that_it_is_centralised():
  config = dataclasses.replace(ALONE, num_candidates=9, horizon=3)
  planner = mpc.make(config, _imagination(), _learner())
  params, key = ((), (), ()), jax.random.key(1)
  carry = planner.actor.initial_carry((64,))
  act = jax.jit(planner.actor.act, static_argnames="greedy")
  after, action = act(params, carry, _seen(), key, greedy=True)
  np.testing.assert_array_equal(action, _plan(config).best())
  assert planner.actor.centralised and after == carry


@pytest.mark.parametrize(
  ("config", "learner", "message"),
  [
    (mpc.Config(num_candidates=1), _learner(), "num_candidates: must be at least 2"),
    (mpc.Config(rounds=0), _learner(), "planner.rounds: must be at least 1, got 0"),
    (mpc.Config(num_elites=4), _learner(), "num_elites: must be at most num_cand"),
    (mpc.Config(horizon=0), _learner(), "planner.horizon: must be at least 1, got 0"),
    (mpc.Config(), _learner(), "planner.terminal_value: must be False with a learner"),
    (
      ALONE,
      _learner(actor=Actor(lambda shape: jnp.zeros(shape), _actor().act)),
      "learner.recurrent: must be False with planner.name='mpc'",
    ),
  ],
)
def test_what_cannot_work_is_refused(config, learner, message):
  with pytest.raises(ValueError, match=message):
    mpc.make(config, _imagination(), learner)
  wide = _imagination()
  wide = wide._replace(model=wide.model._replace(window=3))
  with pytest.raises(ValueError, match="the model reads windows of 3"):
    mpc.make(ALONE, wide, _learner())
