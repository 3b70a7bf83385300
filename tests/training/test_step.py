"""Imagination and the compiled train step."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs import presets
from logo_jax.configs.registry import component
from logo_jax.data import dataset
from logo_jax.data.dataset import transitions
from logo_jax.imagination.acted import Imagination
from logo_jax.imagination.rows import imagine_rows
from logo_jax.training.compose import System
from logo_jax.training.step import make_train
from logo_jax.types import Actor, Learner, LearnerState, Uncertainty
from logo_jax.weighting import uniform
from tests import skirmish, toys
from tests.training import systems


@pytest.fixture(scope="module")
def loaded():
  return systems.load()


def _simulator() -> Imagination:
  """The corridor itself in the place of a model, scoring each step by its number."""
  model = systems.simulator()
  score = Uncertainty(
    min_views=1,
    init=None,  # type: ignore
    score=lambda params, t, p: jnp.ones_like(t.reward),
    accumulate=jnp.add,
    calibrate=lambda params, raw: raw,
  )
  weighting = uniform.make(uniform.Config(), None)  # type: ignore
  return Imagination(model, score, weighting)


def _actor(act, initial_carry=lambda shape: ()):
  return Actor(initial_carry, act)


def _move_right(params, carry, now, key):
  return carry, jnp.where(now.legal[..., 2], 2, 1).astype(jnp.int32)


def _imagine(actor, starts, horizon):
  def run(key):
    return imagine_rows(_simulator(), actor, ((), (), ()), starts, horizon, key)

  return jax.jit(run)(jax.random.key(0))


def test_rollouts_are_rows_that_end_where_the_episode_ends():
  env = toys.corridor()
  _, first = env.reset(None)
  starts = jax.tree.map(lambda x: jnp.stack([x, x]), first)
  state = starts.state.at[1].set(jax.nn.one_hot(jnp.array([2, 2]), 4).ravel())
  # transition fields: obs, state, legal, action, reward, discount, ...
  rows = transitions_like(starts._replace(state=state))
  got = _imagine(_actor(_move_right), rows, 4)
  assert got.valid.shape == (2 * 5,)
  # From the left end the win is step 3; from cell 2 it is step 1; then nothing counts,
  # and the row of the final prediction never starts a transition.
  np.testing.assert_array_equal(got.valid, [1, 1, 1, 0, 0] + [1, 0, 0, 0, 0])
  np.testing.assert_allclose(got.rows.reward[:3], [0.2, 0.2, 1.2], rtol=1e-6)
  np.testing.assert_array_equal(got.rows.discount[:3], [1, 1, 0])
  np.testing.assert_array_equal(got.score[:4], [1, 2, 3, 4])
  # The row after a transition is where it led.
  t = transitions(got.rows, jnp.array([0, 1]))
  np.testing.assert_array_equal(
    t.next_state.reshape(2, 2, 4).argmax(-1), [[1, 1], [2, 2]]
  )


def test_a_rollout_feeds_back_the_memory():
  def act(params, carry, now, key):
    right = now.legal[..., 2] & (carry >= 1)[:, None]
    return carry + 1, jnp.where(right, 2, 1).astype(jnp.int32)

  _, first = toys.corridor().reset(None)
  starts = transitions_like(jax.tree.map(lambda x: jnp.stack([x, x]), first))
  actor = _actor(act, lambda shape: jnp.zeros(shape, jnp.int32))
  got = _imagine(actor, starts, 3)
  # One step of waiting at the start of each rollout; the last row is no step.
  np.testing.assert_array_equal(got.rows.action[:, 0], [1, 2, 2, 0] * 2)


def transitions_like(now):
  from logo_jax.types import Transition

  action = jnp.zeros(now.legal.shape[:-1], jnp.int32)
  return Transition(
    now.obs, now.state, now.legal, action, now.reward, now.discount, *now[:3]
  )


def test_real_rows_alone_at_first_and_what_was_imagined_is_forgotten(loaded):
  """Until 20 updates are done; collections are 10 updates apart, of 16 rows."""

  def update(state, batch, key):
    imagined = jnp.mean(batch.weight * ~batch.real)
    metrics = {"imagined": imagined, "real_share": batch.real_share}
    return state._replace(step=state.step + 1), metrics

  learner = Learner(
    init=lambda key: LearnerState((), (), (), jnp.int32(0)),
    update=update,
    actor=Actor(lambda shape: (), _move_right),
  )
  imagination = _simulator()
  imagination = imagination._replace(
    uncertainty=imagination.uncertainty._replace(init=lambda *args: ())
  )
  config = systems.small("logo_macql", imagine_after=15, horizon=1)  # of chunks of 10
  train = make_train(System(learner, imagination), config)
  state = jax.jit(train.init)(jax.random.key(0), (), loaded.data)
  chunk, seen = jax.jit(train.chunk), []
  for _ in range(4):
    state, metrics = chunk(state, loaded.data)
    seen.append([float(metrics[k]) for k in ("imagination/rows", *_WATCHED)])
  assert seen == [[16, 0, 1], [16, 0, 1], [16, 0.5, 0.5], [32, 0.5, 0.5]]


_WATCHED = ("imagined", "real_share")


# What is made of parts that others have, too, is left out by default.
_SLOW = (
  "logo_uniform",
  "logo_flat",
  "moma_ppo",
  "logo_omar",
  "logo_omiga",
  "logo_penalty",
  "logo_literal",
  "logo_mpc",  # has tests of its own
  "macql_mpc",
  "logo_cfcql",
  "direct",
  "ensemble",
  "morel",
  "sumo",
  "mamba",
  "mamba_native",
  "mazero_macql",
)
_SLOW_CONTINUOUS = ("logo_omiga", "sumo", "mamba", "mamba_native", "mazero_macql")
_IMAGINING = [
  pytest.param(name, marks=pytest.mark.slow if name in _SLOW else ())
  for name in presets.names()
  if presets.get(name).model and not systems.reads_entities(presets.get(name))
  if name != "simulator_mappo"
]


@pytest.fixture(scope="module")
def continuous():
  return dataset.load(toys.linear_quadratic(100))


@pytest.mark.parametrize("preset", ["macql", *_IMAGINING])
def test_presets_train_and_are_traced_once(loaded, preset):
  _train_some(preset, loaded)


@pytest.mark.parametrize(
  "preset",
  [
    "logo_macql",
    *(pytest.param(x, marks=pytest.mark.slow) for x in _SLOW_CONTINUOUS),
  ],
)
def test_the_same_presets_train_on_continuous_actions(continuous, preset):
  _train_some(preset, continuous)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["logo", "direct"])
def test_models_of_entities_imagine(name):
  chosen = component("model", name, network="entity", hidden_size=16)
  _train_some(f"{name}_entity", skirmish.load(60), model=chosen)


def _train_some(preset, loaded, **changes):
  config = systems.small(preset, **changes)
  _, train, params = systems.train_parts(config, loaded)
  traces = 0

  def chunk(state, data):  # named so that other tests find its program in the cache
    nonlocal traces
    traces += 1
    return train.chunk(state, data)

  state = jax.jit(train.init)(jax.random.key(0), params, loaded.data)
  run = jax.jit(chunk, donate_argnums=0)
  before = jax.device_get(state.learner.params)
  for _ in range(3):
    state, metrics = run(state, loaded.data)
  assert traces == 1
  assert int(state.step) == 30 == int(state.learner.step)
  assert all(np.isfinite(v).all() for v in jax.tree.leaves(metrics))
  moved = jax.tree.map(
    lambda a, b: np.abs(a - b).max(), before, jax.device_get(state.learner.params)
  )
  assert max(jax.tree.leaves(moved)) > 0


def _final_params(config, loaded, chunks=10):
  _, train, params = systems.train_parts(config, loaded)
  state = jax.jit(train.init)(jax.random.key(3), params, loaded.data)
  chunk = jax.jit(train.chunk, donate_argnums=0)
  for _ in range(chunks):
    state, metrics = chunk(state, loaded.data)
  return jax.device_get(state.learner.params), jax.device_get(metrics)


def _equal(a, b) -> bool:
  return all(jax.tree.leaves(jax.tree.map(lambda x, y: (x == y).all(), a, b)))


def test_real_data_alone_is_plain_macql_bit_for_bit(loaded):
  """After 100 updates, whatever the model imagines."""
  only_real, _ = _final_params(systems.small("logo_macql", real_share=1.0), loaded)
  plain, _ = _final_params(systems.small("macql"), loaded)
  assert _equal(only_real, plain)


@pytest.mark.slow
def test_no_uncertainty_samples_like_uniform_weights(loaded):
  """With C -> 0 every weight is exp(0): the same draws as without weighting."""
  weightless = systems.small(
    "logo", weighting=component("weighting", "confidence", clip=1e-9)
  )
  one, metrics = _final_params(weightless, loaded, chunks=2)
  other, _ = _final_params(systems.small("logo_uniform"), loaded, chunks=2)
  assert _equal(one, other)
  assert metrics["imagination/effective_sample_size"] == pytest.approx(1.0)


@pytest.mark.slow
def test_where_every_imagined_row_halts_the_real_ones_teach(loaded):
  halt = component("weighting", "halt", bootstrap=True, threshold=0.0)
  config = systems.small("logo_macql", weighting=halt)
  params, metrics = _final_params(config, loaded, chunks=2)
  assert metrics["imagination/effective_sample_size"] == 0.0
  assert all(np.isfinite(x).all() for x in jax.tree.leaves((params, metrics)))


@pytest.mark.slow  # of windows it is tested by default
def test_the_coin_takes_whole_batches(loaded):
  config = systems.small("logo_macql", mix="bernoulli", real_share=0.5)
  _, metrics = _final_params(config, loaded, chunks=2)
  assert np.isfinite(metrics["learner/bellman_error"])
  always = dataclasses.replace(config, real_share=1.0)
  params, _ = _final_params(always, loaded)
  plain, _ = _final_params(systems.small("macql"), loaded)
  assert _equal(params, plain)


def test_seeds_differ_and_repeat(loaded):
  _, train, params = systems.train_parts(systems.small("bc"), loaded)

  def run(seed):
    state = train.init(jax.random.key(seed), params, loaded.data)
    return train.chunk(state, loaded.data)[0].learner.params

  run = jax.jit(run)
  assert _equal(run(0), run(0))
  assert not _equal(run(0), run(1))
