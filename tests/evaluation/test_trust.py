"""Ranks by hand, and scores that know everything or nothing."""

import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.evaluation import open_loop, trust
from logo_jax.evaluation.open_loop import Rollouts, Scorer
from logo_jax.types import Uncertainty, WorldModel
from tests import toys


def test_rank_correlations_by_hand():
  # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15) = 0.6.
  assert trust.spearman(np.array([1, 2, 3, 4]), np.array([20, 10, 40, 30])) == (
    pytest.approx(0.6)
  )
  assert trust.spearman(np.array([1, 2, 9]), np.array([3, 2, 1])) == pytest.approx(-1)
  # Ties share ranks: 1.5 1.5 3 against 1 2 3 is 1.5 / sqrt(1.5 * 2).
  assert trust.spearman(np.array([0, 0, 5]), np.array([1, 2, 3])) == (
    pytest.approx(1.5 / 3**0.5)
  )
  assert np.isnan(trust.spearman(np.ones(3), np.arange(3.0)))
  assert np.isnan(trust.spearman(np.arange(3.0), np.array([1, np.nan, 2])))


def test_areas_under_the_curve_by_hand():
  # Of six pairs the positive is higher in four, and one is a tie.
  assert trust.auroc(np.array([1, 2, 3]), np.array([2, 4])) == pytest.approx(4.5 / 6)
  assert trust.auroc(np.array([1, 2]), np.array([3, 4])) == 1
  assert trust.auroc(np.ones(3), np.ones(2)) == 0.5


def _rollouts(scores, errors, left, obs_errors=None) -> Rollouts:
  values = dict.fromkeys(Rollouts._fields)
  values |= {"scores": {"u": scores}, "state_error": errors, "left": left}
  values["obs_error"] = obs_errors
  return Rollouts(**values)  # type: ignore


def test_scores_of_a_step_and_along_the_rollout():
  # Three windows of two steps and one of a single step. The errors of the second step
  # rank 1, 2, 3; so do the sums of scores, while the second scores rank 3, 2, 1 and the
  # largest ones 2, 1, 3.
  scores = np.array([[[0.0, 2.0, 9.0, 5.0], [3.5, 2.5, 1.0, 7.0]]])
  errors = np.array([[[0.0, 1.0, 2.0, 3.0], [0.1, 0.2, 0.3, 0.0]]])
  found = trust.rank_correlations(
    _rollouts(scores, errors, np.array([2, 2, 2, 1])), (1, 2, 5)
  )
  assert {name: set(by) for name, by in found.items()} == dict.fromkeys(
    ("u", "u_cummax", "u_cumsum"), {"1", "2"}
  )
  # First step: scores rank 1 2 4 3, errors 1 2 3 4.
  np.testing.assert_allclose(found["u"]["1"], [0.8])
  np.testing.assert_allclose(found["u_cumsum"]["1"], [0.8])
  np.testing.assert_allclose(found["u"]["2"], [-1.0])
  np.testing.assert_allclose(found["u_cummax"]["2"], [0.5])
  np.testing.assert_allclose(found["u_cumsum"]["2"], [1.0])


def test_without_states_scores_are_ranked_by_the_observations():
  scores, left = np.array([[[0.0, 2.0, 9.0]]]), np.array([1, 1, 1])
  rolled = _rollouts(scores, np.full((1, 1, 3), np.nan), left, -scores)
  np.testing.assert_allclose(trust.rank_correlations(rolled, (1,))["u"]["1"], [-1.0])


def _uncertainty(score) -> Uncertainty:
  return Uncertainty(
    min_views=1,
    init=lambda model, params, held_out, bank, key: (held_out.reward.sum(), len(bank)),
    score=score,
    accumulate=lambda so_far, score: score,
    calibrate=lambda params, raw: raw,
  )


def test_actions_of_others_are_told_apart():
  loaded = toys.load_corridor(60)
  windows = open_loop.take_windows(loaded)

  def step(params, latent, action, key):
    from logo_jax.types import Prediction

    zero = jnp.zeros_like(latent.reward)
    views = jnp.zeros((*zero.shape, 1, 1, 1))
    p = Prediction(latent.obs, latent.state, zero, zero + 1, latent.legal, views, views)
    return latent, p

  model = WorldModel(
    num_views=1,
    window=1,
    init=lambda key: jnp.zeros(()),
    loss=None,  # type: ignore
    validate=None,  # type: ignore
    start=lambda params, t, key: t,
    step=step,
    diagnose=lambda params, t: {},
  )

  def illegal(params, t, prediction):
    chosen = jnp.take_along_axis(t.legal, t.action[..., None], -1)[..., 0]
    return (~chosen).sum(-1).astype(jnp.float32)

  params = jnp.zeros(2)
  scorers = {
    "illegal": trust.make_scorer(_uncertainty(illegal), model, params, loaded),
    "nothing": Scorer(
      _uncertainty(lambda params, t, p: jnp.zeros_like(t.reward)), jnp.zeros(2)
    ),
  }
  assert scorers["illegal"].params[0].shape == (2,)
  found = trust.separations(model, params, loaded, windows, scorers)
  np.testing.assert_array_equal(found["nothing"], [0.5, 0.5])
  # Recorded actions are all legal; of the shuffled ones a share is not.
  legal, action = (
    np.asarray(x) for x in (loaded.data.rows.legal, loaded.data.rows.action)
  )
  order = np.random.default_rng(0).permutation(len(windows.start))
  others = action[windows.start][order]
  allowed = np.take_along_axis(legal[windows.start], others[..., None], -1).all((1, 2))
  np.testing.assert_allclose(
    found["illegal"], 0.5 + (1 - allowed.mean()) / 2, rtol=1e-6
  )
  assert found["illegal"][0] > 0.55
