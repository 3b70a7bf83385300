"""The examples of docs/deploy.md: policies play in other people's environments."""

import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logo_jax
from logo_jax.envs import base
from logo_jax.types import Rows
from tests import toys
from tests.deploy import runs

pytest.importorskip("jaxmarl")
pytest.importorskip("gymnasium_robotics")

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "deploy.md"


def _example(word):
  blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
  (found,) = (block for block in blocks if word in block)
  return found


def _noise(spec, num=40, seed=0):
  """Data of the right sizes, in which nothing is to be learned."""
  rng = np.random.default_rng(seed)
  last = np.arange(num) % 10 == 9
  action = rng.uniform(-1, 1, (num, spec.num_agents, spec.action_dim))
  if spec.action_kind == "discrete":
    action = action.argmax(-1)
  return toys.stored(
    spec,
    Rows(
      obs=rng.normal(size=(num, *spec.obs_mask.shape)).astype("f") * spec.obs_mask,
      state=rng.normal(size=(num, spec.state_dim)).astype("f"),
      legal=np.ones((num, spec.num_agents, spec.action_dim), bool),
      action=(action.T * ~last).T.astype("i" if action.ndim == 2 else "f"),
      reward=(rng.normal(size=num) * ~last).astype("f"),
      discount=np.ones(num, np.float32),
    ),
    np.arange(0, num + 1, 10),
  )


def _run(folder, name, scenario, **changes):
  spec = base.make(scenario).spec
  runs.train(folder, _noise(spec), num_seeds=1, **changes)
  (folder / "runs").mkdir()
  (folder / "run").rename(folder / "runs" / name)
  return spec


@pytest.mark.slow
def test_jaxmarl(tmp_path, monkeypatch):
  window = {"learner__recurrent": True, "learner__window": 2}
  _run(tmp_path, "a", "smax/2s3z", **window)
  monkeypatch.chdir(tmp_path)
  names: dict = {}
  exec(_example("HeuristicEnemySMAX"), names)  # our own text
  assert 0 <= names["total"] <= 2.0
  assert names["memory"].shape == (5, 8) and np.abs(names["memory"]).max() > 0


def test_agents_see_what_jaxmarl_shows():
  """Of units, too, whose weapons have long been ready; states differ there alone."""
  from logo_jax.envs import smax

  env = smax._make_jaxmarl("3m")
  _, state = env.reset(jax.random.PRNGKey(0))
  cooldowns = jnp.array([0.5, -1.0, -7.0, 0.25, -3.0, 0.0])
  state = state.replace(state=state.state.replace(unit_weapon_cooldowns=cooldowns))
  shown, here = env.get_obs(state), smax._observe(env, state, jnp.float32(0.0))
  theirs = np.stack([shown[agent] for agent in env.agents])
  np.testing.assert_array_equal(here.obs, theirs)
  differs = here.state != env.get_world_state(state)
  assert differs.sum() == 3 and not (differs & ~smax.cooldown_mask(env)).any()


_SLOW = [pytest.param(x, marks=pytest.mark.slow) for x in ("hopper-3x1", "ant-2x4")]


@pytest.mark.parametrize("scenario", [*_SLOW, "halfcheetah-6x1"])
def test_mamujoco(tmp_path, monkeypatch, scenario):
  spec = _run(tmp_path, "b", f"mamujoco/{scenario}")
  monkeypatch.chdir(tmp_path)
  example = _example("mamujoco_v1").replace("hopper-3x1", scenario)
  if scenario != "hopper-3x1":  # who may go on for 1,000 steps
    example = example.replace("while env.agents:", "for _ in range(3):")
  names: dict = {}
  exec(example, names)  # our own text
  assert np.isfinite(names["total"]) and names["total"] != 0
  assert names["seen"].shape == (spec.num_agents, spec.obs_dim)
  if scenario == "hopper-3x1":
    assert not names["env"].agents


def test_the_first_example(tmp_path, monkeypatch):
  (tmp_path / "runs").mkdir()
  run_dir = runs.train(tmp_path, toys.matrix_game(20))
  run_dir.rename(tmp_path / "runs" / "a")
  monkeypatch.chdir(tmp_path)
  names: dict = {}
  exec(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0], names)
  assert names["policy"].spec.name == "toy/matrix"
  assert logo_jax.load_policy("runs/a", 1).step == 4
