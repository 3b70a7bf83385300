"""One token for each entity of a layout, with features of several kinds.

What a network says of a token is read by kind. Whether the entity will be there: a
logit. A continuous feature: an increment, a value, a gate between the two, as after a
shot a weapon's clock does not go on but is set anew, and a variance. A binary feature:
a logit. A categorical one: a logit for each value. A constant one needs nothing.
"""

from collections.abc import Sequence
import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from optax.losses import sigmoid_binary_cross_entropy

from logo_jax.codecs.fields import Fields
from logo_jax.codecs.tokens import Codec, Tokens
from logo_jax.layout import Table
from logo_jax.ops import gaussian
from logo_jax.ops.ranks import lift
from logo_jax.ops.standardise import Moments, standardise

_GATE_BIAS = 2.0  # at first a feature rather goes on than is set anew
_IMPOSSIBLE = -1e9  # logit of a value that an entity does not know


def make(
  tables: Sequence[Table],
  moments: Moments,
  mask: np.ndarray | None = None,
  variance_exponent: float = 0.5,
) -> Codec:
  """Builds the codec of states, or of observations `[*b, N, O]` if there is a mask.

  Args:
    tables: one of the state, or one of each agent's observation.
    moments: of the features [F], or [N, F] of each agent; the data's, not traced.
    mask: bool [N, F], False where a feature is padding.
    variance_exponent: of beta-NLL, the loss of continuous features.
  """
  places = np.stack([table.places for table in tables])
  if mask is None:
    places, varies = places[0], np.asarray(moments.varies)
  else:
    varies = np.asarray(moments.varies) & mask
  typed = _Typed(tables[0], places, moments, varies, variance_exponent)
  return Codec(
    structure=typed.structure,
    num_tokens=places.shape[-2],
    token_size=typed.token_size,
    output_size=typed.output_size,
    encode=typed.encode,
    decode=typed.decode,
    bound=lambda tokens: tokens,  # no mean is outside
    vector=typed.vector,
    standardised=typed.standardised,
    loss=typed.loss,
    variance=typed.variance,
    error=typed.error,
    given=typed.given,
  )


class _Output(NamedTuple):
  """A network's output by kind."""

  presence: jax.Array  # logit [*b, (N,) E]
  mean: jax.Array  # of continuous features, [*b, (N,) E, C]
  log_var: jax.Array  # the same, in units of the features' scale
  binary: jax.Array  # logits
  categorical: list[jax.Array]  # log-probabilities [*b, (N,) E, V] of each feature


