"""What the current step shows a world model's networks."""

from typing import NamedTuple

import jax

from logo_jax.codecs.tokens import Tokens


class Now(NamedTuple):
  """One joint step; leading batch axes `*b`."""

  obs: Tokens  # [*b, N, E, D]
  state: Tokens  # [*b, E, D]
  action: jax.Array  # encoded, [*b, N, A]
  # Steps since the last true observation, [*b]: predictions that grow from predictions
  # are uncertain, and the best guess from them another one.
  depth: jax.Array
