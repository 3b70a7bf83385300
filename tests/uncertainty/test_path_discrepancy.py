import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.types import Prediction, Transition, WorldModel
from logo_jax.uncertainty import path_discrepancy


def test_eq_5_by_hand():
  # Differences (3, 4): root mean square sqrt((9 + 16) / 2).
  mean = jnp.array([[[1.0, 2.0]], [[4.0, 6.0]]])
  np.testing.assert_allclose(path_discrepancy.discrepancy(mean), np.sqrt(12.5))
  # Of several groups, the one whose views are furthest apart.
  groups = jnp.concatenate([mean, jnp.zeros((2, 1, 2))], 1)
  np.testing.assert_allclose(path_discrepancy.discrepancy(groups), np.sqrt(12.5))


def test_a_drawn_second_view_adds_its_variance():
  # E |x - 1|^2 of x ~ N(4, 4^2) is 9 + 16; the first view's deviation does not count.
  mean, std = jnp.array([[[1.0]], [[4.0]]]), jnp.array([[[7.0]], [[4.0]]])
  np.testing.assert_allclose(path_discrepancy.discrepancy(mean, std), 5.0)
  for spread, expected in ((False, 3.0), (True, 5.0)):
    score = _make(spread=spread).score((), None, _prediction(mean, std))  # type: ignore
    np.testing.assert_allclose(score, expected)


def _prediction(mean, std=None):
  return Prediction(*(None for _ in range(5)), mean=mean, std=std)


def _make(**fields):
  return path_discrepancy.make(path_discrepancy.Config(**fields), None)  # type: ignore


def test_calibrated_by_the_quantile_of_held_out_data():
  held_out = Transition(*(jnp.arange(101.0) for _ in Transition._fields))

  def step(params, latent, action, key):
    views = jnp.stack([held_out.reward, jnp.zeros(101)], -1)
    return latent, _prediction(views[..., None, None])  # [101, 2, 1, 1]

  model = WorldModel(2, 1, None, None, None, lambda *_: (), step, None)  # type: ignore
  uncertainty = _make()
  params = uncertainty.init(model, (), held_out, (), jax.random.key(0))
  np.testing.assert_allclose(params, 95.0)
  np.testing.assert_allclose(uncertainty.calibrate(params, jnp.float32(190.0)), 2.0)


def test_accumulation_along_a_rollout():
  raw = jnp.array([1.0, 3.0, 2.0])
  expected = {"step": [1, 3, 2], "cummax": [1, 3, 3], "cumsum": [1, 4, 6]}
  for form, values in expected.items():
    uncertainty = _make(accumulate=form)
    so_far, seen = jnp.float32(0), []
    for score in raw:
      so_far = uncertainty.accumulate(so_far, score)
      seen.append(float(so_far))
    assert seen == values
