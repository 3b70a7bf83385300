"""Loaded policies play what the house's own evaluation plays."""

import functools
import inspect
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logo_jax
from logo_jax.runs import playback
from logo_jax.training import parallel, plans
from logo_jax.training.session import Evaluator
from logo_jax.types import HostEnvironment, TimeStep
from tests.deploy import runs

STEPS = 3


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
  @functools.cache
  def of(kind):
    make, changes = runs.KINDS[kind]
    return runs.train(tmp_path_factory.mktemp(kind), make(), **changes)

  return of


def _recorded(spec, num, seed=0):
  """Observations [T, B, N, O] and legal actions of nobody's play, seeds one by one."""
  rng = np.random.default_rng(seed)
  obs = rng.normal(size=(STEPS, num, spec.num_agents, spec.obs_dim))
  legal = rng.random((STEPS, num, spec.num_agents, spec.action_dim)) < 0.5
  legal[..., 0] |= ~legal.any(-1)
  return obs.astype(np.float32), legal


def _played_by_the_house(run_dir):
  """What the evaluation of all seeds does where it sees what is recorded."""
  config, known = playback.of_run(run_dir)
  system = playback.compose_of(config, known)
  mesh = parallel.make_mesh(config.num_seeds, 1)
  _, params = playback.played(config, system, mesh, run_dir, known.spec, False)
  num = config.num_seeds * config.evaluation.episodes
  obs, legal = _recorded(known.spec, num)
  done: list[np.ndarray] = []

  def show(step):
    nothing = np.zeros(num, np.float32)
    over: Any = np.full(num, step == STEPS)
    at = min(step, STEPS - 1)
    state = np.full((num, known.spec.state_dim), np.nan, np.float32)
    fields: tuple[Any, ...] = (obs[at], state, legal[at], nothing, 1 - nothing)
    return TimeStep(*fields, over, over)

  def reset(rng, number):
    first = jax.tree.map(lambda x: x[:number], show(0))
    return np.zeros(number, int), first

  def step(state, action):
    done.append(action)
    return state + 1, show(int(state[0]) + 1)

  def rows(x):  # every seed is shown the first episodes
    half = config.evaluation.episodes
    return np.concatenate([x[:, :half]] * config.num_seeds, 1)

  obs, legal = rows(obs), rows(legal)
  env = HostEnvironment(known.spec, reset, step)
  Evaluator(env, plans.actor_of(config, system), mesh, config).curve(params)
  shape = (STEPS, config.num_seeds, config.evaluation.episodes)
  actions = np.stack(done).reshape(*shape, *done[0].shape[1:])
  return obs[:, : shape[2]], legal[:, : shape[2]], actions


@pytest.mark.parametrize("kind", runs.KINDS)
def test_plays_like_the_evaluation(run_of, kind):
  run_dir = run_of(kind)
  obs, legal, actions = _played_by_the_house(run_dir)
  for seed_index in range(2):
    policy = logo_jax.load_policy(run_dir, seed_index)
    assert policy.step == 4 and not policy.centralised
    memory = policy.initial_memory(2)
    assert policy.remembers == (kind == "recurrent")
    for t in range(STEPS):
      action, memory = policy(obs[t], legal[t], memory)
      assert isinstance(action, np.ndarray)
      np.testing.assert_allclose(action, actions[t, seed_index], atol=1e-6)
  if kind == "continuous":
    assert np.abs(actions[:, 0] - actions[:, 1]).max() > 1e-3  # seeds differ


def test_a_memory_is_handed_on(run_of):
  policy = logo_jax.load_policy(run_of("recurrent"))
  obs, legal = _recorded(policy.spec, 2)
  _, after = policy(obs[0], legal[0], policy.initial_memory(2))
  _, later = policy(obs[1], legal[1], after)
  _, fresh = policy(obs[1], legal[1], policy.initial_memory(2))
  assert isinstance(later, np.ndarray)
  assert np.abs(later - fresh).max() > 1e-4


@pytest.mark.parametrize("kind", runs.KINDS)
def test_leading_axes_are_the_callers(run_of, kind):
  policy = logo_jax.load_policy(run_of(kind))
  obs, legal = (x.reshape(1, 6, *x.shape[2:]) for x in _recorded(policy.spec, 2))
  many, memory = policy(obs, legal, policy.initial_memory(1, 6))
  for i in range(6):
    one, left = policy(obs[0, i], legal[0, i], policy.initial_memory())
    np.testing.assert_allclose(one, many[0, i], atol=1e-6)
    for x, y in zip(jax.tree.leaves(left), jax.tree.leaves(memory), strict=True):
      np.testing.assert_allclose(x, y[0, i], atol=1e-6)


