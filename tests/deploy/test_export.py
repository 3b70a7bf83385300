"""Exported policies decide as loaded ones, without this library."""

import functools
import json
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import logo_jax
from logo_jax.deploy import export as export_module
from logo_jax.deploy.export import export
from logo_jax.deploy.policy import Policy
from logo_jax.types import Actor
from tests.deploy import runs

pytest.importorskip("flatbuffers")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
  """A run and its second seed's export, by kind."""

  @functools.cache
  def of(kind):
    folder = tmp_path_factory.mktemp(kind)
    make, changes = runs.KINDS[kind]
    run_dir = runs.train(folder, make(), **changes)
    return run_dir, export(run_dir, folder / "out", seed_index=1)

  return of


def _seen(spec, num):
  rng = np.random.default_rng(num)
  obs = rng.normal(size=(num, spec.num_agents, spec.obs_dim)).astype(np.float32)
  legal = rng.random((num, spec.num_agents, spec.action_dim)) < 0.5
  legal[..., 0] |= ~legal.any(-1)
  return obs, legal


@pytest.mark.parametrize("kind", runs.KINDS)
def test_decides_like_the_loaded_policy(exported, kind):
  run_dir, out = exported(kind)
  policy = logo_jax.load_policy(run_dir, seed_index=1)
  data = {n: (out / f"{n}.stablehlo").read_bytes() for n in ("greedy", "sampled")}
  calls = {n: jax.export.deserialize(bytearray(x)).call for n, x in data.items()}
  for num in (3, 5):  # any batch
    memory = policy.initial_memory(num)
    for step in range(2):
      obs, legal = _seen(policy.spec, num)
      key = jax.random.key_data(jax.random.key(step))
      drawn, _ = policy(obs, legal, memory, key)
      sampled, _ = calls["sampled"](obs, legal, memory, key)
      np.testing.assert_allclose(sampled, drawn, atol=1e-6)
      found, theirs = calls["greedy"](obs, legal, memory)
      action, memory = policy(obs, legal, memory)
      np.testing.assert_allclose(found, action, atol=1e-6)
      if kind == "recurrent":
        np.testing.assert_allclose(theirs, memory, atol=1e-6)


def test_what_the_folder_says(exported):
  run_dir, out = exported("recurrent")
  about = json.loads((out / "policy.json").read_text())
  assert about["seed"] == 1 and about["updates"] == 4 and about["format"] == 1
  assert about["spec"]["name"] == "toy/delayed" and about["memory"] == {
    "(root)": "float32[2,8]"
  }
  greedy = about["functions"]["greedy"]
  assert greedy["inputs"] == ["float32[b,2,1]", "bool[b,2,2]", "float32[b,2,8]"]
  assert greedy["outputs"] == ["int32[b,2]", "float32[b,2,8]"]
  assert "cuda" in greedy["platforms"]
  policy = logo_jax.load_policy(run_dir, 1)
  with np.load(out / "weights.npz", allow_pickle=False) as stored:
    weights = dict(stored)
  assert set(weights) == set(about["weights"])
  assert len(weights) == len(jax.tree.leaves(policy.params))
  for path, x in weights.items():
    shape = ",".join(map(str, x.shape))
    assert about["weights"][path] == f"{x.dtype}[{shape}]"
    kept = functools.reduce(
      lambda tree, name: tree[name], path.split("/"), policy.params
    )
    np.testing.assert_array_equal(x, kept)
  assert len(about["obs_statistics"]["mean"]) == 1


_ALONE = """
import sys
sys.modules["logo_jax"] = None
import jax.export, numpy as np
act = jax.export.deserialize(bytearray(open("greedy.stablehlo", "rb").read())).call
seen = np.load(sys.argv[1])
print(np.asarray(act(seen["obs"], seen["legal"], ())[0]).tolist())
"""


