"""Who is shown what: components that say what they were given.

The probe of a model predicts numbers that tell the step, the probe of a learner acts on
the mask it sees and records its batches.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs.config import EvaluationConfig, FitConfig
from logo_jax.data.dataset import transitions
from logo_jax.imagination.acted import Imagination
from logo_jax.imagination.rows import imagine_rows
from logo_jax.training import parallel
from logo_jax.training.compose import System
from logo_jax.training.fit_model import make_fit
from logo_jax.training.session import Evaluator
from logo_jax.training.step import make_train
from logo_jax.types import (
  Actor,
  Batch,
  Dataset,
  Environment,
  EnvSpec,
  HostEnvironment,
  Learner,
  Prediction,
  Rows,
  TimeStep,
  Transition,
  Uncertainty,
  Weighting,
  WorldModel,
)
from tests.training import systems

ROWS = 40  # each is a transition's start; its number is its state
PARAMS = (jnp.float32(100.0), jnp.float32(10.0), ())  # model, uncertainty, learner


def _data() -> Dataset:
  """Tables that share no row, so that it shows which of them is drawn from."""
  number = jnp.arange(ROWS + 1, dtype=jnp.float32)
  legal = jnp.zeros((ROWS + 1, 1, 3), bool).at[..., 2].set(True)
  action = jnp.full((ROWS + 1, 1), 2)
  column = number[:, None]
  rows = Rows(column[..., None], column, legal, action, number, jnp.ones(ROWS + 1))
  return Dataset(rows, *jnp.split(jnp.arange(ROWS), 4))


def _model() -> WorldModel:
  """Step k leads to 100 (k + 1) beyond the start, where action k mod 3 alone is legal.

  The reward is the state's number. The fourth step more likely ends the episode than
  not; none does for certain.
  """

  def start(params, t, key):
    return t.state[:, 0], jnp.float32(0.0)

  def step(params, latent, action, key):
    first, count = latent
    state = (first + params * (count + 1))[:, None]
    one = jnp.ones_like(first)
    legal = jnp.arange(3) == count % 3
    none = jnp.zeros((len(first), 1, 1, 1))
    prediction = Prediction(
      obs=state[..., None],
      state=state,
      reward=state[:, 0],
      discount=one * jnp.array([0.9, 0.6, 0.7, 0.4, 0.9])[count.astype(int)],
      legal=jnp.broadcast_to(legal, (len(first), 1, 3)),
      mean=none,
      std=none,
    )
    return (first, count + 1), prediction

  return WorldModel(1, 1, None, None, None, start, step, None)  # type: ignore


def _uncertainty() -> Uncertainty:
  """The number of the step, which is 0.1, 0.2, ... when it is calibrated."""
  return Uncertainty(
    min_views=1,
    init=lambda *args: PARAMS[1],
    score=lambda params, t, p: jnp.ones_like(t.reward),
    accumulate=jnp.add,
    calibrate=lambda params, raw: raw / params,
  )


def _weighting() -> Weighting:
  """Three steps are kept, two of which are drawn, and all pay their uncertainty."""
  return Weighting(
    on_store=lambda t, u: (t, u < 0.35),
    on_sample=lambda t, u: t._replace(reward=t.reward - u),
    log_weight=lambda u: jnp.where(u < 0.25, 0.0, -60.0),
  )


def _only_legal(params, carry, now, key, greedy=False):
  return carry, jnp.argmax(now.legal, -1)


IMAGINATION = Imagination(_model(), _uncertainty(), _weighting())


def _imagined(weighting, horizon=5):
  actor = Actor(lambda shape: (), _only_legal)
  imagination = IMAGINATION._replace(weighting=weighting)
  data = _data()
  starts = transitions(data.rows, jnp.array([3, 8]))

  @jax.jit
  def run(key):
    return imagine_rows(imagination, actor, PARAMS, starts, horizon, key)

  got = run(jax.random.key(0))
  return jax.tree.map(lambda x: x.reshape(2, horizon + 1, *x.shape[1:]), got)


def test_a_rollout_sees_what_was_predicted():
  everything = _weighting()._replace(on_store=lambda t, u: (t, u < 9))
  rows, score, valid = _imagined(everything)
  number = np.array([[3], [8]]) + 100 * np.arange(6)
  np.testing.assert_array_equal(rows.state[..., 0], number)
  np.testing.assert_array_equal(rows.obs[..., 0, 0], number)
  np.testing.assert_array_equal(rows.reward[:, :-1], number[:, 1:])
  np.testing.assert_array_equal(rows.legal.argmax(-1)[..., 0], [[2, 0, 1, 2, 0, 1]] * 2)
  assert (rows.legal.sum(-1) == 1).all()
  # Each acts on the mask of its own step.
  np.testing.assert_array_equal(rows.action[:, :-1, 0], [[2, 0, 1, 2, 0]] * 2)
  np.testing.assert_array_equal(score, [[1, 2, 3, 4, 5, 0]] * 2)
  # It ends where that is likelier than not; the step that ends it is one.
  np.testing.assert_array_equal(valid, [[1, 1, 1, 1, 0, 0]] * 2)
  np.testing.assert_allclose(rows.discount[:, :4], [[0.9, 0.6, 0.7, 0.4]] * 2)


def test_what_is_stored_is_judged_by_calibrated_scores():
  """Below 0.35 are three steps; in units of the raw score it would be none."""
  _, score, valid = _imagined(_weighting())
  np.testing.assert_array_equal(valid, [[1, 1, 1, 0, 0, 0]] * 2)
  np.testing.assert_array_equal(score[:, :3], [[1, 2, 3]] * 2)  # raw


def _config(**changes):
  budget = dict(total_updates=6, collect_interval=6, batch_size=16, num_starts=4)
  return systems.small("logo_macql", **(budget | dict(horizon=5) | changes))


def _recorded(**changes):
  """The batches of a chunk, its metrics, and what it drew."""
  config, data = _config(**changes), _data()
  t = transitions(data.rows, jnp.zeros(16, jnp.int32))
  like = Batch(t, jnp.zeros(16), jnp.zeros(16, bool), jnp.float32(0))
  learner = systems.recorder(6, like, act=_only_legal)
  train = make_train(System(learner, IMAGINATION), config)

  @jax.jit
  def run(key, data):
    state = train.init(key, PARAMS[0], data)
    draws = train.draw(state.key, state.step, data)
    return draws, train.chunk(state, data)

  draws, (state, metrics) = run(jax.random.key(0), data)
  return jax.device_get((state.learner.params, metrics, draws))


@pytest.fixture(scope="module")
def recorded():
  return _recorded(real_share=0.25)


def test_batches_say_which_rows_are_real_and_how_many_are_expected(recorded):
  batches, _, draws = recorded
  assert (batches.real_share == 0.25).all()
  np.testing.assert_array_equal(batches.real, [[True] * 4 + [False] * 12] * 6)
  np.testing.assert_array_equal(batches.weight, 1.0)
  # Real rows are those drawn, as they are.
  t = batches.transition
  np.testing.assert_array_equal(t.state[:, :4, 0], draws.updates)
  np.testing.assert_array_equal(t.reward[:, :4], draws.updates)
  np.testing.assert_array_equal(t.next_state[:, :4, 0], draws.updates + 1)


def test_rollouts_start_where_all_data_do(recorded):
  batches, _, draws = recorded
  assert (draws.chunk < 10).all() and (draws.updates < 10).all()
  number = batches.transition.state[:, 4:, 0]
  assert set(number.ravel() % 100) <= set(draws.chunk.tolist())


def test_imagined_rows_are_drawn_and_charged_by_calibrated_scores(recorded):
  """The first two steps of each rollout weigh something, at u = 0.1 and 0.2."""
  batches, metrics, _ = recorded
  t = jax.tree.map(lambda x: x[:, 4:], batches.transition)
  step = t.state[..., 0] // 100
  assert set(step.ravel()) == {0, 1}
  np.testing.assert_allclose(t.next_state[..., 0] - t.reward, 0.1 * (step + 1), 0, 1e-4)
  # Of the four steps of a rollout three were kept.
  assert metrics["imagination/rows"] == 4 * 3
  np.testing.assert_allclose(metrics["imagination/uncertainty"], 0.2, rtol=1e-5)
  np.testing.assert_allclose(
    metrics["imagination/effective_sample_size"], 2 / 3, rtol=1e-5
  )


def test_uncertainty_is_made_from_the_splits_it_should():
  """The unit from the selection split, what is searched from the training split."""
  banked = IMAGINATION._replace(uncertainty=_uncertainty()._replace(bank_size=4))
  actor = Actor(lambda shape: (), _only_legal)
  learner = Learner(None, None, actor)  # type: ignore
  data = _data()
  drawn = make_train(System(learner, banked), _config()).calibration(data)
  np.testing.assert_array_equal(drawn.held_out, data.select)
  assert set(np.asarray(drawn.bank)) <= set(np.asarray(data.train))


def test_models_are_fitted_and_selected_on_their_own_splits():
  """Shares of the rows read that are of the training, and of the selection split."""

  def within(t: Transition, first):
    return jnp.mean((t.reward >= first) & (t.reward < first + 10), dtype=float)

  model = _model()._replace(
    init=lambda key: jnp.float32(0.0),
    loss=lambda params, t, w, key: (params, {"model/fitted": within(t, 10)}),
    validate=lambda params, t, w, key: within(t, 20),
  )
  fit = make_fit(model, FitConfig(updates=4, batch_size=8, interval=4))
  data = _data()
  state, metrics = jax.jit(fit.chunk)(fit.init(jax.random.key(0), data), data)
  assert metrics["model/fitted"] == 1 and metrics["model/selection_error"] == 1
  drawn = fit.draw(state.key, state.step, data)
  assert len(np.unique(drawn.train)) > 5 and len(np.unique(drawn.select)) > 5


# One step pays a number that the reset has drawn.
SPEC = EnvSpec("toy/draw", 1, 1, 1, "discrete", 3, 1)


def _shown(number, reward, last) -> TimeStep:
  shape = number.shape
  return TimeStep(
    obs=number[..., None, None],
    state=number[..., None],
    legal=np.ones((*shape, 1, 3), bool),
    reward=reward,
    discount=np.ones(shape, np.float32),
    last=np.full(shape, last),
    won=np.zeros(shape, bool),
  )


def _compiled() -> Environment:
  def reset(key):
    number = jax.random.uniform(key)
    return number, jax.tree.map(jnp.asarray, _shown(number, 0.0, False))

  def step(state, action, key):
    return state, jax.tree.map(jnp.asarray, _shown(state, state, True))

  return Environment(SPEC, reset, step)


def _on_host() -> HostEnvironment:
  def reset(rng, num):
    number = rng.uniform(size=num).astype(np.float32)
    return number, _shown(number, np.zeros(num, np.float32), False)

  return HostEnvironment(SPEC, reset, lambda s, action: (s, _shown(s, s, True)))


@pytest.mark.parametrize("env", [_compiled(), _on_host()], ids=["compiled", "host"])
def test_every_seed_and_the_final_figures_have_episodes_of_their_own(env):
  def act(params, carry, now, key, greedy=False):
    return carry, jnp.zeros(now.obs.shape[:-1], jnp.int32)

  actor = Actor(lambda shape: (), act)
  config = systems.small(
    "bc", seed=5, num_seeds=2, evaluation=EvaluationConfig(episodes=4, seed=7)
  )
  play = Evaluator(env, actor, parallel.make_mesh(2, 1), config)
  params = jnp.zeros(2)
  curve, again = (play.curve(params).episode_return for _ in range(2))
  final = play.final(params, 6).episode_return
  np.testing.assert_array_equal(curve, again)
  assert curve.shape == (2, 4) and final.shape == (2, 6)
  assert len(np.unique(np.concatenate([curve, final], 1))) == 2 * 4 + 2 * 6