def test_inside_compiled_programs(run_of):
  policy = logo_jax.load_policy(run_of("discrete"))
  obs, legal = _recorded(policy.spec, 2)
  wanted, _ = policy(obs, legal)
  found, _ = jax.jit(jax.vmap(policy))(jnp.asarray(obs), jnp.asarray(legal))
  assert isinstance(found, jax.Array)
  np.testing.assert_array_equal(found, wanted)


def test_samples_with_a_key(run_of):
  policy = logo_jax.load_policy(run_of("discrete"))
  obs = np.zeros((4_000, 2, policy.spec.obs_dim))
  legal = np.ones((4_000, 2, 3), bool)
  legal[:, 1, 0] = False
  greedy, _ = policy(obs, legal)
  assert len(np.unique(greedy[:, 0])) == 1
  first, _ = policy(obs, legal, key=jax.random.key(0))
  raw, _ = policy(obs, legal, key=jax.random.key_data(jax.random.key(0)))
  other, _ = policy(obs, legal, key=jax.random.key(1))
  np.testing.assert_array_equal(first, raw)
  assert (first != other).any()
  assert set(np.unique(first[:, 0])) == {0, 1, 2}
  assert set(np.unique(first[:, 1])) == {1, 2}


def test_observations_of_unequal_sizes_are_padded(run_of):
  policy = logo_jax.load_policy(run_of("continuous"))
  spec = policy.spec
  policy.spec = type(spec)("toy/x", 2, 3, 1, "continuous", 1, 8, obs_sizes=(3, 2))
  seen = policy.stack([np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0])])
  np.testing.assert_array_equal(seen, [[1, 2, 3], [4, 5, 0]])
  with pytest.raises(ValueError, match=r"see \[3, 2\] features, got \[2, 3\]"):
    policy.stack([np.zeros(2), np.zeros(3)])


def _call(policy, obs=(2, 5), legal=(2, 3), **kwargs):
  legal = None if legal is None else np.ones(legal, bool)
  return policy(np.zeros(obs), legal, **kwargs)


@pytest.mark.parametrize(
  ("wrong", "message"),
  [
    ({"obs": (2, 4)}, r"obs: .*\[2, 5\]; got \[2, 4\]"),
    ({"obs": (5,)}, r"obs: .*got \[5\]"),
    ({"legal": (2, 2)}, r"legal: .*\[2, 3\]; got \[2, 2\]"),
    ({"obs": (7, 2, 5)}, r"legal: .*\[7, 2, 3\]; got \[2, 3\]"),
    ({"legal": None}, r"legal: .*discrete.*\[2, 3\]"),
  ],
)
def test_wrong_shapes_are_named(run_of, wrong, message):
  with pytest.raises(ValueError, match=message):
    _call(logo_jax.load_policy(run_of("discrete")), **wrong)


def test_a_memory_that_is_left_out_is_asked_for(run_of):
  policy = logo_jax.load_policy(run_of("recurrent"))
  with pytest.raises(ValueError, match=r"memory: .*initial_memory\(\)"):
    _call(policy, (2, 1), (2, 2))
  with pytest.raises(ValueError, match=r"memory: .*\[\(2, 8\)\]; got \[\(3, 2, 8\)\]"):
    _call(policy, (2, 1), (2, 2), memory=policy.initial_memory(3))


def test_what_cannot_be_loaded(run_of, tmp_path):
  run_dir = run_of("discrete")
  with pytest.raises(ValueError, match="seed_index: must be from 0 to 1.*got 2"):
    logo_jax.load_policy(run_dir, 2)
  with pytest.raises(ValueError, match="holds no config.json"):
    logo_jax.load_policy(tmp_path)
  for name in ("config.json", "dataset.json"):
    (tmp_path / name).write_bytes((run_dir / name).read_bytes())
  with pytest.raises(ValueError, match="nothing is trained yet"):
    logo_jax.load_policy(tmp_path)
  with pytest.raises(ValueError, match="best: no checkpoint .* has a score"):
    logo_jax.load_policy(run_dir, best=True)


def test_the_name_is_at_the_top():
  assert inspect.isfunction(logo_jax.load_policy)
  with pytest.raises(AttributeError, match="no attribute 'load_polizy'"):
    logo_jax.load_polizy  # noqa: B018  pyright: ignore
