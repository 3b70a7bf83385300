"""Behaviour cloning, of both kinds of actions, with memory and without."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import load
from logo_jax.evaluation import host
from logo_jax.learners import bc
from logo_jax.types import EnvSpec, Observed, Rows
from tests import toys
from tests.learners import problems


@pytest.fixture(scope="module")
def loaded():
  """Episodes of 4 steps whose noisy actions are right on average."""
  env, rng = toys.targets(), np.random.default_rng(0)
  state, now = env.reset(rng, 400)
  steps = []
  for _ in range(5):
    right = np.arctanh(now.obs / 40)
    action = np.tanh(rng.normal(right, 0.3)).astype(np.float32)
    state, after = env.step(state, action) if len(steps) < 4 else (state, now)
    zero = np.zeros(400, np.float32)
    last = len(steps) == 4
    steps.append(
      Rows(
        obs=now.obs,
        state=now.state,
        legal=now.legal,
        action=np.zeros_like(action) if last else action,
        reward=zero if last else after.reward,
        discount=zero + 1,
      )
    )
    now = after
  rows = jax.tree.map(lambda *x: np.stack(x, 1).reshape(-1, *x[0].shape[1:]), *steps)
  return load(toys.stored(env.spec, rows, np.arange(0, 2001, 5)))


def test_a_noisy_teacher_is_imitated_without_its_noise(loaded):
  config = bc.Config(hidden_size=32, learning_rate=3e-3)
  learner = bc.make(config, problems.context(loaded))
  state, _ = problems.train(learner, loaded, 600)
  act = jax.jit(jax.vmap(functools.partial(learner.actor.act, greedy=True)))
  params = jax.tree.map(lambda x: x[None], state.params)
  memory = learner.actor.initial_carry((1, 50))
  played = host.play(toys.targets(), act, params, memory, 50, jax.random.key(2)[None])
  assert played.episode_return.mean() > 3.85  # the teacher itself: 3.2
  # Sampled actions are as noisy as the teacher's.
  obs, legal = jnp.zeros((2000, 2, 1)), jnp.ones((2000, 2, 1), bool)
  _, sampled = learner.actor.act(
    state.params, (), Observed(obs, obs, legal), jax.random.key(3)
  )
  assert float(jnp.arctanh(sampled).std()) == pytest.approx(0.3, abs=0.06)


def test_plays_what_most_do():
  game = load(toys.matrix_game())
  config = bc.Config(hidden_size=32, learning_rate=3e-3)
  learner = bc.make(config, problems.context(game))
  state, _ = problems.train(learner, game, 300)
  assert problems.plays(learner, state) == (0, 0)


def _numbered(num: int) -> np.ndarray:
  """Rewards of episodes of two steps that make each differ from all others."""
  rewards = np.zeros((num, 3), np.float32)
  rewards[:, 0] = np.arange(num)
  return rewards.reshape(-1)


def test_memory_imitates_what_one_observation_does_not_tell():
  """Both agents repeat in the second step what they saw in the first."""
  num, rng = 400, np.random.default_rng(0)
  cue = rng.choice([-1.0, 1.0], (num, 1)).astype(np.float32)
  seen = np.stack([cue, np.zeros_like(cue), np.zeros_like(cue)], 1)  # [num, 3, 1]
  right = (cue > 0).astype(np.int32)
  action = np.stack([np.zeros_like(right), right, np.zeros_like(right)], 1)
  rows = Rows(
    obs=np.repeat(seen.reshape(-1, 1, 1), 2, 1),
    state=seen.reshape(-1, 1),
    legal=np.ones((3 * num, 2, 2), bool),
    action=np.repeat(action.reshape(-1, 1), 2, 1),
    reward=_numbered(num),
    discount=np.ones(3 * num, np.float32),
  )
  spec = EnvSpec("toy/cue", 2, 1, 1, "discrete", 2, 2)
  loaded = load(toys.stored(spec, rows, np.arange(0, 3 * num + 1, 3)))
  config = bc.Config(hidden_size=16, learning_rate=1e-2, recurrent=True, window=2)
  learner = bc.make(config, problems.context(loaded))
  state, _ = problems.train(learner, loaded, 200)
  legal = jnp.ones((2, 2), bool)
  for sign in (-1.0, 1.0):
    carry, key = learner.actor.initial_carry(()), jax.random.key(0)
    for obs in (sign, 0.0):
      now = Observed(jnp.full((2, 1), obs), jnp.zeros(1), legal)
      carry, action = learner.actor.act(state.params, carry, now, key, greedy=True)
    assert action.tolist() == [int(sign > 0)] * 2
