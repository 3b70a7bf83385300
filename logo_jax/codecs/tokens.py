"""What codecs have in common."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Tokens(NamedTuple):
  """A batch of states `[*b, E, D]`, or of all agents' observations `[*b, N, E, D]`.

  Predicted tokens are expectations: values given that the entity is there, of a
  categorical feature the probabilities, and the probability that it is there. Kept
  apart, a unit that is perhaps dead does not move half way to the origin.
  """

  values: jax.Array  # [*b, (N,) E, D]
  present: jax.Array  # [*b, (N,) E]


class Pointer(NamedTuple):
  """A categorical feature that points from entity to entity."""

  first: int  # where its values stand in a token's values
  output: int  # where their logits stand in a network's output
  points: np.ndarray  # int [E, V], the entity at which each value points, or -1


class Structure(NamedTuple):
  """What is known of tokens beforehand; numpy arrays."""

  has: np.ndarray  # float [(N,) E, D], 1 where an entity has a feature
  static: np.ndarray  # float [(N,) E, K], features that are constant while there
  positions: np.ndarray  # int [axes], where positions stand in a token's values
  pointers: tuple[Pointer, ...]


class Codec(NamedTuple):
  """Functions of one kind of vector; x are vectors `[*b, S]` or `[*b, N, O]`.

  `standardised` vectors are in units of the features' scale, 0 where a feature is
  constant or padding.
  """

  structure: Structure
  num_tokens: int  # E
  token_size: int  # D
  output_size: int  # R, what a network must say of each token
  encode: Callable[[jax.Array], Tokens]  # x -> tokens
  # (output [*b, (N,) E, R], tokens of now) -> expected tokens of the next step
  decode: Callable[[jax.Array, Tokens], Tokens]
  # Expected tokens -> those that a rollout goes on from, within the data's box. Without
  # it, open-loop rollouts run away (MOMA-PPO, Barde et al., 2023).
  bound: Callable[[Tokens], Tokens]
  vector: Callable[[Tokens], jax.Array]  # expected tokens -> expected x
  standardised: Callable[[Tokens], jax.Array]
  # (output, tokens of now, tokens of the next step) -> loss per feature, [*b]
  loss: Callable[[jax.Array, Tokens, Tokens], jax.Array]
  # (output, tokens of now) -> predicted variance of the standardised vectors
  variance: Callable[[jax.Array, Tokens], jax.Array]
  # (expected tokens, tokens that came) -> mean squared standardised error, [*b]
  error: Callable[[Tokens, Tokens], jax.Array]
  # (expected tokens, which entities are there [*b, (N,) E]) -> what is expected given
  # that; None where no entity is told from another
  given: Callable[[Tokens, jax.Array], Tokens] | None = None


def outright(codec: Codec, output: jax.Array) -> Tokens:
  """What a decoder of vectors [*b, (N,) D] says, which is no change of anything."""
  blank = jax.tree.map(jnp.zeros_like, codec.encode(output))
  return codec.decode(output[..., None, :], blank)
