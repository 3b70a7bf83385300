"""Rollouts on the host and in compiled programs, on games of known answers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax import types
from logo_jax.behaviours import curriculum, play, policy, ppo
from logo_jax.data import collect, record

_SPEC = types.EnvSpec("toy/walk", 2, 1, 1, "continuous", 3, 3)
_CONFIG = ppo.Config(
  total_steps=24, num_envs=4, rollout_steps=6, num_minibatches=1, policy_hidden=(4,)
)


def _show(xp, start, time, length):
  """What is seen says where it began and how long ago; step t pays t."""
  seen = xp.asarray(start + time, xp.float32)
  over = time >= length
  return types.TimeStep(
    obs=xp.broadcast_to(seen[..., None, None], (*seen.shape, 2, 1)),
    state=seen[..., None],
    legal=xp.ones((*seen.shape, 2, 3), bool),
    reward=xp.asarray(time, xp.float32),
    # Episodes of one step end for good, the others at a limit.
    discount=1 - xp.asarray(over & (length == 1), xp.float32),
    last=over,
    won=over & (length == 2),
  )


def _host() -> types.HostEnvironment:
  """Starts at 10, 20, ..., 90; takes 1, 2 or 3 steps."""

  def reset(rng, num):
    state = 10 * rng.integers(1, 10, num), np.zeros(num, int), rng.integers(1, 4, num)
    return state, _show(np, *state)

  def step(state, action):
    assert action.shape == (len(state[0]), 2, 3)
    state = state[0], state[1] + 1, state[2]
    return state, _show(np, *state)

  return types.HostEnvironment(_SPEC, reset, step)


def _compiled() -> types.Environment:
  def reset(key):
    k_start, k_length = jax.random.split(key)
    start = 10 * jax.random.randint(k_start, (), 1, 10)
    state = start, jnp.int32(0), jax.random.randint(k_length, (), 1, 4)
    return state, _show(jnp, *state)

  def step(state, action, key):
    state = state[0], state[1] + 1, state[2]
    return state, _show(jnp, *state)

  return types.Environment(_SPEC, reset, step)


def _update(env, monkeypatch):
  """One update of training, and what was learned from."""
  seen = []

  def learn(state, data, *_):
    seen.append(data)
    return state, {}

  init, _ = play.make_trainer(env, _CONFIG)
  carry = init(jax.random.key(0))
  if isinstance(env, types.HostEnvironment):
    trainer = play._HostTrainer(env, _CONFIG)
    trainer._learn = learn
    new, metrics = trainer.update(carry)
  else:
    monkeypatch.setattr(ppo, "learn", learn)
    new, metrics = play._update(env, _CONFIG, carry)
  (data,) = seen
  return carry, new, jax.tree.map(np.asarray, data), metrics


@pytest.mark.parametrize("make", [_host, _compiled])
def test_what_is_learned_from(make, monkeypatch):
  carry, new, data, metrics = _update(make(), monkeypatch)
  assert data.reward.shape == (6, 4)
  # Every step leads one further, at the end of an episode too.
  np.testing.assert_array_equal(data.next_state, data.state + 1)
  np.testing.assert_array_equal(data.obs, np.repeat(data.state[..., None], 2, -2))
  time = data.state[..., 0] % 10
  np.testing.assert_array_equal(data.reward, time + 1)
  np.testing.assert_array_equal(data.discount == 0, data.last & (time == 0))
  # After an end there is a start, else what was reached.
  np.testing.assert_array_equal(time[1:] == 0, data.last[:-1])
  going = ~data.last[:-1]
  np.testing.assert_array_equal(data.state[1:][going], data.next_state[:-1][going])
  starts = data.state[time == 0]
  assert len(np.unique(starts)) > 2  # resets draw anew
  np.testing.assert_array_equal(data.state[0], np.asarray(carry.timestep.state))
  # Episodes of 1, 2, 3 steps pay 1, 3, 6; those of 2 win.
  length = time[data.last] + 1
  totals = np.array([0, 1, 3, 6])[length.astype(int)]
  assert float(metrics["behaviour/episodes"]) == len(length) > 6
  assert float(metrics["behaviour/return"]) == totals.sum()
  assert float(metrics["behaviour/win_rate"]) == (length == 2).sum()
  means = play.per_episode([metrics])
  assert float(means["behaviour/return"]) == pytest.approx(totals.mean())
  running = np.where(data.last[-1], 0, _paid(time[-1]))
  np.testing.assert_array_equal(np.asarray(new.total), running)
  # The density is that of the action that was taken.
  outputs = policy.outputs(carry.learner.params.actor, jnp.asarray(data.obs), _SPEC)
  log_prob = policy.head("continuous").log_prob(outputs, data.legal, data.raw_action)
  np.testing.assert_allclose(data.log_prob, log_prob, rtol=1e-4, atol=1e-4)


def _paid(time):
  """Rewards of the steps from a start to after `time`."""
  return (time + 1) * (time + 2) / 2


def test_no_episode_has_no_mean():
  metrics = {"behaviour/win_rate": 0.0, "behaviour/return": 0.0}
  means = play.per_episode([metrics | {"behaviour/episodes": 0}])
  assert np.isnan(means["behaviour/return"])


@pytest.mark.parametrize("make", [_host, _compiled])
def test_evaluation_counts_nothing_after_the_end(make):
  params = policy.init(_SPEC, (4,), jax.random.key(0))
  score = play.make_evaluate(make(), 300)(params, policy.SAMPLED, jax.random.key(1))
  assert float(score.win_rate) == pytest.approx(1 / 3, abs=0.1)
  assert float(score.return_mean) == pytest.approx(10 / 3, abs=0.4)
  other = play.make_evaluate(make(), 300)(params, policy.SAMPLED, jax.random.key(2))
  assert float(other.return_mean) != float(score.return_mean)


@pytest.mark.parametrize("make", [_host, _compiled])
def test_continuous_episodes_are_recorded_whole(make):
  params = policy.init(_SPEC, (4,), jax.random.key(0))
  game = record.Game(make(), num_envs=4, room=2)
  chunks = record.record(game, [params], policy.Mode(False, 0.5), jax.random.key(0))
  rows, start, played = collect._assemble(chunks, 200, lambda num: None)
  first, final = start[:-1], start[1:] - 1
  length = final - first
  assert set(length) == {1, 2, 3}
  assert len(np.unique(rows.state[first])) == 9  # every wave starts anew
  within = np.arange(start[-1]) - np.repeat(first, length + 1)
  begun = np.repeat(rows.state[first, 0], length + 1)
  np.testing.assert_array_equal(rows.state[:, 0], begun + within)
  assert rows.action.shape == (len(within), 2, 3)
  assert np.abs(rows.action).max() <= 1
  np.testing.assert_array_equal(rows.action[final], 0)
  acting = np.setdiff1d(np.arange(len(within)), final)
  assert (rows.action[acting] != 0).all()
  np.testing.assert_array_equal(rows.reward[acting], within[acting] + 1)
  np.testing.assert_array_equal(rows.reward[final], 0)
  np.testing.assert_array_equal(rows.discount[final - 1] == 0, length == 1)
  np.testing.assert_array_equal(played.won, length == 2)


def test_enemies_become_stronger_while_battles_are_won():
  def after(won, episodes, health=0.7):
    metrics = {"behaviour/win_rate": won, "behaviour/episodes": episodes}
    metrics = jax.tree.map(jnp.float32, metrics)
    return float(curriculum.next_health(jnp.float32(health), metrics, 0.6))

  assert after(6, 10) == pytest.approx(0.702)
  assert after(4, 10) == pytest.approx(0.7)
  assert after(2, 10) == pytest.approx(0.699)
  assert after(0, 0) == pytest.approx(0.7)
  assert after(9, 10, 0.9995) == 1
  assert after(0, 10, 0.6) == pytest.approx(0.6)


def test_without_enemies_there_is_none_to_weaken():
  config = dataclasses.replace(_CONFIG, enemy_health=0.5)
  with pytest.raises(ValueError, match="enemy_health 0.5 must be 1: toy/walk has no"):
    play.make_trainer(_compiled(), config)
