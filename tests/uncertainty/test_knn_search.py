import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.ops.standardise import moments
from logo_jax.types import Statistics, Transition
from logo_jax.uncertainty import knn_search

# Observations -2 and 2, states -4 and 4: deviations 2 and 4, means 0.
FLAT = moments(np.array([-1.0, 1.0]))
STATISTICS = Statistics(
  moments(np.array([[-2.0], [2.0]])), moments(np.array([[-4.0], [4.0]])), FLAT, (0, 0)
)


def _transitions(obs, action, next_obs, state, next_state):
  """Of two agents with one feature and two discrete actions."""
  obs, next_obs = (jnp.array(x, jnp.float32)[..., None] for x in (obs, next_obs))
  state, next_state = (
    jnp.array(x, jnp.float32)[..., None] for x in (state, next_state)
  )
  legal, zeros = jnp.ones((*obs.shape[:-1], 2), bool), jnp.zeros(len(obs))
  action = jnp.array(action)
  return Transition(
    obs, state, legal, action, zeros, zeros, next_obs, next_state, legal
  )


BANK = _transitions(
  [[0, 0], [4, 0]], [[0, 0], [0, 1]], [[0, 0], [4, 0]], [0, 4], [0, 4]
)
# The first agent is 2 in z from the first row's on both sides of the step; the second
# is where it is in both rows, with the first row's action.
QUERY = _transitions([[0, 0]], [[0, 0]], [[4, 0]], [0], [4])


def _make(**fields):
  return knn_search.make(knn_search.Config(**fields), STATISTICS)


def _bank(uncertainty, units=1.0):
  made = uncertainty.init(None, None, QUERY, BANK, None)
  return made._replace(unit=jnp.full(made.unit.shape, units))


def test_points_by_hand():
  config = knn_search.Config(action_weight=0.5)
  got = knn_search.points(QUERY, config, STATISTICS)
  np.testing.assert_allclose(got, [[[0, 0.5, 0, 2], [0, 0.5, 0, 0]]])
  everything = knn_search.Config(scope="global")
  got = knn_search.points(QUERY, everything, STATISTICS)
  np.testing.assert_allclose(got, [[[0, 1, 0, 1, 0, 1]]])


@pytest.mark.parametrize(
  ("fields", "expected"),
  [
    ({}, [np.log(3.0), 0.0]),  # 2 from the first row; the second agent is in the bank
    ({"form": "distance"}, [2.0, 0.0]),
    # To the second neighbour: also 2; and an action of weight 3 apart, 3 sqrt(2).
    (
      {"k": 2, "form": "distance", "action_weight": 3.0},
      [2.0, 3 * np.sqrt(2)],
    ),
    (
      {"k": 2, "form": "distance", "neighbours": "mean", "action_weight": 3.0},
      [2.0, 1.5 * np.sqrt(2)],
    ),
  ],
)
def test_scores_of_agents_by_hand(fields, expected):
  for reduce, total in (("max", max), ("mean", np.mean), ("min", min)):
    uncertainty = _make(over_agents=reduce, **fields)
    raw = uncertainty.score(_bank(uncertainty), QUERY, None)
    np.testing.assert_allclose(raw, [total(expected)], rtol=1e-6)
  # In units: an eighth.
  eighth = uncertainty.score(_bank(uncertainty, 8.0), QUERY, None)
  np.testing.assert_allclose(eighth, raw / 8, rtol=1e-6)
  assert uncertainty.calibrate((), raw) is raw


def test_the_global_score_by_hand():
  """[s, a, s'] of both rows is 1 off, or 1 and the second agent's action, sqrt(3)."""
  uncertainty = _make(scope="global", form="distance", k=2)
  assert uncertainty.reads_state and not _make().reads_state
  raw = uncertainty.score(_bank(uncertainty), QUERY, None)
  np.testing.assert_allclose(raw, [np.sqrt(3)], rtol=1e-6)


def test_the_unit_is_a_quantile_of_held_out_scores():
  steps = np.arange(101.0)[:, None] * [2.0, 4.0]  # 1 and 2 deviations further each
  at_0, none = np.zeros((101, 2)), np.zeros(101)
  held_out = _transitions(steps, at_0.astype(int), at_0, none, none)
  bank = jax.tree.map(lambda x: x[:1], BANK)
  made = _make(form="distance", quantile=0.9).init(None, None, held_out, bank, None)
  np.testing.assert_allclose(made.unit, [90.0, 180.0], rtol=1e-6)


@pytest.fixture(scope="module")
def linear():
  """x' = x + a, with little noise: two agents, four features, continuous actions."""
  rng = np.random.default_rng(0)
  obs = rng.standard_normal((1_200, 2, 4)).astype(np.float32)
  action = rng.uniform(-1, 1, (1_200, 2, 4)).astype(np.float32)
  next_obs = obs + action + 0.05 * rng.standard_normal(obs.shape).astype(np.float32)
  state, next_state = obs.reshape(1_200, 8), next_obs.reshape(1_200, 8)
  legal, zeros = np.ones((1_200, 2, 4), bool), np.zeros(1_200, np.float32)
  t = Transition(obs, state, legal, action, zeros, zeros, next_obs, next_state, legal)
  own = Statistics(moments(obs.reshape(-1, 4)), moments(state), FLAT, (0, 0))
  uncertainty = knn_search.make(knn_search.Config(quantile=0.5), own)
  bank, held_out = (jax.tree.map(lambda x, s=s: jnp.asarray(x[s]), t) for s in _SPLIT)
  params = uncertainty.init(None, None, held_out, bank, None)  # type: ignore
  score = jax.jit(lambda t: uncertainty.score(params, t, None))  # type: ignore
  return bank, held_out, score


_SPLIT = (slice(1_000), slice(1_000, None))


def test_what_is_in_the_bank_scores_0_and_noise_more_and_more(linear):
  bank, _, score = linear
  means = []
  for scale in (0.0, 0.1, 0.3, 1.0):
    noise = scale * jax.random.normal(jax.random.key(0), bank.next_obs.shape)
    means.append(float(score(bank._replace(next_obs=bank.next_obs + noise)).mean()))
  assert means[0] == 0.0 and (np.diff(means) > 0).all()


def test_shuffled_actions_score_higher(linear):
  """The area under the ROC curve: 0.5 by chance, 1 if they are told apart."""
  _, held_out, score = linear
  shuffled = held_out._replace(action=held_out.action[::-1])
  fake, true = np.asarray(score(shuffled)), np.asarray(score(held_out))
  area = (fake[:, None] > true).mean()
  assert area > 0.65


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"k": 0}, "k: must be at least 1, got 0"),
    ({"k": 9, "bank_size": 8}, "k: must be at most uncertainty.bank_size=8, got 9"),
    ({"action_weight": -1.0}, "action_weight: must be 0 or more"),
    ({"quantile": 1.0}, "quantile: must be between 0 and 1"),
  ],
)
def test_numbers_out_of_range_are_refused(fields, message):
  with pytest.raises(ValueError, match=f"uncertainty.{message}"):
    _make(**fields)
