"""What it takes to call CFCQL's code for SMAC from a checkout; see `peers.py`.

Its learners take whole episodes, and their settings are read from the checkout's own
files.
"""

from collections.abc import Callable
import importlib
import pathlib
import types
from typing import Any

import numpy as np
import peer_code
import yaml

from logo_jax.types import EnvSpec, Transition

_FOUND_AT = "discrete/src/learners/cq_learner.py"
# File of settings, class of the controller, module and class of the learner, what the
# code's own flags change.
_LEARNERS: dict[str, tuple[str, str, tuple[str, str], dict[str, Any]]] = {
  "bc": ("bc", "basic_mac", ("bc_learner", "BCLearner"), {}),
  "macql": (
    "cql_qmix",
    "n_mac",
    ("cq_learner", "CQLearner"),
    {"raw_cql": True, "moderate_lambda": False},
  ),
  "cfcql": ("cql_qmix", "n_mac", ("cq_learner", "CQLearner"), {}),
  "omar": ("baseline_omar", "basic_mac", ("omar_learner", "OMARLearner"), {}),
}


class _Batch(dict):
  """Episodes [B, T + 1], as the learners read them."""

  def __init__(self, fields: dict[str, Any]):
    super().__init__(fields)
    self.batch_size, self.max_seq_length = fields["reward"].shape[:2]
    self.device = fields["reward"].device


class _Silent:
  """A logger that logs nothing, and has one that does neither."""

  def __init__(self):
    self.console_logger = types.SimpleNamespace(info=lambda *args: None)

  def log_stat(self, *args: Any) -> None:
    pass


def learners(checkout: str) -> dict[str, peer_code.Make]:
  """The learners of episodes of CFCQL's code, by our names.

  Args:
    checkout: its folder.

  Raises:
    ValueError: a folder that is none of this code.
    ModuleNotFoundError: PyTorch is not installed.
  """
  if not (pathlib.Path(checkout) / _FOUND_AT).exists():
    raise ValueError(f"cfcql: must have {_FOUND_AT}, got {checkout!r}")
  source = pathlib.Path(checkout) / "discrete/src"
  return {name: _of(source, *what) for name, what in _LEARNERS.items()}


def _of(
  source: pathlib.Path,
  settings: str,
  controller: str,
  learner: tuple[str, str],
  changed: dict[str, Any],
) -> peer_code.Make:
  def make(spec: EnvSpec, t: Transition, updates: int) -> Callable[[], Any]:
    module, name = learner
    fields = _settings(source, settings, spec) | {"mac": controller} | changed
    args = types.SimpleNamespace(**fields)
    scheme = {
      "obs": {"vshape": spec.obs_dim},
      "state": {"vshape": spec.state_dim},
      "actions_onehot": {"vshape": (spec.action_dim,)},
    }
    with peer_code.inside(str(source)):
      mac = importlib.import_module("controllers").REGISTRY[controller]
      kind = getattr(importlib.import_module(f"learners.{module}"), name)
      agent = kind(mac(scheme, None, args), scheme, _Silent(), args)
    if peer_code.device() == "cuda":
      agent.cuda()
    batch = _batch(spec, t)

    def call() -> None:
      for _ in range(updates):
        agent.train(batch, 0, 0)

    return call

  return make


def _settings(source: pathlib.Path, name: str, spec: EnvSpec) -> dict[str, Any]:
  """Defaults of the checkout, and what it would learn from the game."""
  read = [
    yaml.safe_load((source / "config" / file).read_text())
    for file in ("default.yaml", f"algs/{name}.yaml")
  ]
  return {
    **read[0],
    **read[1],
    "n_agents": spec.num_agents,
    "n_actions": spec.action_dim,
    "state_shape": spec.state_dim,
    "obs_shape": spec.obs_dim,
    "device": peer_code.device(),
    "use_cuda": peer_code.device() == "cuda",
  }


def _batch(spec: EnvSpec, t: Transition) -> _Batch:
  """The same transitions [B, T] with one more step, which is not learned from."""

  def padded(x: Any, dtype: Any = np.float32) -> Any:
    x = np.asarray(x).astype(dtype)
    return peer_code.tensor(np.concatenate([x, x[:, -1:]], 1))

  action = np.asarray(t.action)
  whole = np.zeros((*t.reward.shape, 1))
  return _Batch(
    {
      "obs": padded(t.obs),
      "state": padded(t.state),
      "reward": padded(np.asarray(t.reward)[..., None]),
      "terminated": padded(whole),
      "filled": padded(whole + 1),
      "avail_actions": padded(t.legal),
      "actions": padded(action[..., None]).long(),
      "actions_onehot": padded(np.eye(spec.action_dim)[action]),
    }
  )
