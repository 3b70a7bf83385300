"""What every environment must do; a new one is tested by its name."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax import types
from logo_jax.envs import base

COPIES = 4
# Slow to compile or to play, and like another of their game: their shapes are enough.
_LIKE_OTHERS = {
  *(name for name in base.names() if name.startswith("smax/") and name != "smax/3m"),
  "jumanji/rware-tiny-4ag",
  "jumanji/rware-small-4ag",
  "jumanji/lbf-2s-8x8-2p-2f-coop",
  "jumanji/lbf-15x15-4p-5f",
  "jumanji/connector-7x7x5a",
  "mamujoco/ant-2x4-full",
}
PLAYED = [name for name in base.names() if name not in _LIKE_OTHERS]


def _make(name):
  try:
    return base.make(name)
  except ImportError as error:
    if "pip install 'logo_jax[" not in str(error):
      raise
    pytest.skip(str(error))


def _play(name, seed):
  """Random legal play for `max_steps` steps, on past the end; axes `[T + 1, B]`."""
  env = _make(name)
  if isinstance(env, types.Environment):
    played = _compiled(name)(jax.random.key(seed))
    return jax.tree.map(np.asarray, played)
  return _play_host(env, seed)


@functools.cache
def _compiled(name):
  env = base.make(name)
  assert isinstance(env, types.Environment)

  def play(key):
    k_reset, k_play = jax.random.split(key)
    start = jax.vmap(env.reset)(jax.random.split(k_reset, COPIES))

    def one(carry, index):
      k_act, k_step = jax.random.split(jax.random.fold_in(k_play, index))
      state, now = carry
      if env.spec.action_kind == "discrete":
        action = jax.random.categorical(k_act, jnp.where(now.legal, 0.0, -1e9))
      else:
        action = jax.random.uniform(k_act, now.legal.shape, minval=-1.0)
      reached = jax.vmap(env.step)(state, action, jax.random.split(k_step, COPIES))
      return reached, reached[1]

    _, after = jax.lax.scan(one, start, jnp.arange(env.spec.max_steps))
    first = jax.tree.map(lambda x: x[None], start[1])
    return jax.tree.map(lambda *x: jnp.concatenate(x), first, after)

  return jax.jit(play)


def _actions(spec, rng, legal):
  if spec.action_kind == "discrete":
    scores = np.where(legal, rng.random(legal.shape), -1)
    return scores.argmax(-1).astype(np.int32)
  return rng.uniform(-1, 1, legal.shape).astype(np.float32)


def _play_host(env, seed):
  rng = np.random.default_rng(seed)
  state, timestep = env.reset(rng, COPIES)
  seen = [timestep]
  for _ in range(env.spec.max_steps):
    state, timestep = env.step(state, _actions(env.spec, rng, timestep.legal))
    seen.append(timestep)
  return jax.tree.map(lambda *x: np.stack(x), *seen)


@functools.cache
def _played(name):
  return _play(name, 0)


def _ends(played):
  """The step at which each copy's first episode ends."""
  assert played.last.any(0).all()
  return played.last.argmax(0)


def _shapes(spec):
  shapes = {
    "obs": (jnp.float32, (spec.num_agents, spec.obs_dim)),
    "state": (jnp.float32, (spec.state_dim,)),
    "legal": (jnp.bool_, (spec.num_agents, spec.action_dim)),
    "reward": (jnp.float32, ()),
    "discount": (jnp.float32, ()),
    "last": (jnp.bool_, ()),
    "won": (jnp.bool_, ()),
  }
  return {name: (np.dtype(dtype), shape) for name, (dtype, shape) in shapes.items()}


@pytest.mark.parametrize("name", base.names())
def test_is_made_once_and_carries_its_name(name):
  env = _make(name)
  assert env is base.make(name)
  assert env.spec.name == name
  assert env.spec.max_steps > 0
  assert hash(env.spec) == hash(base.make(name).spec)


