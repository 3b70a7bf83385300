"""Where a learner's batches come from, each source in a file of its own.

A source draws from the dataset, from a ring of imagined rows, or lets the present
policy imagine. The compiled step knows nothing but `Source`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jaxtyping import PyTree

from logo_jax.types import Dataset, Metrics, Params, Rows, Transition


class UpdateKeys(NamedTuple):
  """Of one update; `coin` is the same on all devices that share a batch."""

  coin: jax.Array
  real: jax.Array
  imagined: jax.Array
  update: jax.Array


class Acting(NamedTuple):
  """Parameters of all that has a say in what is imagined, () where there is none."""

  model: Params
  uncertainty: Params
  learner: Params


class Source(NamedTuple):
  """Pure functions of one run; callers map over seeds and devices."""

  # (parameters, their shapes will do; starts; key) -> what is kept between chunks
  init: Callable[[Acting, Transition, jax.Array], Any]
  # (data, key) -> rows that one chunk reads at its beginning, () if none
  plan_chunk: Callable[[Dataset, jax.Array], PyTree]
  # (data, keys) -> rows that one update reads
  plan_update: Callable[[Dataset, UpdateKeys], PyTree]
  # (kept, parameters, rows, those of `plan_chunk`, key, updates so far) -> (kept, what
  # the chunk draws from, metrics)
  refresh: Callable[..., tuple[Any, Any, Metrics]]
  # (what the chunk draws from, parameters, rows, those of `plan_update`, keys) ->
  # (what the learner's update takes, metrics)
  draw: Callable[[Any, Acting, Rows, PyTree, UpdateKeys], tuple[Any, Metrics]]


def keep_nothing(
  plan_update: Callable[[Dataset, UpdateKeys], PyTree],
  draw: Callable[[Any, Acting, Rows, PyTree, UpdateKeys], tuple[Any, Metrics]],
) -> Source:
  """A source of which nothing outlasts an update."""
  return Source(
    init=lambda acting, starts, key: (),
    plan_chunk=lambda data, key: (),
    plan_update=plan_update,
    refresh=lambda kept, *args: (kept, (), {}),
    draw=draw,
  )
