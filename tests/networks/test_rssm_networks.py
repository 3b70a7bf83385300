"""What agents come to believe: what it depends on, and what it does not.

Untrained networks of three agents; beliefs are the likeliest classes where chance has
no part.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.networks import rssm
from logo_jax.networks.rssm import RSSM, Belief, Sizes

N, A, T = 3, 2, 5  # agents, numbers of an action, steps
OBS = 2
SIZES = Sizes(8, num_categoricals=2, num_classes=4, num_layers=1, num_heads=2)
NET = RSSM(SIZES, N, OBS, A)


@pytest.fixture(scope="module")
def params():
  return jax.jit(NET.init)(jax.random.key(0))


def _window(seed, steps=T):
  k_obs, k_action = jax.random.split(jax.random.key(seed))
  obs = jax.random.normal(k_obs, (1, steps, N, OBS))
  return obs, jax.random.normal(k_action, (1, steps, N, A))


@jax.jit
def _filter(params, obs, action, fresh):
  return NET.filter(params, obs, action, fresh, None)


def test_two_episodes_in_a_row_are_two_episodes(params):
  """Where the second begins, nothing is left of the first."""
  first, second = _window(1), _window(2)
  fresh = jnp.arange(2 * T)[None] % T == 0
  joined = [jnp.concatenate(x, 1) for x in zip(first, second, strict=True)]
  both = _filter(params, *joined, fresh)
  for episode, part in ((first, slice(0, T)), (second, slice(T, 2 * T))):
    alone = _filter(params, *episode, fresh[:, :T])
    jax.tree.map(
      lambda x, y, p=part: np.testing.assert_allclose(x[:, p], y, atol=1e-6),
      both,
      alone,
    )
  # With a memory of the first, the second is another one.
  kept = fresh.at[:, T].set(False)
  other = _filter(params, *joined, kept)
  assert (abs(other.prior - both.prior)[:, T:] > 1e-6).any()
  np.testing.assert_allclose(
    both.belief.memory[0, T], NET.first_memory(params), atol=1e-6
  )


def test_samples_are_of_the_posterior_and_of_each_step(params):
  obs, action = _window(1)
  obs, action = (jnp.repeat(x, 500, 0) for x in (obs, action))
  same = jnp.repeat(obs[:, :1], T, 1)  # so that steps differ by chance and memory
  fresh = jnp.ones((500, T), bool)
  found = jax.jit(NET.filter)(params, same, action, fresh, jax.random.key(3))
  share = found.belief.sample.reshape(500, T, N, 2, 4).mean(0)
  np.testing.assert_allclose(share, jax.nn.softmax(found.posterior[0]), atol=0.1)
  assert (found.belief.sample[:, 0] != found.belief.sample[:, 1]).any()


def test_a_prior_knows_what_was_and_a_posterior_what_is(params):
  """Of which steps' observations and actions, by gradients: [T, T] of yes and no."""
  obs, action = _window(1)
  fresh = jnp.zeros((1, T), bool)

  def summed(obs, action):
    found = NET.filter(params, obs, action, fresh, None)
    each = found.prior, found.posterior, found.belief.memory, found.next_memory
    return [jnp.square(x).reshape(T, -1).sum(-1) for x in each]

  found = jax.jit(jax.jacrev(summed, (0, 1)))(obs, action)
  depends = [[np.any(x != 0, (1, 3, 4)) for x in pair] for pair in found]
  up_to, before = np.tri(T, dtype=bool), np.tri(T, k=-1, dtype=bool)
  for name, (of_obs, of_action), wanted in zip(
    ("prior", "posterior", "memory", "next memory"),
    depends,
    ((before, before), (up_to, before), (before, before), (up_to, up_to)),
    strict=True,
  ):
    np.testing.assert_array_equal(of_obs, wanted[0], name)
    np.testing.assert_array_equal(of_action, wanted[1], name)


_advance = jax.jit(NET.advance)


def _belief(seed):
  k_sample, k_memory = jax.random.split(jax.random.key(seed))
  return Belief(
    jax.random.normal(k_sample, (4, N, 8)), jax.random.normal(k_memory, (4, N, 8))
  )


def test_agents_permuted_with_their_numbers_are_the_same_agents(params):
  belief, action = _belief(5), jax.random.normal(jax.random.key(6), (4, N, A))
  order = np.array([2, 0, 1])
  moved = jax.tree.map(lambda x: x[:, order], (belief, action))
  one = _advance(params, belief, action, jnp.arange(N))
  other = _advance(params, *moved, jnp.asarray(order))
  np.testing.assert_allclose(other, one[:, order], atol=1e-5)
  # By their numbers they are told apart.
  nameless = _advance(params, *moved, jnp.arange(N))
  assert abs(nameless - one[:, order]).max() > 1e-3


@pytest.mark.parametrize("num_layers", [0, 1])
def test_agents_hear_of_each_other_through_attention_alone(num_layers):
  net = RSSM(SIZES._replace(num_layers=num_layers), N, OBS, A)
  params = jax.jit(net.init)(jax.random.key(0))
  advance, action = jax.jit(net.advance), jnp.zeros((4, N, A))
  other = advance(params, _belief(5), action.at[:, 0].set(1.0))
  moved = abs(other - advance(params, _belief(5), action)).max((0, 2)) > 1e-5
  np.testing.assert_array_equal(moved, [True, num_layers > 0, num_layers > 0])


def test_numbers_of_agents_are_sines_and_cosines():
  """Of rates 1 and 1/100 where there are four features."""
  got = rssm.agent_encoding(np.array([0, 1]), 4)
  wanted = [[0, 1, 0, 1], [np.sin(1), np.cos(1), np.sin(0.01), np.cos(0.01)]]
  np.testing.assert_allclose(got, wanted, rtol=1e-5)
