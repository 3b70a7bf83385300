"""What it takes to call OG-MARL's code from a checkout; see `peers.py`.

Its MADDPG with CQL, the one in PyTorch, takes sequences; its policies have memories.
"""

from collections.abc import Callable
import importlib
import pathlib
import sys
import types
from typing import Any

import numpy as np
import peer_code

from logo_jax.types import EnvSpec, Transition

STEPS, BATCH, GRU = 20, 32, 64  # the code's own defaults
_FOUND_AT = "og_marl/baselines/torch_systems/offline/maddpg_cql.py"
_MODULE = _FOUND_AT.removesuffix(".py").replace("/", ".")
_SETTINGS = {  # of its `configs/maddpg_cql.yaml`
  "critic_learning_rate": 3e-4,
  "cql_weight": 2.0,
  "cql_sigma": 0.3,
}


def learners(checkout: str) -> dict[str, peer_code.Make]:
  """The learner of sequences, by our name.

  Args:
    checkout: OG-MARL's folder.

  Raises:
    ValueError: a folder that is none of this code.
    ModuleNotFoundError: PyTorch is not installed.
  """
  if not (pathlib.Path(checkout) / _FOUND_AT).exists():
    raise ValueError(f"og_marl: must have {_FOUND_AT}, got {checkout!r}")
  _leave_out()
  with peer_code.inside(checkout):
    kind = importlib.import_module(_MODULE).MADDPGCQLSystem
  return {"macql": _of(kind)}


def _leave_out() -> None:
  """Stands in for what starts, loads and logs experiments, which nothing here does."""
  stand_ins: dict[str, dict[str, Any]] = {
    "hydra": {"main": lambda **options: lambda function: function},
    "omegaconf": {"DictConfig": dict},
    "og_marl.environments": {"get_environment": None, "BaseEnvironment": object},
    "og_marl.loggers": {"BaseLogger": object, "WandbLogger": object},
    "og_marl.replay_buffers": {"Experience": dict, "FlashbaxReplayBuffer": object},
    "og_marl.vault_utils.download_vault": {"download_and_unzip_vault": None},
    "og_marl.wrapped_environments.base": {"BaseEnvironment": object},
  }
  for name, contents in stand_ins.items():
    module = types.ModuleType(name)
    vars(module).update(contents)
    sys.modules.setdefault(name, module)


def _of(kind: Any) -> peer_code.Make:
  def make(spec: EnvSpec, t: Transition, updates: int) -> Callable[[], Any]:
    about = types.SimpleNamespace(
      agents=[f"agent_{i}" for i in range(spec.num_agents)],
      observation_shape=(spec.obs_dim,),
      state_shape=(spec.state_dim,),
      num_actions=spec.action_dim,
    )
    agent = kind(about, None, device=peer_code.device(), **_SETTINGS)
    by_agent = (*np.shape(t.reward), spec.num_agents)
    of_all = lambda x: np.broadcast_to(np.asarray(x)[..., None], by_agent)  # noqa: E731
    sequences = {
      "observations": np.asarray(t.obs),
      "actions": np.asarray(t.action),
      "rewards": of_all(t.reward),
      "terminals": of_all(1.0 - t.discount),
      "truncations": np.zeros(by_agent),
      "infos": {"state": np.asarray(t.state)},
    }

    def call() -> None:
      for _ in range(updates):
        agent.train_step(sequences)

    return call

  return make
