import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.types import Prediction, Transition, WorldModel
from logo_jax.uncertainty import parts, path_discrepancy


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
    eq_5 = _make(spread=spread, by_kind=False)
    score = eq_5.score((), None, _prediction(mean, std))  # type: ignore
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
  uncertainty = _make(by_kind=False)
  params = uncertainty.init(model, (), held_out, (), jax.random.key(0))
  np.testing.assert_allclose(params.unit, 95.0)
  np.testing.assert_allclose(uncertainty.calibrate(params, jnp.float32(190.0)), 2.0)


def test_events_are_not_read_as_errors(monkeypatch):
  """Of scores e^-1 and e^1 where nothing happens, and e^1 and e^5 where it ends.

  The logarithms of the first have mean 0 and deviation 1, of the others 3 and 2, and of
  all together 1.5 and the root of 4.75.
  """
  monkeypatch.setattr(parts, "_PRIOR", 0.0)
  score = jnp.exp(jnp.array([-1.0, 1.0, 1.0, 5.0]))
  reward, discount = jnp.zeros(4), jnp.array([1.0, 1.0, 0.1, 0.1])
  kinds = parts.Kinds.fit(score, reward, discount)
  matched = jnp.log(kinds.matched(score, reward, discount))
  np.testing.assert_allclose(matched, 1.5 + 4.75**0.5 * np.array([-1, 1, -1, 1]))
  # What is expected counts, and the order within a kind stays.
  other = kinds.matched(jnp.exp(jnp.array([3.0, 4.0])), reward[:2], discount[2:])
  np.testing.assert_allclose(jnp.log(other), 1.5 + 4.75**0.5 * np.array([0, 0.5]))


def test_steps_are_told_apart_by_their_reward():
  reward = jnp.concatenate([jnp.zeros(60), jnp.full(40, 0.1)])
  score = jnp.where(reward > 0, 8.0, 1.0) * jnp.exp(jnp.sin(jnp.arange(100.0)))
  kinds = parts.Kinds.fit(score, reward, jnp.ones(100))
  matched = np.asarray(kinds.matched(score, reward, jnp.ones(100)))
  few, many = matched[:60], matched[60:]
  assert 0.7 < np.median(few) / np.median(many) < 1.4


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
