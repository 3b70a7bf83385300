import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.types import Prediction, Transition, WorldModel
from logo_jax.uncertainty import disagreement


def _prediction(mean, std=None):
  std = mean if std is None else std
  return Prediction(*(None for _ in range(5)), mean=mean, std=std)  # type: ignore


def _make(**fields):
  return disagreement.make(disagreement.Config(**fields), None)  # type: ignore


# Three views of two groups of two features, [M, G, F].
MEAN = jnp.array(
  [
    [[0.0, 0.0], [1.0, 1.0]],
    [[3.0, 4.0], [1.0, 1.0]],
    [[0.0, 1.0], [1.0, 7.0]],
  ]
)
HALF = np.sqrt(0.5)  # from a sum of two squares to their root mean


@pytest.mark.parametrize(
  ("kind", "expected"),
  [
    # The longest of each group: (3, 4), and (1, 7).
    ("aleatoric", [5 * HALF, np.sqrt(50) * HALF]),
    # The first two views of group 0 are 5 apart; the last of group 1 is 6 off.
    ("pairwise", [5 * HALF, 6 * HALF]),
    # Variances over views: 2 and 26/9 in group 0, 0 and 8 in group 1.
    ("std", [np.sqrt((2 + 26 / 9) / 2), 2.0]),
  ],
)
def test_kinds_by_hand(kind, expected):
  score = disagreement.disagreement(_prediction(MEAN), kind)
  np.testing.assert_allclose(score, expected, rtol=1e-6)


@pytest.mark.parametrize("num_views", [2, 3, 4, 5, 7])
def test_pairwise_is_over_all_pairs(num_views):
  mean = jax.random.normal(jax.random.key(num_views), (4, num_views, 2, 3))
  apart = np.asarray(mean)[:, :, None] - np.asarray(mean)[:, None]
  expected = np.sqrt((apart**2).mean(-1)).max((1, 2))
  score = disagreement.disagreement(_prediction(mean), "pairwise")
  np.testing.assert_allclose(score, expected, rtol=1e-6)


@pytest.mark.parametrize(
  ("fields", "expected"),
  [
    ({"quantile": 0.95}, [95.0, 190.0]),
    ({"threshold": "max_over_c", "c": 4.0}, [25.0, 50.0]),
    # Of 0, 1, ..., 100: mean 50, variance (101^2 - 1) / 12 = 850.
    (
      {"threshold": "mean_std", "beta": 2.0},
      [50 + 2 * np.sqrt(850), 100 + 4 * np.sqrt(850)],
    ),
  ],
)
def test_thresholds_of_held_out_data_by_hand(fields, expected):
  """Held-out scores 0, 1, ..., 100 in one group and twice as much in the other."""
  held_out = Transition(*(jnp.arange(101.0) for _ in Transition._fields))

  def step(params, latent, action, key):
    views = jnp.stack([held_out.reward, jnp.zeros(101)], -1)[..., None, None]
    return latent, _prediction(views * jnp.array([1.0, 2.0])[:, None])

  model = WorldModel(2, 1, None, None, None, lambda *_: (), step, None)  # type: ignore
  uncertainty = _make(kind="pairwise", **fields)
  params = uncertainty.init(model, (), held_out, (), jax.random.key(0))
  np.testing.assert_allclose(params, expected, rtol=1e-6)


def test_scores_are_in_units_of_each_groups_threshold():
  """Groups at 10 and 1 times their threshold; calibrated they already are."""
  score = disagreement.disagreement(_prediction(MEAN), "pairwise")
  params = score / jnp.array([10.0, 1.0])
  for reduce, expected in (("max", 10.0), ("mean", 5.5), ("min", 1.0)):
    uncertainty = _make(kind="pairwise", over_groups=reduce)
    raw = uncertainty.score(params, None, _prediction(MEAN))
    np.testing.assert_allclose(raw, expected, rtol=1e-6)
    assert uncertainty.calibrate(params, raw) is raw


def test_matched_by_kind_the_unit_is_still_the_quantile_of_held_out_data():
  """A step in ten is an event, whose views disagree eight times as much."""
  k_spread, k_size = jax.random.split(jax.random.key(0))
  event = jnp.arange(1000) % 10 == 0
  apart = jnp.exp(0.5 * jax.random.normal(k_size, (1000,))) * jnp.where(event, 8, 1)
  views = jnp.stack([apart, jnp.zeros(1000)], -1)[..., None, None]
  reward = jnp.where(event, 1.0, 0.0) + 1e-3 * jax.random.normal(k_spread, (1000,))
  seen = _prediction(views)._replace(reward=reward, discount=jnp.ones(1000))
  held_out = Transition(*(reward for _ in Transition._fields))
  held_out = held_out._replace(discount=jnp.ones(1000))
  model = WorldModel(
    *(2, 1, None, None, None, lambda *_: ()),  # type: ignore
    lambda params, latent, action, key: (latent, seen),
    None,  # type: ignore
  )
  uncertainty = _make(kind="pairwise", by_kind=True, quantile=0.9)
  params = uncertainty.init(model, (), held_out, (), jax.random.key(1))
  score = uncertainty.score(params, held_out, seen)
  assert float(jnp.quantile(score, 0.9)) == pytest.approx(1, rel=1e-4)
  # Events are as far above it as other steps are.
  assert float((score > 1)[event].mean()) == pytest.approx(0.1, abs=0.06)


def test_accumulation_and_views():
  both = _make(kind="pairwise", accumulate="cummax"), _make(accumulate="cumsum")
  assert [u.min_views for u in both] == [2, 1]
  one, three = jnp.float32(1), jnp.float32(3)
  assert [float(u.accumulate(three, one)) for u in both] == [3.0, 4.0]


@pytest.mark.parametrize(
  ("field", "value"), [("quantile", 1.0), ("c", 0), ("beta", -1)]
)
def test_numbers_out_of_range_are_refused(field, value):
  with pytest.raises(ValueError, match=f"uncertainty.{field}: must be .* got {value}"):
    _make(**{field: value})
