"""Codecs and networks by `model.network`."""

from typing import NamedTuple

from logo_jax.codecs import flat, typed
from logo_jax.codecs.tokens import Codec
from logo_jax.types import EnvSpec, Statistics


class Codecs(NamedTuple):
  """Of one family of networks."""

  state: Codec
  obs: Codec
  point: Codec  # of states whose variance is not predicted, where that is a choice


def check_width(network: str, hidden_size: int) -> None:
  """Refuses widths that attention heads cannot share out.

  Raises:
    ValueError: naming the field.
  """
  if network == "entity" and hidden_size % 8:
    raise ValueError(
      "model.hidden_size: with model.network 'entity' must be a multiple of 8, got "
      f"{hidden_size}"
    )


def codecs(
  network: str, spec: EnvSpec, statistics: Statistics, variance_exponent: float
) -> Codecs:
  """Codecs of entities where the networks read them, else of flat vectors.

  Raises:
    ValueError: the environment has no layout.
  """
  mask = spec.obs_mask
  if network == "mlp":
    state = flat.make(statistics.state, None, variance_exponent)
    obs = flat.make(statistics.obs, mask, variance_exponent)
    return Codecs(state, obs, flat.make(statistics.state, None, None))
  if spec.layout is None:
    raise ValueError(
      f"model.network: 'entity' needs an environment whose vectors are known to split "
      f"into entities; {spec.name!r} is not, allowed is 'mlp'"
    )
  state = typed.make([spec.layout.state], statistics.state, None, variance_exponent)
  obs = typed.make(spec.layout.obs, statistics.obs, mask, variance_exponent)
  return Codecs(state, obs, state)
