"""Networks of agents, with memory and without."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.networks.agent import Trunk, make_agent_network

N, F, G, B, T = 2, 3, 4, 5, 6


def _network(share, recurrent):
  trunk = Trunk(hidden_size=8, share_agents=share, recurrent=recurrent)
  net = make_agent_network(N, F, G, trunk)
  return net, jax.jit(net.init)(jax.random.key(0))


def _inputs():
  """Observations of T + 1 steps."""
  return jax.random.normal(jax.random.key(1), (B, T + 1, N, F))


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("recurrent", [True, False])
def test_a_window_is_its_steps_one_by_one(share, recurrent):
  net, params = _network(share, recurrent)
  x = _inputs()
  now, after = net.apply_both(params, x[:, :-1], x[:, 1:])
  carry, steps = net.initial_carry((B,)), []
  for t in range(T + 1):
    carry, out = net.step(params, carry, x[:, t])
    steps.append(out)
  steps = jnp.stack(steps, 1)
  np.testing.assert_allclose(now, steps[:, :-1], atol=1e-6)
  np.testing.assert_allclose(after, steps[:, 1:], atol=1e-6)
  np.testing.assert_allclose(net.apply(params, x), steps, atol=1e-6)


@pytest.mark.parametrize("recurrent", [True, False])
def test_what_was_seen_before_matters_to_a_memory_alone(recurrent):
  net, params = _network(True, recurrent)
  x = _inputs()
  other = x.at[:, 0].add(1.0)
  last, last_of_other = (net.apply(params, y)[:, -1] for y in (x, other))
  assert (np.abs(last - last_of_other).max() > 1e-4) == recurrent


@pytest.mark.parametrize("recurrent", [True, False])
def test_agents_see_their_own_inputs_alone(recurrent):
  net, params = _network(True, recurrent)
  x = _inputs()
  other = x.at[..., 1, :].add(1.0)
  out, changed = net.apply(params, x), net.apply(params, other)
  np.testing.assert_array_equal(out[..., 0, :], changed[..., 0, :])
  assert (out[..., 1, :] != changed[..., 1, :]).any()
