"""What it takes to call published code from a checkout; see `peers.py`."""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import functools
import importlib
import pathlib
import sys
import types
from typing import Any

import numpy as np

from logo_jax.types import EnvSpec, Transition

# Of shapes, transitions and updates, a call that makes them.
Make = Callable[[EnvSpec, Transition, int], Callable[[], Any]]

_FOUND_AT = {"cfcql": "continuous/algorithms/maddpg_cc.py", "omiga": "algos/OMIGA.py"}
# Defaults of CFCQL's `continuous/main.py`, and what it asks for with each learner.
_CFCQL = {
  "env_id": "HalfCheetah-v2",
  "lr": 5e-4,
  "num_sampled_actions": 10,
  "sample_action_class": "1-1-1",
  "beta_action_noise": 1e-5,
  "action_noise_scale": 0.05,
  "soft_q": True,
  "cf_cql": False,
  "cf_target": False,
  "cf_pol": True,
  "cf_omar": True,
  "cf_tau": 1.0,
  "bc_tau": 0.0,
  "no_action_reg": False,
  "no_log": True,
  "logging_interval": 1,
  "cql": True,
  "cql_alpha": 0.4,
}
_OMAR = {
  "omar": True,
  "omar_coe": 0.9,
  "omar_mu": 0.0,
  "omar_sigma": 2.0,
  "omar_num_samples": 10,
  "omar_num_elites": 10,
  "omar_iters": 3,
}
_OF_CFCQL = {"macql": {}, "cfcql": {"cf_cql": True}, "omar": _OMAR}


def version() -> str:
  """PyTorch's."""
  return _torch().__version__


def learners(checkouts: Mapping[str, str], width: int) -> dict[str, Make]:
  """The learners of each checkout, by our names.

  Args:
    checkouts: folder of "cfcql", of "omiga", or of both.
    width: of the networks.

  Raises:
    ValueError: no checkout, or a folder that is none of this code.
    ModuleNotFoundError: PyTorch is not installed.
  """
  if not checkouts:
    raise ValueError("cfcql, omiga: name the checkout of at least one")
  for name, folder in checkouts.items():
    if not (pathlib.Path(folder) / _FOUND_AT[name]).exists():
      raise ValueError(f"{name}: must have {_FOUND_AT[name]}, got {folder!r}")
  _torch()
  found: dict[str, Make] = {}
  if "cfcql" in checkouts:
    with inside(f"{checkouts['cfcql']}/continuous"):
      kind = importlib.import_module("algorithms.maddpg_cc").MATD3CC
    for name, options in _OF_CFCQL.items():
      found[name] = _of_cfcql(kind, {"hidden_dim": width, **_CFCQL, **options})
  if "omiga" in checkouts:
    with inside(checkouts["omiga"]):
      kind = importlib.import_module("algos.OMIGA").OMIGA
    found["omiga"] = _of_omiga(kind, width)
  return found


@functools.cache
def _torch() -> Any:
  """PyTorch; without a GPU, for which the code asks all the same, on the CPU."""
  import torch  # pyright: ignore[reportMissingImports]

  if not torch.cuda.is_available():
    torch.Tensor.cuda = lambda self: self
    torch.cuda.FloatTensor = torch.FloatTensor
  return torch


@contextlib.contextmanager
def inside(folder: str) -> Iterator[None]:
  """Finds modules of a checkout, whose packages have names such as `utils`."""
  _torch()
  log: Any = types.ModuleType("tensorboard_logger")  # imported by it, and not used
  log.configure = log.log_value = lambda *args: None
  sys.modules.setdefault(log.__name__, log)
  before = set(sys.modules)
  sys.path.insert(0, folder)
  try:
    yield
  finally:
    sys.path.remove(folder)
    for path in pathlib.Path(folder).iterdir():  # so that another's are found next
      for module in set(sys.modules) - before:
        if module.split(".")[0] == path.stem:
          del sys.modules[module]


def device() -> str:
  """Where PyTorch works."""
  return "cuda" if _torch().cuda.is_available() else "cpu"


def tensor(x: Any) -> Any:
  """Floats, on that device."""
  return _torch().tensor(np.asarray(x), dtype=_torch().float32, device=device())


def _of_cfcql(kind: Any, options: dict[str, Any]) -> Make:
  def make(spec: EnvSpec, t: Transition, updates: int) -> Callable[[], Any]:
    n = spec.num_agents
    sizes = {
      "num_agent": n,
      "num_in_pol": spec.obs_dim,
      "num_out_pol": [spec.action_dim] * n,
      "num_in_critic": spec.state_dim + n * spec.action_dim,
    }
    agent = kind(
      sizes,
      ["td3"] * n,
      agent_max_actions=[1.0] * n,
      batch_size=len(t.reward),
      **options,
    )
    agent.prep_training({"cuda": "gpu", "cpu": "cpu"}[device()])
    state, reward, next_state, over = (
      [tensor(x)] * n for x in (t.state, t.reward, t.next_state, 1 - t.discount)
    )
    obs, action, next_obs = (
      [tensor(x[:, i]) for i in range(n)] for x in (t.obs, t.action, t.next_obs)
    )
    sample = (state, obs, action, reward, next_state, next_obs, over, action)

    def call() -> None:
      for k in range(1, updates + 1):
        agent.update(sample, k, only_critic=k < updates)
      agent.update_all_targets()

    return call

  return make


def _of_omiga(kind: Any, width: int) -> Make:
  def make(spec: EnvSpec, t: Transition, updates: int) -> Callable[[], Any]:
    settings = {
      "gamma": 0.99,
      "tau": 0.005,
      "hidden_sizes": width,
      "mix_hidden_sizes": 64,
      "batch_size": len(t.reward),
      "lr": 5e-4,
      "grad_norm_clip": 1.0,
      "device": device(),
    }
    agent = kind(spec.obs_dim, spec.action_dim, spec.num_agents, None, settings)
    obs, action, next_obs = (tensor(x) for x in (t.obs, t.action, t.next_obs))
    reward, goes_on = (tensor(x)[:, None] for x in (t.reward, t.discount))

    def call() -> None:
      for _ in range(updates):  # states are agents' observations side by side
        agent.train_step(obs, obs, action, reward, goes_on, next_obs, next_obs, action)

    return call

  return make
