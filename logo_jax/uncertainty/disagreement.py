"""How far the views of a model disagree, or how unsure they say they are.

The scores of MOPO (Yu et al., 2020) and MOReL (Kidambi et al., 2020) and a third one in
use, of M views with means mu_e and deviations sigma_e:

  aleatoric   max_e |sigma_e|             MOPO's penalty
  pairwise    max_e,e' |mu_e - mu_e'|     MOReL's detector of unknown state-actions
  std         |std_e mu_e|

|.| is the root mean square over a group's features, in units of their standard
deviation; features that do not vary or are padding count as 0, which the thresholds
undo. Each group of features, which is an agent if the model predicts every agent's
observation apart, has a threshold of its own from held-out data, and the score is in
units of it: above 1, the step is unlike what the model knows.

MOReL's threshold is the largest disagreement over its training data, a single outlier
among a million rows, divided by c; `max_over_c` is that rule, on held-out rows.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logo_jax.checks import ranges
from logo_jax.ops.ranks import lift
from logo_jax.types import (
  Params,
  Prediction,
  Statistics,
  Transition,
  Uncertainty,
  WorldModel,
)
from logo_jax.uncertainty.parts import ACCUMULATE, REDUCE, Kinds, predict


@dataclasses.dataclass(frozen=True)
class Config:
  """The form of the score and its unit."""

  # The largest deviation that a member predicts (MOPO), the largest distance of two
  # members' means (MOReL), or the deviation of the means.
  kind: Literal["aleatoric", "pairwise", "std"] = "aleatoric"
  # The unit: a quantile of held-out scores, the largest of them divided by `c`, or
  # their mean plus `beta` standard deviations.
  threshold: Literal["quantile", "max_over_c", "mean_std"] = "quantile"
  # One known step in 1,000 counts as unknown, which is for halting. Confidence weights
  # expect u = 1 on 1 of 20 steps, as path_discrepancy has it: 0.95 there.
  quantile: float = 0.999
  c: float = 3.0  # MOReL's pessimism on Hopper, medium data; larger halts earlier
  beta: float = 5.0  # of a `mean_std` threshold
  # Over groups: with halting, any unknown group halts, or all on average, or all.
  over_groups: Literal["max", "mean", "min"] = "max"
  # Match scores among kinds of steps (`parts.Kinds`), which is for confidence: where
  # much happens members disagree more, however well they know it.
  by_kind: bool = False
  # Along a rollout: of each step alone, or accumulated over the steps before it.
  accumulate: Literal["step", "cummax", "cumsum"] = "step"


def disagreement(prediction: Prediction, kind: str) -> Float[Array, "*b G"]:
  """The score of each group, in units of the features' standard deviation.

  Args:
    prediction: M views of G groups of F features.
    kind: one of `Config.kind`.
  """
  mean = prediction.mean  # [*b, M, G, F]
  if kind == "aleatoric":
    return _rms(prediction.std).max(-2)
  if kind == "std":
    return _rms(mean.std(-3))
  # Views against views some places on: all pairs, without an axis for them.
  shifts = range(1, mean.shape[-3] // 2 + 1)
  apart = [_rms(mean - jnp.roll(mean, shift, -3)).max(-2) for shift in shifts]
  return jnp.stack(apart).max(0)


def make(config: Config, statistics: Statistics) -> Uncertainty:
  """Builds the score; all kinds but the first need a model with two views.

  Args:
    config: the form of the score and its unit.
    statistics: not needed, predictions are in standardised units.

  Raises:
    ValueError: a number is out of range.
  """
  del statistics
  ranges.check("uncertainty.", config, quantile="(0,1)", c="(0", beta="[0")

  def init(
    model: WorldModel,
    model_params: Params,
    held_out: Transition,
    bank: tuple[()],
    key: jax.Array,
  ) -> Params:
    del bank
    p = predict(model, model_params, held_out, key)
    unit = thresholds(disagreement(p, config.kind), config)
    if not config.by_kind:
      return unit
    scores = in_units(p, unit)
    kinds = Kinds.fit(scores, p.reward, p.discount)
    # Matching moves scores: they get their unit anew.
    matched = kinds.matched(scores, p.reward, p.discount)
    return unit, kinds, thresholds(matched[:, None], config)[0]

  def in_units(prediction: Prediction, unit: jax.Array) -> jax.Array:
    of_groups = disagreement(prediction, config.kind)
    of_groups /= lift(jnp.maximum(unit, 1e-8), of_groups.ndim)
    return REDUCE[config.over_groups](of_groups)

  def score(params: Params, t: Transition, prediction: Prediction) -> jax.Array:
    if not config.by_kind:
      return in_units(prediction, params)
    unit, kinds, again = params
    matched = kinds.matched(in_units(prediction, unit), t.reward, t.discount)
    return matched / jnp.maximum(again, 1e-8)

  return Uncertainty(
    min_views=1 if config.kind == "aleatoric" else 2,
    init=init,
    score=score,
    accumulate=ACCUMULATE[config.accumulate],
    calibrate=lambda params, raw: raw,  # each group has been, by its own threshold
  )


def thresholds(score: Float[Array, "C G"], config: Config) -> Float[Array, " G"]:
  """The unit of each group, from its scores on C held-out steps."""
  if config.threshold == "max_over_c":
    return score.max(0) / config.c
  if config.threshold == "mean_std":
    return score.mean(0) + config.beta * score.std(0)
  return jnp.quantile(score, config.quantile, axis=0)


def _rms(x: Float[Array, "*b F"]) -> Float[Array, "*b"]:
  return jnp.sqrt(jnp.mean(x**2, -1))
