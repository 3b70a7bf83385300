"""Seeds and devices: four host devices."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from logo_jax.configs.registry import component
from logo_jax.data.dataset import transitions, window_transitions
from logo_jax.learners import bc
from logo_jax.replay import windows
from logo_jax.training import optimizers, parallel
from logo_jax.training.fit_model import make_fit
from logo_jax.types import Batch, LearnerContext
from tests.training import systems


@pytest.fixture(scope="module")
def loaded():
  assert jax.local_device_count() == 4
  return systems.load()


def _run(config, loaded, chunks=2):
  mesh = parallel.make_mesh(config.num_seeds, config.data_parallel)
  axis = parallel.batch_axis(mesh)
  system, train, params = systems.train_parts(config, loaded, axis)
  data = parallel.replicate(loaded.data, mesh)
  keys = jax.vmap(jax.random.key)(jnp.arange(config.num_seeds))
  params = jax.tree.map(lambda x: jnp.stack([x] * config.num_seeds), params)
  state = parallel.map_init(train.init, mesh, keys, params, shared=data)
  chunk = parallel.map_chunk(train.chunk, mesh, state)
  for _ in range(chunks):
    state, metrics = jax.block_until_ready(chunk(state, data))
  return state, metrics


def _close(a, b):
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), a, b)


def test_seeds_side_by_side_are_the_seeds_alone(loaded):
  """Three seeds fit on three devices; each is what it is in other company."""
  assert parallel.make_mesh(3, 1).shape == {"seeds": 3, "batch": 1}
  assert parallel.make_mesh(8, 1).shape == {"seeds": 4, "batch": 1}
  assert parallel.make_mesh(2, 2).shape == {"seeds": 2, "batch": 2}
  config = systems.small(
    "logo_macql", learner=component("learner", "bc", hidden_size=16), num_seeds=3
  )
  together, metrics = _run(config, loaded)
  assert metrics["learner/bc_loss"].shape == (3,)
  alone, _ = _run(dataclasses.replace(config, num_seeds=1), loaded)
  first = jax.tree.map(lambda x: np.asarray(x[0]), together.learner.params)
  _close(first, jax.tree.map(lambda x: np.asarray(x[0]), alone.learner.params))


@pytest.mark.slow  # `test_placement` and `test_window_batches` have both, too
def test_two_axes_at_once(loaded):
  config = systems.small("logo_macql", num_seeds=2, data_parallel=2)
  state, metrics = _run(config, loaded)
  assert all(np.isfinite(v).all() for v in jax.tree.leaves(metrics))
  # Devices of one run hold the same parameters and different imagined rows.
  leaf = jax.tree.leaves(state.learner.params)[0]
  by_device = [np.asarray(s.data) for s in leaf.addressable_shards]
  np.testing.assert_array_equal(by_device[0], by_device[1])
  rows = [np.asarray(s.data) for s in state.ring.content.rows.state.addressable_shards]
  assert not np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize("window", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_gradients_on_four_devices_are_those_on_one(loaded, window):
  """With plain SGD, which shows a wrong factor that Adam would hide."""
  t = transitions(loaded.data.rows, loaded.data.starts[:64])
  # Unequal row weights with mean 1: a mean over shards of weighted means would differ.
  weight = jnp.linspace(0.0, 2.0, 64)
  if window > 1:
    index = windows.draw(loaded.data.starts, 16, window, jax.random.key(2))
    t = window_transitions(loaded.data.rows, index)
    weight = windows.weights(index)
  batch = Batch(t, weight, jnp.ones(weight.shape, bool), jnp.float32(1))

  def learner(axis_name):
    def sgd(rate):
      return optax.chain(optimizers.average_over_devices(axis_name), optax.sgd(rate))

    context = LearnerContext(loaded.spec, loaded.statistics, sgd)
    config = bc.Config(
      hidden_size=16, learning_rate=1.0, recurrent=window > 1, window=window
    )
    return bc.make(config, context)

  state = jax.jit(learner(None).init)(jax.random.key(0))
  one, _ = jax.jit(learner(None).update)(state, batch, jax.random.key(1))
  mesh = parallel.make_mesh(1, 4)
  from jax.sharding import PartitionSpec as P

  update = jax.jit(
    jax.shard_map(
      lambda s, b: learner("batch").update(s, b, jax.random.key(1))[0],
      mesh=mesh,
      in_specs=(P(), Batch(P("batch"), P("batch"), P("batch"), P())),
      out_specs=P(),
      check_vma=False,
    )
  )
  four = update(state, batch)
  moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), one.params, state.params)
  assert max(jax.tree.leaves(moved)) > 1e-2
  _close(one.params, four.params)


@pytest.mark.slow
def test_fit_on_four_devices(loaded):
  config = systems.small("logo_macql", data_parallel=4)
  mesh = parallel.make_mesh(1, 4)
  system, _, _ = systems.train_parts(config, loaded, "batch")
  fit = make_fit(system.imagination.model, config.fit, "batch", shards=4)
  keys = jax.vmap(jax.random.key)(jnp.arange(1))
  data = parallel.replicate(loaded.data, mesh)
  state = parallel.map_init(fit.init, mesh, keys, shared=data)
  chunk = parallel.map_chunk(fit.chunk, mesh, state)
  losses = []
  for _ in range(2):
    state, metrics = jax.block_until_ready(chunk(state, data))
    losses.append(float(metrics["model/selection_error"][0]))
  assert losses[1] < losses[0]


@pytest.mark.slow
def test_the_step_runs_under_pmap_of_vmap(loaded):
  """The plain form of the same function: four devices, two seeds on each."""
  config = systems.small("logo_macql", data_parallel=4)
  _, train, params = systems.train_parts(config, loaded, "batch")
  keys = jax.vmap(jax.random.key)(jnp.arange(2))

  def init(key, data):
    return train.init(key, params, data)

  mapped = functools.partial(jax.pmap, axis_name="batch", in_axes=(0, None))
  on_devices = jnp.broadcast_to(keys, (4, 2))
  state = mapped(jax.vmap(init, (0, None)))(on_devices, loaded.data)
  chunk = jax.pmap(
    jax.vmap(train.chunk, (0, None)), axis_name="batch", in_axes=(0, None)
  )
  state, metrics = jax.block_until_ready(chunk(state, loaded.data))
  assert metrics["learner/bc_loss"].shape == (4, 2)
  leaf = np.asarray(jax.tree.leaves(state.learner.params)[0])
  assert (leaf == leaf[:1]).all()
  # The same numbers as under the device map of the library.
  two = dataclasses.replace(config, num_seeds=2)
  mesh = parallel.make_mesh(2, 4)
  assert mesh.shape == {"seeds": 1, "batch": 4}
  other, _ = _run(two, loaded, chunks=1)
  own = np.asarray(jax.tree.leaves(other.learner.params)[0])
  np.testing.assert_allclose(leaf[0], own, atol=1e-5)


def test_more_devices_than_there_are():
  with pytest.raises(ValueError, match="data_parallel: 8 devices asked for, 4 are"):
    parallel.make_mesh(1, 8)
