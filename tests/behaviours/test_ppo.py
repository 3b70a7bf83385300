"""Training of behaviours, on a game small enough to be learned in seconds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax import types
from logo_jax.behaviours import play, policy, ppo, qualities, snapshots
from tests import toys

_CONFIG = ppo.Config(
  num_envs=16,
  rollout_steps=8,
  num_minibatches=2,
  total_steps=128 * 30,
  learning_rate=1e-2,
  policy_hidden=(16,),
  value_hidden=(16,),
)


def _signals() -> types.Environment:
  """Two agents see a bit each, 4 times; the reward is the share that repeats it.

  Action 2 is never legal.
  """
  spec = types.EnvSpec("toy/signals", 2, 2, 4, "discrete", 3, 4)

  def show(state, reward):
    time, bits = state
    return types.TimeStep(
      obs=jax.nn.one_hot(bits, 2),
      state=jax.nn.one_hot(bits, 2).reshape(-1),
      legal=jnp.broadcast_to(jnp.arange(3) < 2, (2, 3)),
      reward=reward,
      discount=jnp.ones(()),
      last=time >= 4,
      won=(time >= 4) & (reward == 1),
    )

  def reset(key):
    state = jnp.zeros((), jnp.int32), jax.random.bernoulli(key, 0.5, (2,)).astype(int)
    return state, show(state, jnp.zeros(()))

  def step(state, action, key):
    time, bits = state
    reward = (action == bits).mean()
    state = time + 1, jax.random.bernoulli(key, 0.5, (2,)).astype(int)
    return state, show(state, reward)

  return types.Environment(spec, reset, step)


@pytest.fixture(scope="module")
def trained():
  seen = []
  candidates = snapshots.train(
    _signals(), _CONFIG, 0, 3, report=lambda seed, steps, metrics: seen.append(metrics)
  )
  return list(candidates), seen


def test_a_small_game_is_learned(trained):
  candidates, seen = trained
  assert [candidate.steps for candidate in candidates] == [0, 512, 1792, 3840]
  evaluate = play.make_evaluate(_signals(), 256)
  before = evaluate(candidates[0].params, policy.SAMPLED, jax.random.key(1))
  after = evaluate(candidates[-1].params, policy.SAMPLED, jax.random.key(2))
  assert float(before.return_mean) == pytest.approx(2.0, abs=0.2)  # 4 steps, half right
  assert float(after.return_mean) > 3.6
  assert float(after.win_rate) > float(before.win_rate) + 0.3
  assert float(seen[-1]["behaviour/return"]) > 3.4
  assert all(np.isfinite(value) for value in jax.tree.leaves(seen))
  # Exploring all the time is as good as guessing.
  guess = evaluate(candidates[-1].params, policy.UNIFORM, jax.random.key(3))
  assert float(guess.return_mean) == pytest.approx(2.0, abs=0.2)


def test_a_continuous_game_on_the_host_is_learned():
  config = dataclasses.replace(
    _CONFIG, total_steps=128 * 80, standardise_obs=True, entropy_cost=0.0
  )
  env = toys.targets()
  candidates = list(snapshots.train(env, config, 0, 2))
  evaluate = play.make_evaluate(env, 256)
  before, after = (
    float(evaluate(candidate.params, policy.SAMPLED, jax.random.key(1)).return_mean)
    for candidate in (candidates[0], candidates[-1])
  )
  assert before < 2.6  # noise of deviation 0.7 around 0
  assert after > 3.3
  again = list(snapshots.train(env, config, 0, 2))
  jax.tree.map(np.testing.assert_array_equal, candidates[-1].params, again[-1].params)


def test_running_moments_are_those_of_everything():
  parts = np.random.default_rng(0).normal(3.0, 2.0, (3, 4, 5, 2)).astype(np.float32)
  moments = ppo._no_moments(2)
  np.testing.assert_array_equal(moments.mean, [0, 0])
  np.testing.assert_array_equal(moments.var, [1, 1])
  for part in parts:
    moments = ppo._merge(moments, jnp.asarray(part))
  everything = parts.reshape(-1, 2)
  np.testing.assert_allclose(moments.mean, everything.mean(0), rtol=1e-5)
  np.testing.assert_allclose(moments.var, everything.var(0), rtol=1e-5)


def test_library_of_what_was_learned():
  env, seeds, seen = _signals(), (0, 5), []
  effort = snapshots.Effort(candidates=12, choose_episodes=64, report_episodes=32)
  index, params = snapshots.make_library(
    env, _CONFIG, seeds, effort, lambda seed, steps, _: seen.append((seed, steps))
  )
  assert index.environment == "toy/signals"
  assert index.seeds == seeds
  assert [entry.name for entry in index.snapshots] == [
    f"toy/signals/{k}" for k in range(len(params))
  ]
  first, second = (
    [entry for entry in index.snapshots if entry.seed == seed] for seed in seeds
  )
  assert first[0].steps == second[0].steps == 0
  assert max(steps for seed, steps in seen if seed == 0) == 3840
  assert max(x.return_mean for x in first) > index.random_return + 1
  # The second training has ended at medium, what was kept of it is no better than that.
  assert max(steps for seed, steps in seen if seed == 5) < 3840
  levels = qualities.levels(index)
  assert max(levels[x.name] for x in second) < 0.8
  # Greedy play is better than sampled play of what has not learned to the end.
  assert max(x.return_mean - x.sampled_return_mean for x in index.snapshots) > 0.3


def test_same_seed_same_policy(trained):
  candidates, _ = trained
  again = list(snapshots.train(_signals(), _CONFIG, 0, 3))
  jax.tree.map(np.testing.assert_array_equal, candidates[-1].params, again[-1].params)


def test_moments_are_closer_at_first():
  # 10 (k / 4)^2: 0.6, 2.5, 5.6, 10.
  assert snapshots.schedule(10, 4) == [1, 3, 6, 10]
  assert snapshots.schedule(3, 100) == [1, 2, 3]


def test_advantages_by_hand():
  """Two environments: one runs into a time limit, one ends for good."""
  config = dataclasses.replace(_CONFIG, gamma=0.5, gae_lambda=0.5)
  sample = ppo.Sample(
    *[None] * 5,
    reward=jnp.array([[1.0, 1.0], [2.0, 2.0]]),
    discount=jnp.array([[1.0, 0.0], [1.0, 1.0]]),
    last=jnp.array([[True, True], [False, False]]),
    next_state=None,
  )
  value = jnp.array([[4.0, 4.0], [2.0, 2.0]])
  next_value = jnp.array([[6.0, 6.0], [8.0, 8.0]])
  # Row 1: 2 + 0.5 * 8 - 2 = 4. Row 0 takes nothing of it, as the episode is over:
  # 1 + 0.5 * 6 - 4 = 0 at the time limit, 1 - 4 = -3 at the end.
  np.testing.assert_allclose(
    ppo._advantage(config, sample, value, next_value), [[0.0, -3.0], [4.0, 4.0]]
  )
  # Rewards three times as large: 6 + 4 - 2 = 8; 3 + 3 - 4 = 2 and 3 - 4 = -1.
  scaled = dataclasses.replace(config, reward_scale=3.0)
  np.testing.assert_allclose(
    ppo._advantage(scaled, sample, value, next_value), [[2.0, -1.0], [8.0, 8.0]]
  )
  running = sample._replace(last=jnp.zeros((2, 2), bool))
  # Within an episode 0.25 * 4 is added.
  np.testing.assert_allclose(
    ppo._advantage(config, running, value, next_value), [[1.0, -2.0], [4.0, 4.0]]
  )


@pytest.mark.parametrize(
  ("levels", "wanted", "expected"),
  [
    ([0.0, 0.5, 1.0], [0, 0.5, 1], [0, 1, 2]),
    # 0.3 is passed between 1 and 2, nearer to 1; what comes late does not count.
    ([0.0, 0.2, 0.6, 0.3, 1.0, 0.5], [0, 0.3, 0.5, 1], [0, 1, 2, 4]),
    ([0.0, 1.0, 0.9], [0, 0.1, 0.2, 1], [0, 1]),
    ([0.1, 0.2, 0.4, 0.3], [0.0, 0.5], [0, 2]),  # 0.5 is never reached
  ],
)
def test_choice_of_snapshots(levels, wanted, expected):
  assert snapshots.choose(levels, wanted) == expected


def test_bad_settings_are_refused():
  config = dataclasses.replace(_CONFIG, num_minibatches=3)
  with pytest.raises(ValueError, match="num_minibatches 3 does not divide"):
    list(snapshots.train(_signals(), config, 0, 1))
  config = dataclasses.replace(_CONFIG, total_steps=100)
  with pytest.raises(ValueError, match="total_steps 100 must be at least .* = 128"):
    list(snapshots.train(_signals(), config, 0, 1))


def test_diverged_training_is_refused(monkeypatch):
  env = toys.targets()
  start = next(snapshots.train(env, _CONFIG, 0, 1))
  broken = jax.tree.map(lambda x: np.full_like(x, np.nan), start.params)
  candidates = [start, start._replace(params=broken)]
  monkeypatch.setattr(snapshots, "train", lambda *_: iter(candidates))
  with pytest.raises(ValueError, match="training has diverged: a policy returns nan"):
    snapshots.make_library(env, _CONFIG, (0,), snapshots.Effort(2, 4, 4))
