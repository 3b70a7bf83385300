"""Playing on the host: known returns, and the same episodes in any company."""

import jax
import numpy as np

from logo_jax.evaluation import host
from tests import toys


def _follow():
  """Acts right times the parameter of each seed."""

  def act(params, memory, now, keys):
    assert len(keys) == len(params)
    return memory, np.asarray(now.obs) / 40 * np.asarray(params)[:, None, None, None]

  return act


def _play(params, seeds, num_episodes=30):
  keys = jax.vmap(jax.random.key)(np.array(seeds))
  policy = (_follow(), np.array(params), ())
  return host.play(toys.targets(), *policy, num_episodes, keys)


def test_known_returns():
  played = _play([1.0, 0.0], [3, 4], 400)
  assert played.episode_return.shape == (2, 400)
  np.testing.assert_allclose(played.episode_return[0], 4.0, rtol=1e-6)
  # Doing nothing is 0.4 off on average, as targets are uniform within 0.8.
  np.testing.assert_allclose(played.episode_return[1].mean(), 2.4, atol=0.05)
  np.testing.assert_array_equal(played.length, 4)
  assert not played.won.any()


def test_a_seed_has_its_episodes_in_any_company():
  together, alone = _play([0.5, 0.5], [3, 4]), _play([0.5], [4])
  np.testing.assert_array_equal(together.episode_return[1], alone.episode_return[0])
  assert (together.episode_return[0] != together.episode_return[1]).any()


def test_a_memory_lasts_for_an_episode_and_no_longer():
  seen = []

  def act(params, memory, now, keys):
    seen.append(memory)
    return memory + 1, np.asarray(now.obs) / 40 * (memory >= 2)[..., None, None]

  keys = jax.vmap(jax.random.key)(np.array([3, 4]))
  empty = np.zeros((2, 5), np.int32)
  first, again = (host.play(toys.targets(), act, (), empty, 5, keys) for _ in range(2))
  assert [m[0, 0] for m in seen] == [0, 1, 2, 3] * 2
  np.testing.assert_array_equal(first.episode_return, again.episode_return)
  assert (first.episode_return < 4).all() and (first.episode_return > 2).all()
