import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.networks.mlp import MLP
from logo_jax.networks.per_agent import per_agent

X = jax.random.normal(jax.random.key(1), (7, 3, 4))


def test_separate_parameters_are_separate_networks():
  module = MLP((5, 2))
  net = per_agent(module, num_agents=3, share=False)
  params = net.init(jax.random.key(0), X[0])
  out = net.apply(params, X)
  assert out.shape == (7, 3, 2)
  for agent in range(3):
    own = jax.tree.map(lambda p, i=agent: p[i], params)
    np.testing.assert_allclose(
      out[:, agent], module.apply(own, X[:, agent]), rtol=1e-4, atol=1e-6
    )
  first, second = (jax.tree.leaves(params)[-1][i] for i in (0, 1))
  assert not np.allclose(first, second)


def test_shared_parameters_tell_agents_apart_by_identity():
  net = per_agent(MLP((5, 2)), num_agents=3, share=True)
  params = net.init(jax.random.key(0), X[0])
  same = jnp.broadcast_to(X[:1, :1], (1, 3, 4))
  out = net.apply(params, same)
  assert out.shape == (1, 3, 2)
  assert not np.allclose(out[0, 0], out[0, 1])


@pytest.mark.parametrize("share", [False, True])
def test_agents_do_not_see_each_other(share):
  net = per_agent(MLP((5, 2)), num_agents=3, share=share)
  params = net.init(jax.random.key(0), X[0])
  changed = net.apply(params, X.at[:, 1].add(1.0))
  np.testing.assert_array_equal(changed[:, 0], net.apply(params, X)[:, 0])
