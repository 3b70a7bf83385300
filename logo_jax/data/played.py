"""Datasets as ones of the environment that is to play what is learned from them."""

import json

from logo_jax.data.store import StoredDataset
from logo_jax.envs import base

_SIZES = ("num_agents", "obs_dim", "state_dim", "action_kind", "action_dim")


def in_scenario(stored: StoredDataset, scenario: str, where: str) -> StoredDataset:
  """The same dataset, whose card names the environment and has its spec.

  Args:
    stored: a dataset of any spec.
    scenario: <suite>/<scenario>.
    where: what to call the dataset in an error.

  Raises:
    ValueError: no such environment, or it is of other sizes.
  """
  spec, env = stored.spec, base.make(scenario).spec
  for size in _SIZES:
    if getattr(spec, size) != getattr(env, size):
      raise ValueError(
        f"{where} has {size} {getattr(spec, size)}, but {scenario} has "
        f"{getattr(env, size)}"
      )
  played = {"scenario": scenario, "spec": json.loads(json.dumps(env.stored()))}
  return stored._replace(card=stored.card | played)
