"""Hyper-parameters as their authors published them, by system, scenario and quality.

The presets' defaults are what does well here; these are what the papers' code used, for
those who want that. Sources, all read at the revisions of early 2026:

* CFCQL's repository (Shao et al., NeurIPS 2023) for SMAC: `bc`, `macql`, `cfcql`, and
  its own `omar` of discrete actions. GRUs 64 wide, 128 episodes a batch, TD(lambda),
  hard target updates every 25 steps, as many steps as 10 million time steps make.
* The same and OMAR's repository (Pan et al., ICML 2022) for HalfCheetah with 2 agents
  of 3 joints: `macql`, `cfcql`, `omar`. None were published for the 6x1 partition.
* OMIGA's repository (Wang et al., NeurIPS 2023) for its three robots: `omiga`.
* MAZero (Liu et al., ICLR 2024), its script for SMAC, where it plays as it learns: the
  search, the losses and their sizes, here on recorded play: `mazero`.
* Table 8 of LOGO (AAMAS 2026) for all eight scenarios: `logo_macql`.

What carries over only in kind:

* Windows of 50 steps, among which all steps weigh alike, stand for whole episodes.
* SMAX pays 2 for a battle where SMAC pays 20, which the default of `reward_scale` makes
  good: it is derived from the data's returns.
* Inputs are standardised by the dataset's statistics, not by batch normalisation, and
  no agent sees its last action.
* Policy and value step together where CFCQL's loop makes five steps of the value for
  one of the policy; only OMAR's policies have a penalty on the squared action.
* Gradients are clipped at a norm of 10, not 0.5; OMIGA's at its own, 1.
* OMAR's critic on SMAC is as wide as its policy, 64, not 256.
* Time limits bootstrap; OMIGA takes them for ends.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

from logo_jax.checks import reading
from logo_jax.configs import presets
from logo_jax.configs.config import ExperimentConfig
from logo_jax.configs.registry import Component

_QUALITIES = ("medium-replay", "medium", "expert", "mixed")
_SMAC_MAPS = ("2s3z", "3s_vs_5z", "5m_vs_6m", "6h_vs_8z")
_ROBOTS = ("hopper-3x1", "ant-2x4", "halfcheetah-6x1")
_WINDOW = 50  # steps

# CFCQL on SMAC, README: alpha and the temperature of lambda, by quality as above.
_CFCQL_SMAC = {
  "2s3z": ((5.0, 0.1), (0.1, 0.5), (50.0, 0.5), (0.5, 0.0)),
  "3s_vs_5z": ((50.0, 0.0), (50.0, 0.0), (50.0, 1.0), (50.0, 0.0)),
  "5m_vs_6m": ((50.0, 0.5), (50.0, 0.5), (50.0, 100.0), (50.0, 0.5)),
  "6h_vs_8z": ((50.0, 0.5), (50.0, 1.0), (50.0, 0.0), (50.0, 1.0)),
}
# Gradient steps that its 10 million time steps come to, in 250s.
_SMAC_UPDATES = {
  "2s3z": (1_500, 1_500, 2_000, 1_750),
  "3s_vs_5z": (500, 500, 750, 500),
  "5m_vs_6m": (3_250, 3_000, 3_000, 3_000),
  "6h_vs_8z": (2_250, 2_000, 1_750, 1_750),
}
# HalfCheetah 2x3: CFCQL's alpha, OMAR's alpha and c.
_HALFCHEETAH = {
  "medium-replay": (0.4, 5.0, 0.9),
  "medium": (1.0, 1.0, 0.7),
  "expert": (1.7, 5.0, 0.5),
}


def names() -> tuple[tuple[str, str], ...]:
  """All (system, dataset) that have published values."""
  smac = [("smax", scenario) for scenario in _SMAC_MAPS]
  paper = [*smac, ("smax", "3s5z_vs_3s6z"), *(("mamujoco", r) for r in _ROBOTS)]
  found = [
    (name, f"{suite}/{scenario}/{quality}")
    for name, where in (
      *((name, smac) for name in _SMAC),
      ("omiga", [("mamujoco", robot) for robot in _ROBOTS]),
      ("mazero", smac),
      ("logo_macql", paper),
    )
    for suite, scenario in where
    for quality in _QUALITIES
  ]
  robots = [
    (name, f"mamujoco/halfcheetah-6x1/{quality}")
    for name in _CONTINUOUS
    for quality in _HALFCHEETAH
  ]
  return (*found, *robots)


def get(name: str, dataset: str) -> ExperimentConfig:
  """The preset with the published values for a dataset.

  Args:
    name: of the system, for example "cfcql".
    dataset: <suite>/<scenario>/<quality>.

  Raises:
    ValueError: nothing was published for them.
  """
  if (name, dataset) not in names():
    allowed = [d for n, d in names() if n == name] or sorted({n for n, _ in names()})
    raise ValueError(
      f"published: no values for {name!r} on {dataset!r}; there are: "
      f"{reading.listed(allowed, near=dataset)}"
    )
  suite, scenario, quality = dataset.split("/")
  config = dataclasses.replace(presets.get(name), dataset=dataset)
  if name == "mazero":
    config = _with_learner(config, **_MAZERO)
    window = config.learner.config.window
    return dataclasses.replace(config, batch_size=256 * window, total_updates=1_000_000)
  if name == "logo_macql":
    return _table_8(config)
  if suite == "smax":
    fields = _SMAC[name](scenario, quality)
    updates = _SMAC_UPDATES[scenario][_QUALITIES.index(quality)]
    if fields.get("temperature"):  # the behaviour model comes first, and is kept
      fields |= dict.fromkeys(("behaviour_pretrain", "behaviour_updates"), updates)
      fields["behaviour_warmup"] = 0
      updates *= 2
    config = _with_learner(config, **fields)
    return dataclasses.replace(config, batch_size=128 * _WINDOW, total_updates=updates)
  if name == "omiga":
    config = _with_learner(config, **_OMIGA)
    return dataclasses.replace(config, total_updates=1_000_000)
  config = _with_learner(config, **_CONTINUOUS[name](quality))
  # Steps of the value: 100,000 rounds of one, or of five with a joint value.
  updates = 100_000 if name == "omar" else 500_000
  return dataclasses.replace(config, batch_size=256, total_updates=updates)


def _table_8(config: ExperimentConfig) -> ExperimentConfig:
  """10 million sampled transitions; horizon, step length and lambda as printed."""
  config = _with_learner(config, learning_rate=1e-3, bc_weight=1.0)
  updates = 10_000_000 // config.batch_size // 250 * 250
  return dataclasses.replace(config, horizon=15, total_updates=updates)


def _recurrent() -> dict[str, Any]:
  return {"hidden_size": 64, "recurrent": True, "window": _WINDOW}


def _smac_values(scenario: str) -> dict[str, Any]:
  """Of all learners of values: GRU, TD(lambda), hard targets, rewards up to 20."""
  return _recurrent() | {
    "learning_rate": 1e-3,
    "discount": 0.99,
    "td_lambda": 0.3 if scenario == "6h_vs_8z" else 0.6,
    "target_rate": 1.0,
    "target_period": 25,
    "clip_target": False,
  }


def _smac_greedy(scenario: str) -> dict[str, Any]:
  return _smac_values(scenario) | {
    "policy": "greedy",
    "backup": "greedy",
    "num_heads": 1,
  }


def _smac_bc(scenario: str, quality: str) -> dict[str, Any]:
  del scenario, quality
  return _recurrent() | {"learning_rate": 5e-4}


def _smac_macql(scenario: str, quality: str) -> dict[str, Any]:
  example = (scenario, quality) == ("2s3z", "medium")  # of the README
  return _smac_greedy(scenario) | {
    "cql_weight": 5.0 if example else 50.0,
    "push_down": "uniform_zeroed",
    "num_samples": 100,
  }


def _smac_cfcql(scenario: str, quality: str) -> dict[str, Any]:
  weight, temperature = _CFCQL_SMAC[scenario][_QUALITIES.index(quality)]
  return _smac_greedy(scenario) | {"cql_weight": weight, "temperature": temperature}


def _smac_omar(scenario: str, quality: str) -> dict[str, Any]:
  del quality
  return _smac_values(scenario) | {
    "cql_weight": 5.0,
    "search_weight": 0.5,
    "lse_on": "all",
    "normalise_q": False,
  }


def _halfcheetah() -> dict[str, Any]:
  return {
    "learning_rate": 3e-4,
    "discount": 0.95,  # what runs; the flags say 0.99
    "clip_target": False,
    "share_agents": False,
  }


def _halfcheetah_joint(quality: str) -> dict[str, Any]:
  return _halfcheetah() | {
    # Halved, as the squared Bellman error is here and not there.
    "cql_weight": _HALFCHEETAH[quality][0] / 2,
    "target_period": 5,
    "bc_weight": 0.0,
    "normalise_q": False,
    "ascend_with": "data",
    "num_samples": 10,
  }


def _halfcheetah_omar(quality: str) -> dict[str, Any]:
  _, weight, search_weight = _HALFCHEETAH[quality]
  return _halfcheetah() | {
    "cql_weight": weight,
    "search_weight": search_weight,
    "push_down": "density",
    "num_samples": 10,
    "normalise_q": False,
  }


_MAZERO = {
  "search": "tree",
  "num_simulations": 100,
  "rho": 0.25,
  "root_noise": 0.25,
  "clone_updates": 0,
  "bc_weight": 0.0,
  "window": 10,  # 5 steps, and the returns of 5 from the last one
}
_OMIGA = {
  "learning_rate": 5e-4,
  "alpha": 10.0,
  "reward_scale": 1.0,
  "clip_norm": 1.0,
  "max_weight": 1e5,  # beyond e^10
  "shift_value_loss": True,
  "clip_target": False,
}
_SMAC: dict[str, Callable[[str, str], dict[str, Any]]] = {
  "bc": _smac_bc,
  "macql": _smac_macql,
  "cfcql": _smac_cfcql,
  "omar": _smac_omar,
}
_CONTINUOUS: dict[str, Callable[[str], dict[str, Any]]] = {
  "macql": _halfcheetah_joint,
  "cfcql": _halfcheetah_joint,
  "omar": _halfcheetah_omar,
}


def _with_learner(config: ExperimentConfig, **fields: Any) -> ExperimentConfig:
  learner = config.learner
  changed = dataclasses.replace(learner.config, **fields)
  return dataclasses.replace(config, learner=Component(learner.name, changed))
