"""How the shipped behaviour policies were trained: what differs from the defaults."""

from logo_jax.behaviours import ppo

_WIDE = (128, 128)
_MUJOCO = {
  "num_envs": 64,
  "rollout_steps": 64,
  "num_epochs": 8,
  "num_minibatches": 16,
  "learning_rate": 3e-4,
  "standardise_obs": True,
}
_RECIPES: dict[str, dict] = {
  "smax/3s_vs_5z": {"total_steps": 3_000_000},
  # Perceptrons in the full game reach 6% here, and 77% on 3s5z_vs_3s6z, both sampled.
  "smax/5m_vs_6m": {
    "total_steps": 12_000_000,
    "num_envs": 256,
    "entities": True,
    "enemy_health": 0.7,
    "policy_hidden": _WIDE,
  },
  "smax/6h_vs_8z": {"total_steps": 2_000_000, "policy_hidden": _WIDE},
  "smax/3s5z_vs_3s6z": {
    "total_steps": 3_000_000,
    "entities": True,
    "enemy_health": 0.8,
    "policy_hidden": _WIDE,
  },
  # A long view: with gamma 0.99 the hopper learns to fall forward, and stays at 430.
  "mamujoco/hopper-3x1": _MUJOCO
  | {"total_steps": 1_500_000, "gamma": 0.997, "reward_scale": 0.02},
  "mamujoco/ant-2x4": _MUJOCO
  | {
    "total_steps": 1_500_000,
    "gamma": 0.98,
    "entropy_cost": 0.005,
    "reward_scale": 0.1,
  },
  "mamujoco/halfcheetah-6x1": _MUJOCO
  | {
    "total_steps": 2_500_000,
    "gamma": 0.97,
    "entropy_cost": 0.005,
    "reward_scale": 0.1,
  },
}


def recipe(environment: str) -> ppo.Config:
  """The hyper-parameters for an environment; the defaults where none are known.

  Args:
    environment: <suite>/<scenario>; a robot that sees everything learns like its twin.
  """
  return ppo.Config(**_RECIPES.get(environment.removesuffix("-full"), {}))
