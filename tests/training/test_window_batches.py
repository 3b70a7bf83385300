"""Batches of windows, as a learner with a memory gets them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs.registry import component
from logo_jax.data.dataset import window_transitions
from logo_jax.imagination.acted import Imagination
from logo_jax.training import compose, parallel
from logo_jax.training.compose import System
from logo_jax.training.step import make_train
from logo_jax.types import Batch, Uncertainty
from logo_jax.weighting import confidence
from tests.training import systems

UPDATES = 20  # of a chunk


@pytest.fixture(scope="module")
def loaded():
  """Each row's number is in the place of its reward."""
  loaded = systems.load()
  rows = loaded.data.rows
  rows = rows._replace(reward=jnp.arange(len(rows.reward), dtype=jnp.float32))
  return dataclasses.replace(loaded, data=loaded.data._replace(rows=rows))


def _imagination() -> Imagination:
  """The corridor itself; the less sure, the further to the right an agent is."""
  model = systems.simulator()
  score = Uncertainty(
    min_views=1,
    init=lambda *args: (),
    score=lambda params, t, p: t.state @ jnp.arange(8.0) / 10,
    accumulate=jnp.maximum,
    calibrate=lambda params, raw: raw,
  )
  weighting = confidence.make(confidence.Config(), None)  # type: ignore
  return Imagination(model, score, weighting)


def _train(loaded, config, window):
  num = config.batch_size // config.data_parallel // window
  t = window_transitions(loaded.data.rows, jnp.zeros((num, window + 1), jnp.int32))
  if window == 1:
    t = jax.tree.map(lambda x: x[:, 0], t)
  shape = t.reward.shape
  like = Batch(t, jnp.zeros(shape), jnp.zeros(shape, bool), jnp.float32(0))
  imagination = None if config.model is None else _imagination()
  system = System(systems.recorder(UPDATES, like, window), imagination)
  axis = "batch" if config.data_parallel > 1 else None
  return make_train(system, config, axis)


def _record(loaded, config, window, chunks=1):
  """Of each device: the batches of the last chunk, and its ring."""
  mesh = parallel.make_mesh(1, config.data_parallel)
  train = _train(loaded, config, window)
  data = parallel.replicate(loaded.data, mesh)
  keys = jax.vmap(jax.random.key)(jnp.array([3]))
  state = parallel.map_init(train.init, mesh, keys, (), shared=data)
  chunk = parallel.map_chunk(train.chunk, mesh, state)
  for _ in range(chunks):
    state, _ = chunk(state, data)

  def on(device):
    tree = (state.learner.params, state.ring)
    return jax.tree.map(
      lambda x: np.asarray(x.addressable_shards[device].data)[0], tree
    )

  return [on(device) for device in range(config.data_parallel)]


def _config(preset, **changes):
  return systems.small(
    preset, total_updates=UPDATES, collect_interval=UPDATES, **changes
  )


def test_single_transitions_are_drawn_as_ever(loaded):
  draws = _train(loaded, _config("macql"), 1).draw(
    jax.random.key(3), jnp.int32(0), loaded.data
  )
  assert draws.updates.shape == (UPDATES, 32)
  np.testing.assert_array_equal(draws.updates[0, :6], [688, 147, 123, 758, 252, 41])


def _assert_shared(weight, counts, mass):
  """The n steps of each window share T times its mass equally."""
  num = counts.sum(-1, keepdims=True)
  assert not counts.all()
  np.testing.assert_allclose(weight, mass * counts * counts.shape[-1] / num, rtol=1e-5)
  np.testing.assert_allclose(weight.mean(-1), mass, rtol=1e-5)


