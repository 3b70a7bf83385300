"""Errors of models whose predictions are known."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data import dataset
from logo_jax.evaluation import model_error, open_loop, single_step
from logo_jax.ops.standardise import Moments
from logo_jax.types import EnvSpec, Prediction, Rows, WorldModel
from tests import toys

# Six episodes of five steps in which the state counts the steps, twice as fast for the
# second feature; the third never changes. Observations are the state.
STEPS, EPISODES = 5, 6


def _distinct() -> np.ndarray:
  """Actions 0 and 2 that write an episode's number, so that none is another's copy."""
  bits = np.arange(EPISODES)[:, None] >> np.arange(STEPS + 1) & 1
  return 2 * bits.astype(np.int32)


def _counting() -> dataset.LoadedDataset:
  spec = EnvSpec("toy/count", 1, 3, 3, "discrete", 3, STEPS)
  time = np.tile(np.arange(STEPS + 1), EPISODES).astype(np.float32)
  is_start = time < STEPS
  state = np.stack([time, 2 * time, np.ones_like(time)], -1)
  # The second action is allowed at even times, the others always.
  legal = np.stack([time >= 0, time % 2 == 0, time >= 0], -1)[:, None]
  rows = Rows(
    obs=state[:, None],
    state=state,
    legal=legal,
    action=_distinct().reshape(-1, 1),
    reward=np.where(is_start, time, 0).astype(np.float32),
    discount=np.where(time == STEPS - 1, 0.0, 1.0).astype(np.float32),
  )
  starts = np.arange(0, len(time) + 1, STEPS + 1)
  return dataset.load(toys.stored(spec, rows, starts))


def _model(drift=0.0, predicts_state=True) -> WorldModel:
  """Counts right but for the first feature's drift, which is the seed's parameter."""

  def step(params, latent, action, key):
    state = latent + jnp.array([1.0, 2.0, 0.0]) + jnp.array([1.0, 0.0, 5.0]) * params
    time = state[..., 1] / 2
    views = jnp.zeros((*time.shape, 2, 1, 1))
    # Never ends, pays one too little, and allows all actions.
    p = Prediction(
      obs=state[..., None, :],
      state=state,
      reward=time - 2,
      discount=jnp.ones_like(time),
      legal=jnp.ones((*time.shape, 1, 3), bool),
      mean=views.at[..., 0, 0, 0].set(time),
      std=views,
    )
    return state, p

  return WorldModel(
    num_views=2,
    window=1,
    init=lambda key: jnp.float32(drift),
    loss=lambda *args: None,  # type: ignore
    validate=lambda *args: None,  # type: ignore
    start=lambda params, t, key: t.state,
    step=step,
    diagnose=lambda params, t: {"own": params},
    predicts_state=predicts_state,
  )


@pytest.fixture(scope="module")
def loaded():
  return _counting()


@pytest.mark.parametrize("split", ["select", "test"])
def test_windows_go_on_to_the_end_of_their_episodes(loaded, split):
  windows = open_loop.take_windows(loaded, split)
  np.testing.assert_array_equal(windows.left, [5, 4, 3, 2, 1])
  assert np.asarray(loaded.data.rows.state)[windows.start, 0].tolist() == [
    0,
    1,
    2,
    3,
    4,
  ]
  few = open_loop.take_windows(loaded, split, most=2)
  np.testing.assert_array_equal(few.left, [5, 1])


def test_windows_of_all_episodes(loaded):
  data = loaded.data._replace(test=loaded.data.starts)
  windows = open_loop.take_windows(dataclasses.replace(loaded, data=data))
  np.testing.assert_array_equal(windows.left, [5, 4, 3, 2, 1] * EPISODES)


def test_errors_are_those_that_were_put_in(loaded):
  model, params = _model(), jnp.array([0.0, 0.5])
  windows = open_loop.take_windows(loaded)
  rolled = open_loop.roll_out(model, params, loaded, windows, (1, 3, 9))
  single = single_step.predict(model, params, loaded, windows)
  errors = model_error.summarise(rolled, single, (1, 3, 9))
  # Times 0 to 5 have a variance of 35/12; after h steps the first of the two features
  # that vary is h / 2 off with the second seed. The constant third does not count.
  variance = 35 / 12
  for h in (1, 3):
    expected = [0.0, (0.5 * h) ** 2 / variance / 2]
    for kind in ("state", "obs"):
      mse, rmse = (errors[f"{kind}_{unit}"][str(h)] for unit in ("mse", "rmse"))
      np.testing.assert_allclose(mse, expected, rtol=1e-5, atol=1e-12)
      np.testing.assert_allclose(rmse, np.sqrt(expected), rtol=1e-5, atol=1e-6)
  assert list(errors["state_mse"]) == ["1", "3"]  # no episode has nine steps
  # Persistence is h off in both features, in units of their own deviation.
  moved = model_error.persistence(rolled, (1, 3, 9))
  np.testing.assert_allclose(moved["state_mse"]["3"], 9 / variance, rtol=1e-5)
  # One too little each time; rewards 0 to 4 have a variance of 2.
  np.testing.assert_allclose(errors["reward_rmse"], 1.0, rtol=1e-6)
  np.testing.assert_allclose(errors["reward_r2"], 0.5, rtol=1e-6)
  np.testing.assert_array_equal(errors["termination_recall"], 0.0)
  np.testing.assert_array_equal(errors["termination_false_alarms"], 0.0)
  # All actions are said to be allowed; the second one is at two of the times 1 to 5.
  np.testing.assert_allclose(errors["legal_accuracy"], 12 / 15)
  np.testing.assert_allclose(errors["legal_attack_accuracy"], 2 / 5)


def test_one_model_for_runs_and_experiments(loaded):
  result = model_error.model_errors(_model(), jnp.array([0.0, 0.5]), loaded)
  assert result["own"] == 0.25  # means over seeds
  one_step = np.sqrt(0.25 / (35 / 12) / 2) / 2
  np.testing.assert_allclose(result["state_rmse"], one_step, rtol=1e-5)
  assert set(result["open_loop"]) == {"1", "5"}
  np.testing.assert_allclose(result["open_loop"]["5"]["obs_rmse"], 5 * one_step, 1e-5)


def test_single_steps_have_windows_of_their_own(loaded, monkeypatch):
  monkeypatch.setattr(single_step, "MAX_STEPS", 1)
  result = model_error.model_errors(_model(), jnp.array([0.0]), loaded)
  # After the first step the second action is forbidden, and was said to be allowed.
  np.testing.assert_allclose(result["legal_accuracy"], 2 / 3)
  assert set(result["open_loop"]) == {"1", "5"}


def test_other_data_of_the_game_are_held_out_as_a_whole(loaded):
  other = dataclasses.replace(loaded, card={"content_hash": "other"}, statistics=None)  # type: ignore
  measured = dataset.held_out_from(loaded, other)
  assert measured.statistics is loaded.statistics
  windows = open_loop.take_windows(measured)
  np.testing.assert_array_equal(windows.left, [5, 4, 3, 2, 1] * EPISODES)
  with pytest.raises(ValueError, match="held_out: .* the very data"):
    dataset.held_out_from(loaded, loaded)
  first, more = (
    dataclasses.replace(loaded, card={"name": "a", "seed": 3, "content_hash": x})
    for x in ("first", "more")
  )
  with pytest.raises(ValueError, match="held_out: a was collected with seed 3, like"):
    dataset.held_out_from(first, more)
  spec = dataclasses.replace(loaded.spec, name="toy/other")
  with pytest.raises(ValueError, match="held_out: must be of toy/count.*toy/other"):
    dataset.held_out_from(loaded, dataclasses.replace(other, spec=spec))


def test_a_model_with_a_memory_is_shown_what_led_there(loaded):
  """One that goes on from two steps before, if the episode has had them."""
  model = _model()._replace(window=3, start=lambda params, t, key: t.state[:, 0])
  params, windows = jnp.array([0.0]), open_loop.take_windows(loaded)
  np.testing.assert_array_equal(windows.before, [0, 1, 2, 3, 4])
  rolled = open_loop.roll_out(model, params, loaded, windows, (1, 3))
  late = np.array([0, 1, 2, 2, 2]) ** 2 / (35 / 12)
  np.testing.assert_allclose(rolled.state_error[0, 0], late, rtol=1e-5, atol=1e-9)
  np.testing.assert_allclose(rolled.state_error[0, 2, :3], late[:3], 1e-5, 1e-9)
  # The last observation of persistence is where it starts, not where it remembers.
  np.testing.assert_allclose(rolled.state_moved[0], 1 / (35 / 12), rtol=1e-5)
  rows = jax.tree.map(np.asarray, loaded.data.rows)
  on_host = dataclasses.replace(loaded, data=loaded.data._replace(rows=rows))
  assert model_error.model_errors(model, params, on_host) == (
    model_error.model_errors(model, params, loaded)
  )


def test_rows_on_the_host_give_the_same(loaded):
  rows = jax.tree.map(np.asarray, loaded.data.rows)
  on_host = dataclasses.replace(loaded, data=loaded.data._replace(rows=rows))
  params = jnp.array([0.3])
  assert model_error.model_errors(_model(), params, on_host) == (
    model_error.model_errors(_model(), params, loaded)
  )


def test_chunks_change_nothing(loaded, monkeypatch):
  params = jnp.array([0.3])
  whole = model_error.model_errors(_model(), params, loaded)
  monkeypatch.setattr(open_loop, "_CHUNK", 2)  # the last of three is cut
  in_parts = model_error.model_errors(_model(), params, loaded)
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-6), whole, in_parts
  )


def test_a_model_without_states_has_no_state_error(loaded):
  model = _model(predicts_state=False)
  result = model_error.model_errors(model, jnp.array([0.3]), loaded)
  assert np.isnan(result["state_rmse"])
  assert np.isfinite(result["obs_rmse"]) and np.isfinite(
    result["state_rmse_persistence"]
  )


def test_padding_is_no_feature():
  """Errors 1, 2 and 3; the second agent has one feature, and the third never varies."""
  one = jnp.ones(3)
  m = Moments(one, one, one, -one, one, jnp.array([True, True, False]))
  x = jnp.array([[[1.0, 2.0, 9.0], [3.0, 9.0, 9.0]]])
  mask = np.array([[True, True, True], [True, False, False]])
  got = open_loop.squared_error(x, jnp.zeros_like(x), m, mask)
  np.testing.assert_allclose(got, [14 / 3])
  got = open_loop.squared_error(x[:, 0], jnp.zeros((1, 3)), m)
  np.testing.assert_allclose(got, [5 / 2])


def test_only_what_may_differ_is_contingent():
  legal = np.array(
    [
      [[1, 1, 1], [1, 0, 0]],
      [[1, 0, 1], [1, 0, 1]],
      [[1, 0, 0], [1, 0, 1]],  # the first agent has no choice here
    ],
    bool,
  )
  found = single_step.contingent_actions(legal)
  # The first agent's last action is always allowed where there is a choice; the second
  # agent has a choice twice, and then the same one.
  expected = np.zeros_like(legal)
  expected[:2, 0, 1] = True
  np.testing.assert_array_equal(found, expected)


def test_predicted_states_are_standardised(loaded):
  windows = open_loop.take_windows(loaded)
  states = open_loop.predicted_states(
    _model(), jnp.array([0.5, 9.0]), loaded, windows, (1, 3, 9)
  )
  assert set(states) == {1, 3}
  true, predicted = states[3]
  assert true.shape == predicted.shape == (3, 2)
  np.testing.assert_allclose(
    (predicted - true)[:, 0], 1.5 / np.sqrt(35 / 12), rtol=1e-5
  )
  np.testing.assert_allclose((predicted - true)[:, 1], 0.0, atol=1e-6)


def test_horizons_stay_in_their_order(monkeypatch, loaded):
  monkeypatch.setattr(model_error, "HORIZONS", (2, 3, 10, 20))
  long = dataclasses.replace(loaded, data=loaded.data._replace(test=np.arange(29)))
  result = model_error.model_errors(_model(), jnp.array([0.1]), long)
  assert list(result["open_loop"]) == ["2", "3", "10", "20"]
  windows = open_loop.take_windows(long)
  rolled = open_loop.roll_out(_model(), jnp.array([0.1]), long, windows, (2, 10))
  assert list(model_error.persistence(rolled, (2, 10))["obs_mse"]) == ["2", "10"]
