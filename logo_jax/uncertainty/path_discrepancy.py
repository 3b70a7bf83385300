"""The discrepancy of a model's two prediction paths (Eq. 5, LOGO, AAMAS 2026).

u(s, a) = || s_hat - s' ||. The plain norm grows with the size of the state and has no
natural unit, so we take the root mean square over standardised features and divide by
its 95% quantile on held-out data: u = 1 is as far as the paths part on 1 of 20 steps
of real data. What is stored is the root mean square.

Where much happens the paths are further apart than where nothing does, so that
confidence would draw few victories and ends, however well they are known. With
`by_kind` scores are matched to those of held-out steps of the same kind, as the model
itself expects it (`parts.Kinds`); without it they are Eq. 5's. Held-out rows of
smax/2s3z/medium-replay then weigh, in units of the mean and beside 1 for all: steps
without reward 1.05 (by Eq. 5 1.27), damage 0.97 (0.81), ends 0.77 (0.42).

The auxiliary path says a distribution, of which s_hat is the mean. With `spread` it is
a draw, and u^2 is the expectation of the square over draws, || s_hat - s' ||^2 plus the
predicted variance: where what happens is a matter of chance, that knows it too.

Of a model with more than two views, such as an ensemble, the first two are compared.
"""

import dataclasses
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from logo_jax.checks import ranges
from logo_jax.types import (
  Params,
  Prediction,
  Statistics,
  Transition,
  Uncertainty,
  WorldModel,
)
from logo_jax.uncertainty.parts import ACCUMULATE, Kinds, predict


@dataclasses.dataclass(frozen=True)
class Config:
  """The form of the score."""

  # Along a rollout: of each step alone (Algorithm 1), or accumulated over the steps
  # before it, which tracks the error of deep rollouts better.
  accumulate: Literal["step", "cummax", "cumsum"] = "step"
  spread: bool = False  # count the variance that the second path predicts
  quantile: float = 0.95  # of held-out scores, the unit of u
  by_kind: bool = True  # of step; False: Eq. 5 as printed


class Scale(NamedTuple):
  """What held-out data say of scores."""

  unit: Float[Array, ""]
  kinds: Any  # `parts.Kinds`, or None


def discrepancy(
  mean: Float[Array, "*b 2 G F"], std: Float[Array, "*b 2 G F"] | None = None
) -> Float[Array, "*b"]:
  """Root mean square over F of the difference of two views; of the largest group.

  Args:
    mean: the views.
    std: their deviations if the second view is a draw, not its mean.
  """
  squares = (mean[..., 0, :, :] - mean[..., 1, :, :]) ** 2
  if std is not None:
    squares += std[..., 1, :, :] ** 2
  return jnp.sqrt(jnp.mean(squares, -1)).max(-1)


def make(config: Config, statistics: Statistics) -> Uncertainty:
  """Builds the score; it needs a model with at least two views.

  Args:
    config: the form of the score.
    statistics: not needed, predictions are in standardised units.

  Raises:
    ValueError: the quantile is not between 0 and 1.
  """
  del statistics
  ranges.check("uncertainty.", config, quantile="(0,1)")

  def of(p: Prediction) -> jax.Array:
    return discrepancy(p.mean, p.std if config.spread else None)

  def init(
    model: WorldModel,
    model_params: Params,
    held_out: Transition,
    bank: tuple[()],
    key: jax.Array,
  ) -> Params:
    del bank
    p = predict(model, model_params, held_out, key)
    scores, kinds = of(p), None
    if config.by_kind:
      kinds = Kinds.fit(scores, p.reward, p.discount)
      scores = kinds.matched(scores, p.reward, p.discount)
    return Scale(jnp.quantile(scores, config.quantile), kinds)

  def score(params: Scale, t: Transition, prediction: Prediction) -> jax.Array:
    scores = of(prediction)
    if not config.by_kind:
      return scores
    return params.kinds.matched(scores, t.reward, t.discount)

  return Uncertainty(
    min_views=2,
    init=init,
    score=score,
    accumulate=ACCUMULATE[config.accumulate],
    calibrate=lambda scale, raw: raw / jnp.maximum(scale.unit, 1e-8),
  )
