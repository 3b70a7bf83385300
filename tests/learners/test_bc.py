"""Behaviour cloning of continuous actions; of discrete ones see test_macql."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logo_jax.data.dataset import load, transitions
from logo_jax.evaluation import host
from logo_jax.learners import bc
from logo_jax.types import Batch, LearnerContext, Rows
from tests import toys


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
  context = LearnerContext(loaded.spec, loaded.statistics, optax.adam)
  learner = bc.make(bc.Config(hidden_size=32, learning_rate=3e-3), context)

  def update(state, step):
    key = jax.random.fold_in(jax.random.key(1), step)
    index = jax.random.randint(key, (64,), 0, loaded.data.starts.shape[0])
    t = transitions(loaded.data.rows, loaded.data.starts[index])
    batch = Batch(t, jnp.ones(64), jnp.ones(64, bool), jnp.float32(1))
    return learner.update(state, batch, key)

  state = jax.jit(learner.init)(jax.random.key(0))
  state, metrics = jax.jit(lambda s: jax.lax.scan(update, s, jnp.arange(600)))(state)
  assert np.isfinite(metrics["learner/bc_loss"]).all()
  act = jax.jit(jax.vmap(functools.partial(learner.act, greedy=True)))
  params = jax.tree.map(lambda x: x[None], state.params)
  played = host.play(toys.targets(), act, params, 50, jax.random.key(2)[None])
  assert played.episode_return.mean() > 3.85  # the teacher itself: 3.2
  # Sampled actions are as noisy as the teacher's.
  obs, legal = jnp.zeros((2000, 2, 1)), jnp.ones((2000, 2, 1), bool)
  sampled = learner.act(state.params, obs, legal, jax.random.key(3))
  assert float(jnp.arctanh(sampled).std()) == pytest.approx(0.3, abs=0.06)
