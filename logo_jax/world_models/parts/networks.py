"""Codecs, and the frame of a model, by `model.network`."""

from collections.abc import Callable
from typing import Any, NamedTuple

from logo_jax.codecs import flat, typed
from logo_jax.codecs.tokens import Codec, Tokens
from logo_jax.networks.now import Now
from logo_jax.types import EnvSpec, Params, Statistics
from logo_jax.world_models.parts.frame import Frame, Heads


class Codecs(NamedTuple):
  """Of one family of networks."""

  state: Codec
  obs: Codec
  point: Codec  # of states whose variance is not predicted, where that is a choice


def frame(config: Any, spec: EnvSpec, statistics: Statistics) -> tuple[Frame, Codecs]:
  """What a model stands in, whatever it is.

  Args:
    config: a model's, with `network`, `hidden_size`, `variance_exponent` and
      `termination_class_weight`.
    spec: of the environment.
    statistics: of the training split.

  Raises:
    ValueError: the environment has no layout, or a width that attention heads cannot
      share out.
  """
  if config.network == "entity" and config.hidden_size % 8:
    raise ValueError(
      "model.hidden_size: with model.network 'entity' must be a multiple of 8, got "
      f"{config.hidden_size}"
    )
  made = codecs(config.network, spec, statistics, config.variance_exponent)
  weight = config.termination_class_weight
  return Frame(spec, statistics, made.state, made.obs, weight), made


def heads(nets: Any, spec: EnvSpec) -> Callable[..., Heads]:
  """What follows from a next step, as `Dynamics.heads`.

  Args:
    nets: networks `reward`, `termination` and, if actions are discrete, `legal`.
    spec: of the environment.
  """
  discrete = spec.action_kind == "discrete"

  def apply(params: Params, obs: Tokens, state: Tokens, now: Now) -> Heads:
    return Heads(
      reward=nets.reward(params, obs, state, now),
      termination=nets.termination(params, state, now),
      legal=nets.legal(params, obs) if discrete else (),
    )

  return apply


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
