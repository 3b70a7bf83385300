"""The floor of games whose chances are known."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.behaviours import library, policy
from logo_jax.evaluation import floor
from logo_jax.ops.standardise import moments
from logo_jax.types import Environment, EnvSpec, Statistics, TimeStep
from tests import toys

STEPS, PUSH = 8, 3.0


def _walk(end_chance=0.0, coin=1.0) -> Environment:
  """x grows by the action and a coin, -1 or 1; the second feature counts the steps.

  The reward is x. With `end_chance` an episode ends after each step, and then x jumps
  far away.
  """
  spec = EnvSpec("toy/walk", 1, 1, 2, "discrete", 2, STEPS)

  def show(state, ended):
    x, count = state
    return TimeStep(
      obs=x[None, None],
      state=jnp.stack([x, count.astype(jnp.float32)]),
      legal=jnp.ones((1, 2), bool),
      reward=x,
      discount=1.0 - ended,
      last=ended | (count >= STEPS),
      won=jnp.zeros((), bool),
    )

  def reset(key):
    state = jax.random.normal(key), jnp.int32(0)
    return state, show(state, jnp.zeros((), bool))

  def step(state, action, key):
    k_coin, k_end = jax.random.split(key)
    x, count = state
    ended = jax.random.uniform(k_end) < end_chance
    x = x + PUSH * action[0] + coin * jax.random.rademacher(k_coin, (), jnp.float32)
    state = x + 100 * ended, count + 1
    return state, show(state, ended)

  return Environment(spec, reset, step)


def _act(now, key):
  return jax.random.randint(key, (len(now.last), 1), 0, 2)


def _statistics() -> Statistics:
  """Deviations of 2 and of 1."""
  state = moments(np.array([[-2.0, -1.0], [2.0, 1.0]]))
  return Statistics(
    moments(np.array([[-2.0], [2.0]])), state, moments(np.zeros(1)), (0, 0)
  )


def test_variance_grows_with_the_coins():
  """h coins have variance h: h / 4 in deviations of x, half of it over two features."""
  effort = floor.Effort(episodes=64, windows=400, repeats=16)
  found = floor.measure(_walk(), _act, _statistics(), (1, 4, 9), effort)
  assert set(found["state_mse"]) == {"1", "4"}  # no episode has nine steps
  for h in (1, 4):
    np.testing.assert_allclose(found["state_mse"][str(h)], h / 8, rtol=0.05)
    np.testing.assert_allclose(found["obs_mse"][str(h)], h / 4, rtol=0.05)
    rmse = found["state_mse"][str(h)] ** 0.5
    assert found["state_rmse"][str(h)] == rmse
  # The reward is x: a coin's variance of 1 beside that of all that is reached.
  assert 0.5 < found["reward_r2"] < 1
  still = floor.measure(_walk(coin=0.0), _act, _statistics(), (1,), effort)
  assert still["reward_r2"] == 1


def test_repeats_that_end_early_do_not_count():
  """An end adds 100 to x: what comes after it must not enter the variance at 2 steps.

  At the second step it may: the episode's last step is a prediction like the others.
  The variance of 100 times an event of chance p is 1e4 p (1 - p).
  """
  chance = 0.1
  effort = floor.Effort(episodes=256, windows=800, repeats=16)
  found = floor.measure(_walk(chance), _act, _statistics(), (1, 2), effort)
  for h in (1, 2):
    expected = (h + 1e4 * chance * (1 - chance)) / 4
    np.testing.assert_allclose(found["obs_mse"][str(h)], expected, rtol=0.1)


def test_datasets_whose_environment_has_no_chance_or_is_not_known(monkeypatch):
  """Steps on the host use none: the floor is 0. Data of others have none."""
  loaded = types.SimpleNamespace(card={}, spec=None, statistics=_statistics())
  why = "nothing plays it"
  for env, expected in (
    (toys.targets(), (floor.zero((1, 5)), "")),
    (None, ({}, why)),
    (_walk(), ({}, "the dataset's card names no behaviour policies")),
  ):
    answer = (env, why if env is None else "")
    monkeypatch.setattr(floor.source, "environment", lambda card, of, a=answer: a)
    assert floor.of_dataset(loaded, (1, 5)) == expected  # type: ignore
  found = floor.zero((1, 5))
  assert found.pop("reward_r2") == 1.0
  assert found["state_mse"] == {"1": 0.0, "5": 0.0} and set(found) == {
    f"{kind}_{unit}" for kind in ("state", "obs") for unit in ("mse", "rmse")
  }


def test_only_policies_that_are_shipped_play_again():
  """Neither another training of the same names nor a game without any."""
  spec = EnvSpec("smax/2s3z", 5, 127, 120, "discrete", 10, 100)
  assert floor.behaviour({}, spec)[0] is None
  shipped = dataclasses.asdict(library.index("smax/2s3z").snapshots[0])
  for changed in ({"steps": 1}, {"name": "smax/2s3z/999"}, {"name": "toy/walk/0"}):
    card = {
      "behaviour": {"greedy": False, "epsilon": 0.0, "snapshots": [shipped | changed]}
    }
    act, why = floor.behaviour(card, spec)
    assert act is None and why.endswith("is none of the shipped")
  card = {"behaviour": {"greedy": False, "epsilon": 0.0, "snapshots": [shipped]}}
  assert floor.behaviour(card, spec)[0] is not None


def test_who_played_is_what_the_card_says():
  spec = EnvSpec("smax/2s3z", 5, 127, 120, "discrete", 10, 100)
  card = {
    "behaviour": {
      "greedy": False,
      "epsilon": 0.0,
      "snapshots": [{"name": "smax/2s3z/0"}, {"name": "smax/2s3z/8"}],
    }
  }
  act, _ = floor.behaviour(card, spec)
  assert act is not None
  obs = jax.random.normal(jax.random.key(1), (3, 5, 127))
  now = TimeStep(
    obs=obs,
    state=jnp.zeros((3, 120)),
    legal=jnp.ones((3, 5, 10), bool).at[..., 0].set(False),
    reward=jnp.zeros(3),
    discount=jnp.ones(3),
    last=jnp.zeros(3, bool),
    won=jnp.zeros(3, bool),
  )
  chosen = []
  for name in ("smax/2s3z/0", "smax/2s3z/8"):
    scores = policy.outputs(library.load(name), obs, spec)
    key = jax.random.key(0)  # the same for all: in turn they choose what one would
    chosen.append(policy.choose(scores, now.legal, "discrete", policy.SAMPLED, key))
  assert (chosen[0] != chosen[1]).any(1).all()
  expected = jnp.stack([chosen[0][0], chosen[1][1], chosen[0][2]])
  assert (expected > 0).all()  # legal ones
  np.testing.assert_array_equal(act(now, jax.random.key(0)), expected)
