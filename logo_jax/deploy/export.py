"""Writes policies so that others read them without this library.

A folder of

policy.json        what they are: the game, shapes, statistics, versions
weights.npz        the weights, by their path in the learner's parameters
greedy.stablehlo   (obs, legal, memory) -> (action, memory); `jax.export.deserialize`
sampled.stablehlo  the same with a key, uint32 [2], as a fourth argument

The functions have the weights inside, and tuples for whatever structure a memory has.
Nothing is pickled.
"""

from collections.abc import Callable, Mapping
import importlib.util
import os
import pathlib
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

import logo_jax
from logo_jax.configs import config as config_lib
from logo_jax.data import store
from logo_jax.deploy.policy import Policy, load_policy
from logo_jax.io import files, state_layout
from logo_jax.runs import playback

FORMAT = 1
PLATFORMS = ("cpu", "cuda", "tpu")


def export(
  run_dir: str | os.PathLike[str],
  out: str | os.PathLike[str],
  seed_index: int = 0,
  best: bool = False,
  batch_size: int | None = None,
) -> pathlib.Path:
  """Writes the policies of a run, all of it or nothing.

  Args:
    run_dir: a run's folder, finished or not; it is only read.
    out: the folder to write; there must be nothing, or an empty folder.
    seed_index: see `load_policy`.
    best: see `load_policy`.
    batch_size: the leading axis of what the functions take; None: any.

  Returns:
    The folder.

  Raises:
    ValueError: `out` holds something, or what `load_policy` raises.
    ImportError: flatbuffers, in which JAX writes programs, is not installed.
    OSError: it cannot be written.
  """
  out = pathlib.Path(out)
  if not store.is_free(out):
    raise ValueError(f"out: {out} exists and is not empty; remove it first")
  if batch_size is not None and batch_size < 1:
    raise ValueError(f"batch_size: must be at least 1, got {batch_size}")
  if importlib.util.find_spec("flatbuffers") is None:
    raise ImportError("exporting needs flatbuffers: pip install 'logo_jax[export]'")
  policy = load_policy(run_dir, seed_index, best)
  functions = {
    name: _exported(policy, batch_size, sampled)
    for name, sampled in (("greedy", False), ("sampled", True))
  }
  leaves = jax.tree_util.tree_flatten_with_path(policy.params)[0]
  weights = {
    jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
    for path, leaf in leaves
  }
  about = _about(run_dir, policy, seed_index, functions)
  with files.making(out) as partial:
    for name, function in functions.items():
      (partial / f"{name}.stablehlo").write_bytes(function.serialize())
    np.savez(partial / "weights.npz", allow_pickle=False, **weights)
    files.write_json(partial / "policy.json", about)
  return out


def _exported(
  policy: Policy, batch_size: int | None, sampled: bool
) -> jax.export.Exported:
  """The policy as a program of its own, weights inside."""
  form = jax.tree.structure(jax.eval_shape(policy.initial_memory))

  def decide(
    obs: jax.Array, legal: jax.Array, memory: Any, key: jax.Array, is_greedy: bool
  ) -> tuple[jax.Array, Any]:
    memory = jax.tree.unflatten(form, jax.tree.leaves(memory))
    action, memory = policy.act(policy.params, obs, legal, memory, key, is_greedy)
    return action, _plain(memory)

  def greedy(obs: jax.Array, legal: jax.Array, memory: Any) -> Any:
    return decide(obs, legal, memory, jax.random.key(0), True)

  def sample(obs: jax.Array, legal: jax.Array, memory: Any, key: jax.Array) -> Any:
    typed = jax.random.wrap_key_data(key, impl="threefry2x32")
    return decide(obs, legal, memory, typed, False)

  function: Callable[..., Any] = sample if sampled else greedy
  inputs = _inputs(policy, batch_size, sampled)
  return jax.export.export(jax.jit(function), platforms=PLATFORMS)(*inputs)


def _inputs(policy: Policy, batch_size: int | None, sampled: bool) -> tuple[Any, ...]:
  """Shapes and types of what a function takes."""
  spec, batch = policy.spec, batch_size
  if batch_size is None:
    (batch,) = jax.export.symbolic_shape("b")
  agents = (batch, spec.num_agents)
  one = _memory(policy, 1)
  inputs = (
    jax.ShapeDtypeStruct((*agents, spec.obs_dim), jnp.float32),
    jax.ShapeDtypeStruct((*agents, spec.action_dim), jnp.bool_),
    jax.tree.map(lambda x: jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype), one),
  )
  return (*inputs, jax.ShapeDtypeStruct((2,), jnp.uint32)) if sampled else inputs


def _memory(policy: Policy, *batch: int) -> Any:
  """Shapes of what the functions take and give as the memory."""
  return _plain(jax.eval_shape(lambda: policy.initial_memory(*batch)))


def _plain(memory: Any) -> Any:
  """The same in containers of Python's own, which need no library to be read."""
  if not isinstance(memory, tuple):
    return memory
  return tuple(map(_plain, memory))


def _about(
  run_dir: str | os.PathLike[str],
  policy: Policy,
  seed_index: int,
  functions: Mapping[str, jax.export.Exported],
) -> dict[str, Any]:
  """What policy.json says."""
  config, known = playback.of_run(run_dir)
  statistics = known.learner_statistics.obs._asdict()

  def shapes(avals: Any) -> list[str]:
    return [f"{x.dtype}[{','.join(map(str, x.shape))}]" for x in avals]

  return {
    "format": FORMAT,
    "versions": {"logo_jax": logo_jax.__version__, "jax": jax.__version__},
    "spec": policy.spec.stored(),
    "dataset": config.dataset,
    "dataset_hash": known.card["content_hash"],
    "learner": config_lib.to_dict(config)["learner"],
    "seed": config.seed + seed_index,
    "updates": policy.step,
    "centralised": policy.centralised,
    "obs_statistics": statistics,
    "weights": state_layout.layout(policy.params),
    "memory": state_layout.layout(_memory(policy)),
    "functions": {
      name: {
        "file": f"{name}.stablehlo",
        "calling_convention": x.calling_convention_version,
        "platforms": list(x.platforms),
        "inputs": shapes(x.in_avals),
        "outputs": shapes(x.out_avals),
      }
      for name, x in functions.items()
    },
  }
