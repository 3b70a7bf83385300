"""Ensembles: what members learn from, and what a rollout goes on from."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data.dataset import transitions
from logo_jax.world_models import ensemble
from logo_jax.world_models.ensemble import bootstrap_counts
from tests import toys

SMALL = ensemble.Config(num_members=3, hidden_size=8)


@pytest.fixture(scope="module")
def loaded():
  return toys.load_corridor(60)


@pytest.fixture(scope="module")
def t(loaded):
  return transitions(loaded.data.rows, loaded.data.train[:12])


def _build(loaded, **changes):
  config = dataclasses.replace(SMALL, **changes)
  return ensemble.make(config, loaded.spec, loaded.statistics)


def test_counts_are_poisson_of_mean_1():
  """Of 30,000 counts the mean's deviation is 0.006; e^-1 = 0.368 of them are 0."""
  seeds = jnp.arange(10_000, dtype=jnp.uint32) * jnp.uint32(2654435761)
  counts = np.asarray(jax.jit(bootstrap_counts, static_argnums=1)(seeds, 3))
  assert counts.shape == (3, 10_000)
  np.testing.assert_allclose(counts.mean(1), 1.0, atol=0.04)
  np.testing.assert_allclose(counts.var(1), 1.0, atol=0.06)
  np.testing.assert_allclose((counts == 0).mean(), np.exp(-1), atol=0.01)
  np.testing.assert_allclose((counts == 2).mean(), np.exp(-1) / 2, atol=0.01)
  # Members draw apart: correlations have a deviation of 0.01.
  assert np.abs(np.corrcoef(counts)[np.triu_indices(3, 1)]).max() < 0.04


def test_a_transition_counts_the_same_in_any_batch(t):
  one = ensemble._hash(t)
  backwards = jax.tree.map(lambda x: x[::-1], t)
  np.testing.assert_array_equal(ensemble._hash(backwards), one[::-1])
  few = jax.tree.map(lambda x: x[3:5], t)
  np.testing.assert_array_equal(ensemble._hash(few), one[3:5])
  windows = jax.tree.map(lambda x: x.reshape(3, 4, *x.shape[1:]), t)
  np.testing.assert_array_equal(ensemble._hash(windows), one.reshape(3, 4))
  same = (t.obs[:, None] == t.obs[None]).all((-2, -1))
  same &= (t.next_obs[:, None] == t.next_obs[None]).all((-2, -1))
  same &= (t.action[:, None] == t.action[None]).all(-1)
  np.testing.assert_array_equal(one[:, None] == one[None], same)
  np.testing.assert_array_equal(
    bootstrap_counts(one, 3)[:, 3:5], bootstrap_counts(one[3:5], 3)
  )


def test_members_learn_as_if_alone_from_what_counts_for_them(loaded, t):
  """The loss is the sum of a single model's, with the counts for weights."""
  model, alone = _build(loaded), _build(loaded, num_members=1, bootstrap=False)
  params, key = jax.jit(model.init)(jax.random.key(0)), jax.random.key(1)
  counts = bootstrap_counts(ensemble._hash(t), 3)
  single, whole = jax.jit(alone.loss), jax.jit(model.loss)
  loss, _ = whole(params, t, jnp.ones(12), key)
  parts = [
    single(jax.tree.map(lambda x, m=m: x[m : m + 1], params), t, counts[m], key)[0]
    for m in range(3)
  ]
  np.testing.assert_allclose(loss, sum(parts), rtol=1e-5)
  # In windows each step counts as it does alone.
  windows = jax.tree.map(lambda x: x.reshape(3, 4, *x.shape[1:]), t)
  loss, _ = whole(params, windows, jnp.ones((3, 4)), key)
  unrolled = [
    single(
      jax.tree.map(lambda x, m=m: x[m : m + 1], params),
      windows,
      counts[m].reshape(3, 4),
      key,
    )[0]
    for m in range(3)
  ]
  np.testing.assert_allclose(loss, sum(unrolled), rtol=1e-5)
  plain = _build(loaded, bootstrap=False)
  unweighted = [
    single(jax.tree.map(lambda x, m=m: x[m : m + 1], params), t, jnp.ones(12), key)[0]
    for m in range(3)
  ]
  loss, _ = jax.jit(plain.loss)(params, t, jnp.ones(12), key)
  np.testing.assert_allclose(loss, sum(unweighted), rtol=1e-5)
  assert abs(sum(parts) - sum(unweighted)) > 1e-3
  errors = jax.jit(model.validate)(params, t, jnp.ones(12), key)
  assert errors.shape == model.error_shape == (3,)
  assert len(set(np.asarray(errors).tolist())) == 3


def _step(model, params, t, key):
  latent = model.start(params, t, jax.random.key(1))
  return jax.jit(model.step)(params, latent, t.action, key)


def test_a_rollout_goes_on_from_a_member_drawn_for_each_row(loaded, t):
  model, mean = _build(loaded), _build(loaded, next="mean")
  params = jax.jit(model.init)(jax.random.key(0))
  alone = _build(loaded, num_members=1)
  members = [
    _step(
      alone, jax.tree.map(lambda x, m=m: x[m : m + 1], params), t, jax.random.key(2)
    )
    for m in range(3)
  ]
  values = np.stack([latent.state.values for latent, _ in members])
  latent, said = _step(model, params, t, jax.random.key(3))
  hit = np.isclose(latent.state.values, values, atol=1e-5).all((-2, -1))  # [M, B]
  assert (hit.sum(0) == 1).all() and (hit.sum(1) > 0).all()
  rewards = np.stack([p.reward for _, p in members])
  member = hit.argmax(0)
  np.testing.assert_allclose(said.reward, rewards[member, np.arange(12)], atol=1e-5)
  again, _ = _step(model, params, t, jax.random.key(4))
  assert (again.state.values != latent.state.values).any()
  # All members are views, whichever was drawn.
  views = np.stack([p.mean[:, 0] for _, p in members], 1)
  np.testing.assert_allclose(said.mean, views, atol=1e-5)
  latent, said = _step(mean, params, t, jax.random.key(5))
  m, num_state = loaded.statistics.state, loaded.spec.state_dim
  wanted = views[..., 0, :num_state].mean(1)
  wanted = np.clip(wanted, (m.low - m.mean) / m.scale, (m.high - m.mean) / m.scale)
  np.testing.assert_allclose(latent.state.values[:, 0], wanted, atol=1e-5)
  np.testing.assert_allclose(said.mean, views, atol=1e-5)


def test_local_members_leave_the_state_and_see_nothing_of_others(loaded, t):
  model = _build(loaded, scope="local")
  assert not model.predicts_state
  params = jax.jit(model.init)(jax.random.key(0))
  step = jax.jit(lambda t: _step(model, params, t, jax.random.key(2)))
  _, said = step(t)
  np.testing.assert_allclose(said.state, t.state, atol=1e-6)
  n = loaded.spec.num_agents
  assert said.mean.shape == (12, 3, n, loaded.spec.obs_dim)
  obs = t.obs.at[:, 1].set(t.obs[::-1, 1])
  _, other = step(t._replace(obs=obs, state=t.state[::-1]))
  np.testing.assert_array_equal(other.obs[:, 0], said.obs[:, 0])
  assert (other.obs[:, 1] != said.obs[:, 1]).any()


def test_local_members_are_flat(loaded):
  with pytest.raises(ValueError, match="model.network: with model.scope 'local'"):
    _build(loaded, scope="local", network="entity")