@dataclasses.dataclass(frozen=True)
class _Typed(Fields):
  exponent: float

  # Vectors and tokens.

  def encode(self, x: jax.Array) -> Tokens:
    table = _take(x, self.places, self.by_agent)
    present = jnp.ones(table.shape[:-1])
    if self.table.presence:
      signs = [self.table.column(name) for name in self.table.presence]
      present = (table[..., signs] > 1e-6).any(-1).astype(jnp.float32)
    middle, half = (lift(x, table.ndim) for x in self.box)
    parts = [(table[..., self.continuous] - middle) / half, table[..., self.binary]]
    for column, values in zip(self.categorical, self.values, strict=True):
      values = lift(np.nan_to_num(values, nan=np.inf), table.ndim)
      distance = jnp.abs(table[..., column, None] - values)
      parts.append(jax.nn.one_hot(jnp.argmin(distance, -1), values.shape[-1]))
    return self.given(Tokens(jnp.concatenate(parts, -1), present), present)

  def _table(self, tokens: Tokens) -> jax.Array:
    """Expected features [*b, (N,) E, columns], given that the entities are there."""
    continuous, binary, *categorical = self.split_values(tokens.values)
    middle, half = (lift(x, continuous.ndim) for x in self.box)
    shape = (*tokens.present.shape, len(self.table.columns))
    table = jnp.broadcast_to(self.constants, shape)
    table = table.at[..., self.continuous].set(continuous * half + middle)
    table = table.at[..., self.binary].set(binary)
    for column, values, p in zip(
      self.categorical, self.values, categorical, strict=True
    ):
      values = lift(np.nan_to_num(values), p.ndim)
      table = table.at[..., column].set((p * values).sum(-1))
    return table

  def _flat(self, table: jax.Array) -> jax.Array:
    """Features by their places in vectors, 0 for padding."""
    table = table.reshape(*table.shape[:-2], -1)
    return _take(table, self.inverse, self.by_agent)

  def vector(self, tokens: Tokens) -> jax.Array:
    table = self._table(tokens)
    # What varies is 0 where the entity is away; what does not is always the same.
    counted = lift(self.counted > 0, table.ndim)
    x = self._flat(table * jnp.where(counted, tokens.present[..., None], 1.0))
    m = jax.tree.map(lambda v: lift(v, x.ndim), self.moments)
    x = jnp.where(lift(self.varies, x.ndim), x, m.mean)
    real = self.inverse < np.prod(self.places.shape[-2:])  # no padding
    return jnp.where(lift(real, x.ndim), jnp.clip(x, m.low, m.high), 0.0)

  def standardised(self, tokens: Tokens) -> jax.Array:
    z = standardise(self.vector(tokens), self.moments)
    return jnp.where(lift(self.varies, z.ndim), z, 0.0)

  # What a network says.

  def _read(self, output: jax.Array, now: Tokens) -> _Output:
    num = len(self.continuous)
    sizes = [bool(self.table.presence), num, num, num, num, len(self.binary)]
    sizes += [v.shape[1] for v in self.values]
    presence, increment, value, gate, raw, binary, *categorical = jnp.split(
      output, np.cumsum(sizes)[:-1].tolist(), -1
    )
    known, *_ = self.split_values(now.values)
    gate = jax.nn.sigmoid(gate - _GATE_BIAS)
    mean = jnp.clip((1 - gate) * (known + increment) + gate * value, -1.0, 1.0)
    allowed = [np.where(np.isnan(v), _IMPOSSIBLE, 0.0) for v in self.values]
    log_p = [
      jax.nn.log_softmax(x + lift(a, x.ndim))
      for x, a in zip(categorical, allowed, strict=True)
    ]
    if self.table.presence:
      presence = presence[..., 0]
    else:
      presence = jnp.full(now.present.shape, -_IMPOSSIBLE)
    return _Output(presence, mean, gaussian.bound_log_var(raw), binary, log_p)

  def decode(self, output: jax.Array, now: Tokens) -> Tokens:
    said = self._read(output, now)
    parts = [said.mean, jax.nn.sigmoid(said.binary), *map(jnp.exp, said.categorical)]
    values = jnp.concatenate(parts, -1)
    values = values * lift(self.has_values, values.ndim)
    return Tokens(values, jax.nn.sigmoid(said.presence))

  def given(self, said: Tokens, present: jax.Array) -> Tokens:
    """Expectations as recorded tokens are: entities are there, or nothing is."""
    there = present[..., None] * lift(self.has_values, said.values.ndim)
    return Tokens(said.values * there, present)

  def loss(self, output: jax.Array, now: Tokens, after: Tokens) -> jax.Array:
    said = self._read(output, now)
    continuous, binary, *categorical = self.split_values(after.values)
    there = after.present[..., None] * lift(self.counted, after.values.ndim)
    ratio = lift(self.ratio, after.values.ndim)
    nll = gaussian.beta_nll(
      continuous * ratio, said.mean * ratio, said.log_var, self.exponent
    )
    total = (there[..., self.continuous] * nll).sum(-1)
    bce = sigmoid_binary_cross_entropy(said.binary, binary)
    total += (there[..., self.binary] * bce).sum(-1)
    for column, log_p, target in zip(
      self.categorical, said.categorical, categorical, strict=True
    ):
      total -= there[..., column] * jnp.where(target > 0, target * log_p, 0.0).sum(-1)
    if self.table.presence:
      bce = sigmoid_binary_cross_entropy(said.presence, after.present)
      # All that varies in a row goes with its entity.
      total += lift(self.counted.sum(-1), bce.ndim) * bce
    return total.sum(self.feature_axes) / max(float(self.varies.sum()), 1.0)

  def variance(self, output: jax.Array, now: Tokens) -> jax.Array:
    """Of x, p var + p (1 - p) mean^2 where its entity is there with probability p."""
    log_var = self._read(output, now).log_var
    tokens = self.decode(output, now)
    mean = self._table(tokens)
    _, p, *categorical = self.split_values(tokens.values)
    scale = lift(self.scale, mean.ndim)
    within = jnp.zeros_like(mean)
    within = within.at[..., self.continuous].set(
      jnp.exp(log_var) * scale[..., self.continuous] ** 2
    )
    within = within.at[..., self.binary].set(p * (1 - p))
    for column, values, p in zip(
      self.categorical, self.values, categorical, strict=True
    ):
      square = (p * lift(np.nan_to_num(values) ** 2, p.ndim)).sum(-1)
      within = within.at[..., column].set(square - mean[..., column] ** 2)
    p = tokens.present[..., None]
    # Rounding may leave a variance of nothing a little below 0.
    total = jnp.maximum(p * within + p * (1 - p) * mean**2, 0.0)
    return self._flat(lift(self.counted, total.ndim) * total / scale**2)

  def error(self, said: Tokens, after: Tokens) -> jax.Array:
    squares = (self.standardised(said) - self.standardised(after)) ** 2
    return squares.sum(self.feature_axes) / max(float(self.varies.sum()), 1.0)


def _take(x: jax.Array, index: np.ndarray, by_agent: bool) -> jax.Array:
  """Gathers along the last axis, 0 where `index` is past its end or negative.

  Args:
    x: [*b, F], or [*b, N, F] if `by_agent`.
    index: any shape, or [N, ...] if `by_agent`.
  """
  size = x.shape[-1]
  x = jnp.concatenate([x, jnp.zeros_like(x[..., :1])], -1)
  index = np.where((index < 0) | (index > size), size, index)
  if not by_agent:
    return x[..., index]
  agent = np.arange(len(index)).reshape(-1, *[1] * (index.ndim - 1))
  return x[..., agent, index]
