"""Whole rollouts: their time, their end, and what each step is worth."""

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.imagination.acted import Imagination
from logo_jax.imagination.rollouts import imagine_rollouts
from logo_jax.types import Actor, Prediction, Transition, Uncertainty, WorldModel
from logo_jax.weighting import confidence, halt, penalty, uniform
from tests import toys


def _model(discount: float = 1.0, draws: bool = False) -> WorldModel:
  """Counts: each step leads one further and pays the number that it starts from."""

  def step(params, state, action, key):
    none = jnp.zeros((len(state), 1, 1, 1))
    legal = jnp.ones((len(state), 1, 2), bool)
    after = state + 1
    prediction = Prediction(
      *(after[:, None, None], after[:, None], state, jnp.full(len(state), discount)),
      *(legal, none, none),
    )
    return after, prediction

  def start(params, t, key):
    return t.state[:, 0]

  def draw(params, state, action, key):
    return step(params, state + 1, action, key)  # twice as far

  return WorldModel(  # type: ignore
    *(1, 1, None, None, None, start, step, None), draw=draw if draws else None
  )


def _rollouts(  # noqa: PLR0913  each test has one or two of these
  weighting, horizon=4, time=(0, 0), max_steps=100, discount=1.0, draws=False
):
  """From states 0 and 10; the uncertainty of a step is a tenth of where it starts."""
  uncertainty = Uncertainty(
    min_views=1,
    init=lambda *args: (),
    score=lambda params, t, p: t.state[:, 0],
    accumulate=lambda so_far, score: score,
    calibrate=lambda params, raw: raw / 10,
  )
  state = jnp.array([0.0, 10.0])
  legal = jnp.ones((2, 1, 2), bool)
  starts = Transition(
    *(state[:, None, None], state[:, None], legal, jnp.zeros((2, 1), jnp.int32)),
    *(state, state, state[:, None, None], state[:, None], legal),
    time=jnp.array(time),
  )
  actor = Actor(
    lambda shape: (),
    lambda params, carry, now, key: (carry, jnp.zeros((2, 1), jnp.int32)),
  )
  imagination = Imagination(_model(discount, draws), uncertainty, weighting)
  budget = horizon, max_steps

  @jax.jit
  def run(key):
    return imagine_rollouts(imagination, actor, ((), (), ()), starts, budget, key)

  return run(jax.random.key(0))


UNIFORM = uniform.make(uniform.Config(), None)  # type: ignore


def test_time_goes_on_from_where_a_rollout_starts_and_ends_at_the_limit():
  got = _rollouts(UNIFORM, time=(3, 7), max_steps=9)
  np.testing.assert_array_equal(got.transition.time, [[3, 4, 5, 6], [7, 8, 9, 10]])
  # The second has two steps left; behind its last one nothing is earned.
  np.testing.assert_array_equal(got.weight, [[1, 1, 1, 1], [1, 1, 0, 0]])
  np.testing.assert_array_equal(got.transition.discount[1, :2], [1, 0])
  np.testing.assert_array_equal(got.goes_on, [[1, 1, 1, 0], [1, 0, 0, 0]])
  np.testing.assert_array_equal(got.transition.state[0, :, 0], [0, 1, 2, 3])
  np.testing.assert_array_equal(got.transition.next_state[0, :, 0], [1, 2, 3, 4])
  np.testing.assert_array_equal(got.transition.reward[1, :2], [10, 11])


def test_rollouts_go_on_from_what_is_drawn():
  got = _rollouts(UNIFORM, draws=True)
  np.testing.assert_array_equal(got.transition.state[0, :, 0], [0, 2, 4, 6])
  np.testing.assert_array_equal(got.transition.next_state[0, :, 0], [2, 4, 6, 8])


def test_the_step_that_more_likely_ends_than_not_is_the_last():
  got = _rollouts(UNIFORM, discount=0.4)
  np.testing.assert_array_equal(got.weight, [[1, 0, 0, 0]] * 2)
  np.testing.assert_allclose(got.transition.discount[:, 0], 0.4)  # as expected
  assert not got.goes_on.any()


def test_confidence_weighs_steps_relative_to_a_certain_one():
  """P_u = C - u: e^(-u / temperature), at u = 0, 0.1, ... and 1.0, 1.1, ..."""
  weighting = confidence.make(confidence.Config(temperature=0.5), None)  # type: ignore
  got = _rollouts(weighting)
  u = np.array([[0.0, 0.1, 0.2, 0.3], [1.0, 1.1, 1.2, 1.3]])
  np.testing.assert_allclose(got.uncertainty, u, rtol=1e-6)
  np.testing.assert_allclose(got.weight, np.exp(-u / 0.5), rtol=1e-5)


def test_what_pays_for_uncertainty_pays_in_rollouts_too():
  statistics = toys.load_corridor(20).statistics
  got = _rollouts(penalty.make(penalty.Config(free=1.0), statistics))
  cost = float(statistics.reward.std) * np.array([0.0, 0.1, 0.2, 0.3])
  np.testing.assert_allclose(got.transition.reward[1], np.arange(10, 14) - cost, 1e-5)
  np.testing.assert_allclose(got.transition.reward[0], np.arange(4))


def test_a_halt_is_a_loss_or_bootstraps_before_it():
  statistics = toys.load_corridor(20).statistics
  lost = _rollouts(halt.make(halt.Config(0.15, kappa=5.0), statistics))
  # u is 0.2 at the third step, which is kept, charged and the end.
  np.testing.assert_array_equal(lost.weight[0], [1, 1, 1, 0])
  np.testing.assert_array_equal(lost.transition.discount[0, :3], [1, 1, 0])
  assert lost.transition.reward[0, 2] < -5
  np.testing.assert_array_equal(lost.goes_on[0], [1, 1, 0, 0])
  cut = _rollouts(halt.make(halt.Config(0.15, bootstrap=True), statistics))
  # Now it is left out, and the second step is worth what the value says behind it.
  np.testing.assert_array_equal(cut.weight[0], [1, 1, 0, 0])
  np.testing.assert_array_equal(cut.transition.discount[0, :2], [1, 1])
  np.testing.assert_array_equal(cut.goes_on[0], [1, 0, 0, 0])
  np.testing.assert_array_equal(cut.weight[1], 0)  # not even its first one