@pytest.mark.parametrize("length", [2, 8])
def test_real_windows_never_cross_episodes(loaded, length):
  ((batches, _),) = _record(loaded, _config("macql"), length)
  t, weight = batches.transition, batches.weight
  assert weight.shape == batches.real.shape == (UPDATES, 32 // length, length)
  assert batches.real.all() and (batches.real_share == 1).all()
  counts = weight > 0
  _assert_shared(weight, counts, 1.0)
  rows, starts = t.reward.astype(int), set(np.asarray(loaded.data.starts).tolist())
  state = np.asarray(loaded.data.rows.state)
  for row, count in zip(
    rows.reshape(-1, length), counts.reshape(-1, length), strict=True
  ):
    num = count.sum()
    assert num >= 1 and count[:num].all()
    np.testing.assert_array_equal(row[:num], row[0] + np.arange(num))
    assert starts.issuperset(row[:num])
    if num < length:  # cut at one end of the episode, or at both
      assert set(row[num:]) == {row[0] + num}
      assert row[0] - 1 not in starts or row[0] + num not in starts
  # A step leads to the next one of its window, or to the final observation.
  np.testing.assert_array_equal(t.next_state[..., :-1, :], t.state[..., 1:, :])
  np.testing.assert_array_equal(t.next_state[counts], state[rows[counts] + 1])


@pytest.mark.parametrize("data_parallel", [1, 2])
def test_imagined_windows_share_the_mass_of_their_device(loaded, data_parallel):
  """All together 1, in every batch; devices have other rows and other masses."""
  config = _config("logo_macql", data_parallel=data_parallel, horizon=5, num_starts=8)
  length, log_weight = 4, _imagination().weighting.log_weight
  recorded = _record(loaded, config, length, chunks=6)
  contents = [ring.content for _, ring in recorded]
  masses = np.array(
    [np.exp(np.asarray(log_weight(c.score)))[c.valid].sum() for c in contents]
  )
  masses /= masses.mean()
  assert len(set(masses)) == data_parallel
  for (batches, _), content, mass in zip(recorded, contents, masses, strict=True):
    weight = batches.weight[~batches.real].reshape(-1, length)
    counts = weight > 0
    _assert_shared(weight, counts, mass)
    assert counts[:, 0].all() and (np.diff(counts.astype(int)) <= 0).all()
    # Windows follow their rollouts, whose ends are followed by what the model saw.
    states = batches.transition.state, batches.transition.next_state
    state, after = (x[~batches.real[..., 0]] for x in states)
    np.testing.assert_array_equal(after[:, :-1], state[:, 1:])
    rollouts = content.rows.state.reshape(-1, 6, state.shape[-1])
    for steps, num in zip(state, counts.sum(-1), strict=True):
      cuts = (rollouts[:, k : k + num] for k in range(6 - num))
      assert any((cut == steps[:num]).all((1, 2)).any() for cut in cuts)


def test_the_coin_takes_whole_batches_of_windows(loaded):
  config = _config("logo_macql", mix="bernoulli", real_share=0.5)
  ((batches, _),) = _record(loaded, config, 4)
  real = batches.real.reshape(UPDATES, -1)
  assert batches.real.shape == (UPDATES, 8, 4)
  assert (real == real[:, :1]).all() and 0 < real[:, 0].sum() < UPDATES
  assert (batches.real_share == 0.5).all()


@pytest.mark.parametrize(
  ("preset", "changes", "message"),
  [
    ("macql", {"batch_size": 30}, "batch_size: 30 gives a device 30 real and 0 "),
    ("logo_macql", {"batch_size": 36}, "batch_size: 36 gives a device 18 real and 18 "),
    (
      "logo_macql",
      {"data_parallel": 4, "batch_size": 48},
      "a device 6 real and 6 imagined",
    ),
  ],
)
def test_batches_are_whole_windows(loaded, preset, changes, message):
  learner = component("learner", "macql", recurrent=True, window=4)
  config = systems.small(preset, learner=learner, **changes)
  with pytest.raises(ValueError, match=message + r".*learner\.window \(4\)"):
    compose.check_components(config, loaded.spec)
