"""Training a learner on a toy and looking at what it does."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from logo_jax.data.dataset import (
  LoadedDataset,
  draw_starts,
  transitions,
  window_transitions,
)
from logo_jax.replay import windows
from logo_jax.types import Batch, Learner, LearnerContext, LearnerState, Observed
from tests import toys


def context(loaded: LoadedDataset, optimizer=optax.adam) -> LearnerContext:
  return LearnerContext(loaded.spec, loaded.statistics, optimizer)


def draw_batch(loaded: LoadedDataset, size: int, key, window: int = 1) -> Batch:
  """Real rows, or windows of them."""
  return _drawn(loaded.data.rows, loaded.data.starts, key, size, window)


@functools.partial(jax.jit, static_argnames=("size", "window"))
def _drawn(rows, starts, key, size: int, window: int) -> Batch:
  if window == 1:
    t, weight = transitions(rows, draw_starts(starts, size, key)), jnp.ones(size)
  else:
    index = windows.draw(starts, size, window, key)
    t, weight = window_transitions(rows, index), windows.weights(index)
  return Batch(t, weight, jnp.ones(weight.shape, bool), jnp.float32(1))


def train(
  learner: Learner, loaded: LoadedDataset, updates: int, size: int = 64, seed: int = 0
):
  """The state after training, and metrics of each update."""

  def update(state, step):
    k_batch, k_update = jax.random.split(jax.random.fold_in(jax.random.key(7), step))
    batch = draw_batch(loaded, size, k_batch, learner.window)
    return learner.update(state, batch, k_update)

  run = toys.long(lambda s: jax.lax.scan(update, s, jnp.arange(updates)))
  state, metrics = run(jax.jit(learner.init)(jax.random.key(seed)))
  assert all(np.isfinite(x).all() for x in metrics.values())
  return state, metrics


def greedy(learner: Learner, state: LearnerState, obs, legal) -> np.ndarray:
  """Greedy actions of agents that have just begun their episodes."""
  carry = learner.actor.initial_carry(obs.shape[:-2])
  key = jax.random.key(0)
  now = Observed(obs, obs[..., 0, :], legal)
  act = jax.jit(learner.actor.act, static_argnames="greedy")
  _, action = act(state.params, carry, now, key, greedy=True)
  return np.asarray(action)


def plays(learner: Learner, state: LearnerState) -> tuple[int, ...]:
  """The joint action in a one-step game."""
  action = greedy(learner, state, jnp.ones((2, 1)), jnp.ones((2, 2), bool))
  return tuple(int(a) for a in action)


def lq_gains(learner: Learner, state: LearnerState) -> np.ndarray:
  """k of a = -k x by least squares, for both agents of the linear-quadratic task."""
  x = jnp.linspace(-0.8, 0.8, 17)
  obs = jnp.broadcast_to(x[:, None, None], (17, 2, 1))
  action = greedy(learner, state, obs, jnp.ones((17, 2, 1), bool))[..., 0]
  return -(x @ action) / (x @ x)


def assert_gains(gains: np.ndarray, best: float) -> None:
  """What both do together is right; how they share it matters less to the return."""
  np.testing.assert_allclose(gains.mean(), best, atol=0.15)
  np.testing.assert_allclose(gains, best, atol=0.35)


def wins_the_corridor(learner: Learner, state: LearnerState) -> float:
  """Plays one greedy episode of legal actions to a win; its return."""
  env = toys.corridor()
  env_state, now = env.reset(jax.random.key(0))
  carry, total = learner.actor.initial_carry(()), 0.0
  act = jax.jit(learner.actor.act, static_argnames="greedy")
  for step in range(toys.MAX_STEPS):
    seen = Observed(now.obs, now.state, now.legal)
    carry, action = act(state.params, carry, seen, jax.random.key(step), greedy=True)
    assert now.legal[jnp.arange(2), action].all()
    env_state, now = env.step(env_state, action, jax.random.key(step + 100))
    total += float(now.reward)
    if now.last:
      break
  assert bool(now.won)
  return total
