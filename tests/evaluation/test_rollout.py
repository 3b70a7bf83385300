import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.evaluation.rollout import EpisodeResult, play
from logo_jax.runs import outcomes
from logo_jax.types import Actor
from tests import toys


def _actor(act, initial_carry=lambda shape: ()):
  return Actor(initial_carry, act)


def _right(params, carry, now, key, greedy):
  del params, key
  assert greedy
  return carry, jnp.where(now.legal[..., 2], 2, 1)


def _stay(params, carry, now, key, greedy):
  return carry, jnp.ones(now.legal.shape[:-1], jnp.int32)


def _count(params, carry, now, key, greedy):
  """Stays for two steps, counted in its memory, then goes right."""
  action = jnp.where(now.legal[..., 2] & (carry >= 2)[:, None], 2, 1)
  return carry + 1, action


def test_known_episodes():
  env = toys.corridor()
  run = jax.jit(lambda act, key: play(env, _actor(act), (), 3, key), static_argnums=0)
  result = run(_right, jax.random.key(0))
  np.testing.assert_allclose(result.episode_return, [1.6] * 3, rtol=1e-6)
  np.testing.assert_array_equal(result.length, [3] * 3)
  assert result.won.all()
  idle = run(_stay, jax.random.key(0))
  np.testing.assert_array_equal(idle.episode_return, [0.0] * 3)
  np.testing.assert_array_equal(idle.length, [toys.MAX_STEPS] * 3)
  assert not idle.won.any()


def test_a_memory_lasts_for_an_episode_and_no_longer():
  actor = _actor(_count, lambda shape: jnp.zeros(shape, jnp.int32))
  run = jax.jit(lambda key: play(toys.corridor(), actor, (), 3, key))
  for seed in range(2):
    np.testing.assert_array_equal(run(jax.random.key(seed)).length, [5] * 3)


def test_intervals_are_over_seeds_where_there_are_several():
  won = np.array([[1, 1, 1, 1], [0, 0, 0, 0]], bool)
  several = outcomes.summarise(EpisodeResult(won * 2.0, np.ones((2, 4)), won))
  assert several["ci95_over"] == "seeds" and several["episodes"] == 8
  assert several["return_mean"] == 1.0 and several["win_rate"] == 0.5
  # Two values 0 and 1: half width 12.706 * 0.7071 / sqrt(2) = 6.35, cut to [0, 1].
  assert several["win_rate_ci95"] == [0.0, 1.0]
  np.testing.assert_allclose(several["return_ci95"], 12.706, rtol=1e-3)
  one = outcomes.summarise(EpisodeResult(won[:1] * 2.0, np.ones((1, 4)), won[:1]))
  assert one["ci95_over"] == "episodes" and one["return_ci95"] == 0.0
  assert one["win_rate_ci95"][0] > 0.4  # Wilson: four of four is not certain