@pytest.mark.parametrize("name", base.names())
def test_a_step_keeps_the_shapes_and_types_of_the_spec(name):
  env = _make(name)
  spec = env.spec
  if isinstance(env, types.HostEnvironment):
    rng = np.random.default_rng(0)
    start = env.reset(rng, COPIES)
    after = env.step(start[0], _actions(spec, rng, start[1].legal))
    _same_shapes(start, after)
    found = {key: (x.dtype, x.shape[1:]) for key, x in after[1]._asdict().items()}
    assert found == _shapes(spec)
    return
  start = jax.eval_shape(env.reset, jax.random.key(0))
  discrete = spec.action_kind == "discrete"
  action = jax.ShapeDtypeStruct(
    (spec.num_agents,) if discrete else (spec.num_agents, spec.action_dim),
    jnp.int32 if discrete else jnp.float32,
  )
  after = jax.eval_shape(env.step, start[0], action, jax.random.key(0))
  _same_shapes(start, after)
  found = {key: (x.dtype, x.shape) for key, x in start[1]._asdict().items()}
  assert found == _shapes(spec)
  assert not any(x.weak_type for x in jax.tree.leaves(start))


def _same_shapes(tree, other):
  jax.tree.map(lambda x, y: _equal((x.shape, x.dtype), (y.shape, y.dtype)), tree, other)


def _equal(x, y):
  assert x == y


@pytest.mark.parametrize("name", PLAYED)
def test_what_is_shown_is_as_the_spec_says(name):
  played, spec = _played(name), _make(name).spec
  for field, (dtype, shape) in _shapes(spec).items():
    array = getattr(played, field)
    assert array.dtype == dtype, field
    assert array.shape == (spec.max_steps + 1, COPIES, *shape), field
    assert np.isfinite(array).all(), field
  assert not played.obs[..., ~spec.obs_mask].any()
  assert played.legal.any(-1).all()


@pytest.mark.parametrize("name", PLAYED)
def test_a_reset_starts_an_episode(name):
  first = jax.tree.map(lambda x: x[0], _played(name))
  assert not first.reward.any()
  assert not first.last.any()
  assert not first.won.any()
  np.testing.assert_array_equal(first.discount, 1)


@pytest.mark.parametrize("name", PLAYED)
def test_episodes_end_with_discount_0_unless_by_the_time_limit(name):
  played, spec = _played(name), _make(name).spec
  ends = _ends(played)
  for copy, end in enumerate(ends):
    assert 0 < end <= spec.max_steps
    np.testing.assert_array_equal(played.discount[:end, copy], 1)
    assert played.discount[end, copy] == (end == spec.max_steps)
    assert not played.won[:end, copy].any()


@pytest.mark.parametrize("name", PLAYED)
def test_the_end_shows_what_was_reached_not_a_new_start(name):
  """It is nearer to the step before than to any start, or unlike all starts."""
  played, ends = _played(name), _ends(_played(name))
  for copy, end in enumerate(ends):
    end_state, starts = played.state[end, copy], played.state[0]
    assert (end_state != starts[copy]).any()
    moved = np.abs(end_state - played.state[end - 1, copy]).sum()
    nearest = np.abs(starts - end_state).sum(-1).min()
    spread = np.abs(starts - starts[:, None]).sum(-1).max()
    assert moved < nearest or nearest > spread


@pytest.mark.parametrize("name", PLAYED)
def test_keys_decide_everything(name):
  played = _played(name)
  jax.tree.map(np.testing.assert_array_equal, played, _play(name, 0))
  assert (played.state != _play(name, 1).state).any()
  assert (played.state[:, 0] != played.state[:, 1]).any()


@pytest.mark.parametrize("name", PLAYED)
def test_host_environments_leave_their_arguments_alone(name):
  env = _make(name)
  if isinstance(env, types.Environment):
    pytest.skip("JAX arrays cannot be changed")
  rng = np.random.default_rng(0)
  state, timestep = env.reset(rng, COPIES)
  action = _actions(env.spec, rng, timestep.legal)
  before = jax.tree.map(np.copy, (state, timestep, action))
  reached = env.step(state, action)
  kept = jax.tree.map(np.copy, reached)
  env.step(reached[0], action)
  jax.tree.map(np.testing.assert_array_equal, (state, timestep, action), before)
  jax.tree.map(np.testing.assert_array_equal, reached, kept)


@pytest.mark.parametrize("name", PLAYED)
def test_copies_on_the_host_know_nothing_of_each_other(name):
  env = _make(name)
  if isinstance(env, types.Environment):
    pytest.skip("vmap keeps copies apart")
  rng = np.random.default_rng(0)
  state, timestep = env.reset(rng, COPIES)
  action = _actions(env.spec, rng, timestep.legal)
  reached = env.step(state, action)
  pick = np.array([2, 0])
  some = env.step(jax.tree.map(lambda x: x[pick], state), action[pick])
  jax.tree.map(
    lambda x, y: np.testing.assert_array_equal(x[pick], y), tuple(reached), tuple(some)
  )