def test_needs_nothing_of_ours(exported, tmp_path):
  run_dir, out = exported("discrete")
  policy = logo_jax.load_policy(run_dir, 1)
  obs, legal = _seen(policy.spec, 4)
  np.savez(tmp_path / "seen.npz", obs=obs, legal=legal)
  command = [sys.executable, "-c", _ALONE, str(tmp_path / "seen.npz")]
  done = subprocess.run(command, cwd=out, capture_output=True, text=True, check=True)
  assert json.loads(done.stdout) == policy(obs, legal)[0].tolist()


def test_a_fixed_batch(exported, tmp_path):
  run_dir, _ = exported("continuous")
  out = export(run_dir, tmp_path / "two", batch_size=2)
  call = jax.export.deserialize(bytearray((out / "greedy.stablehlo").read_bytes())).call
  policy = logo_jax.load_policy(run_dir)
  obs, legal = _seen(policy.spec, 2)
  np.testing.assert_allclose(call(obs, legal, ())[0], policy(obs)[0], atol=1e-6)
  with pytest.raises(ValueError, match="[Ss]hape"):
    call(*_seen(policy.spec, 3), ())


class _Belief(NamedTuple):
  seen: Any
  done: Any


def test_a_memory_of_several_parts(exported, tmp_path, monkeypatch):
  """As that of policies that read what a model has come to believe."""
  run_dir, _ = exported("discrete")
  spec = logo_jax.load_policy(run_dir).spec

  def act(params, memory, now, key, greedy=False):
    belief, steps = memory
    action = (belief.seen[..., 0] + steps).astype(jnp.int32)
    return (_Belief(now.obs, belief.done + 1.0), steps + 1.0), action

  def nothing(batch):
    agents = (*batch, spec.num_agents)
    belief = _Belief(jnp.zeros((*agents, spec.obs_dim)), jnp.zeros(agents))
    return belief, jnp.zeros(agents)

  policy = Policy(Actor(nothing, act), {}, spec)
  monkeypatch.setattr(export_module, "load_policy", lambda *_: policy)
  out = export(run_dir, tmp_path / "out")
  call = jax.export.deserialize(bytearray((out / "greedy.stablehlo").read_bytes())).call
  about = json.loads((out / "policy.json").read_text())
  assert set(about["memory"]) == {"0/0", "0/1", "1"}
  obs, legal = _seen(spec, 3)
  zeros = np.zeros(obs.shape[:2], np.float32)
  memory = ((0 * obs, zeros), zeros)
  for step in range(2):
    action, memory = call(np.float32(3.0) + 0 * obs, legal, memory)
    np.testing.assert_array_equal(action, 4 * step)
  assert type(memory[0]) is tuple


def test_refusals_leave_nothing(exported, tmp_path):
  run_dir, out = exported("discrete")
  before = sorted(out.iterdir())
  with pytest.raises(ValueError, match="out: .* exists and is not empty"):
    export(run_dir, out)
  assert sorted(out.iterdir()) == before
  with pytest.raises(ValueError, match="seed_index: .*got 7"):
    export(run_dir, tmp_path / "new", seed_index=7)
  with pytest.raises(ValueError, match="batch_size: must be at least 1, got 0"):
    export(run_dir, tmp_path / "new", batch_size=0)
  assert not list(tmp_path.iterdir())


def test_the_page_s_example(exported, tmp_path, monkeypatch):
  page = pathlib.Path(__file__).parents[2] / "docs" / "deploy.md"
  blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
  (example,) = (block for block in blocks if "deserialize" in block)
  run_dir, out = exported("discrete")
  shutil.copytree(out, tmp_path / "exported")
  monkeypatch.chdir(tmp_path)
  names: dict = {}
  exec(example, names)  # our own text
  policy = logo_jax.load_policy(run_dir, 1)
  wanted, _ = policy(names["obs"], names["legal"])
  np.testing.assert_array_equal(names["action"], wanted)
