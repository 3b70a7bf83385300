"""Values of joint actions: what is shared between them changes no value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import load, transitions
from logo_jax.networks.agent import Trunk
from logo_jax.networks.mixer import HyperMixer
from logo_jax.networks.value import make_value
from logo_jax.ops import actions
from tests import toys

B, K = 6, 7


@pytest.fixture(scope="module", params=["discrete", "continuous"])
def setting(request):
  """A value, its parameters, transitions, and K encoded joint actions for each."""
  discrete = request.param == "discrete"
  loaded = toys.load_corridor(20) if discrete else load(toys.linear_quadratic(20))
  value = make_value(loaded.spec, loaded.statistics, Trunk(16, True))
  t = transitions(loaded.data.rows, loaded.data.starts[:B])
  k_params, k_action = jax.random.split(jax.random.key(0))
  if discrete:
    action = jax.random.randint(k_action, (K, B, 2), 0, 3)
  else:
    action = jax.random.uniform(k_action, (K, B, 2, 1), minval=-1.0)
  encoded = actions.encode(action, loaded.spec.action_dim)
  return value, jax.jit(value.init)(k_params), t, encoded


def test_many_joint_actions_at_once_are_each_alone(setting):
  value, params, t, encoded = setting
  context, _ = value.contexts(params, t)
  together = value.joint(params, context, encoded)
  assert together.shape == (2, K, B)  # heads first
  for k in range(K):
    alone = value.joint(params, context, encoded[k])
    np.testing.assert_allclose(together[:, k], alone, rtol=1e-5, atol=1e-6)
  assert (np.abs(together[0] - together[1]) > 1e-6).any()  # heads differ


def test_counterfactuals_are_joint_actions_with_one_agent_changed(setting):
  value, params, t, encoded = setting
  context, _ = value.contexts(params, t)
  base, own = encoded[0], encoded[1:]
  q = value.counterfactual(params, context, base, own)
  assert q.shape == (2, K - 1, B, 2)
  for agent in range(2):
    changed = (
      jnp.broadcast_to(base, own.shape).at[..., agent, :].set(own[..., agent, :])
    )
    expected = value.joint(params, context, changed)
    np.testing.assert_allclose(q[..., agent], expected, rtol=1e-4, atol=1e-5)


def test_the_next_context_is_of_the_next_state(setting):
  value, params, t, encoded = setting
  _, after = value.contexts(params, t)
  moved = t._replace(obs=t.next_obs, state=t.next_state)
  now, _ = value.contexts(params, moved)
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), after, now)


def test_hyper_networks_run_once_per_state(monkeypatch):
  """However many joint actions are valued."""
  loaded = toys.load_corridor(20)
  value = make_value(loaded.spec, loaded.statistics, Trunk(16, True))
  params = jax.jit(value.init)(jax.random.key(0))
  t = transitions(loaded.data.rows, loaded.data.starts[:B])
  calls, original = [], HyperMixer.__call__

  def counted(self, state):
    calls.append(state.shape)
    return original(self, state)

  monkeypatch.setattr(HyperMixer, "__call__", counted)
  context, _ = value.contexts(params, t)
  value.joint(params, context, jnp.ones((K, B, 2, 3)))
  value.counterfactual(params, context, jnp.ones((B, 2, 3)), jnp.ones((K, B, 2, 3)))
  value.all_counterfactual(context, jnp.ones((B, 2, 3)))
  assert calls == [(B, 8)] * 2  # of the current and of the next states
