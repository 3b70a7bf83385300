"""What the chunks of a phase read: the dataset itself, or rows from the host."""

from collections.abc import Callable
import contextlib
import functools
from typing import Any

import jax
from jax.sharding import Mesh

from logo_jax.data import stream
from logo_jax.data.stream import Feed
from logo_jax.training import parallel
from logo_jax.types import Dataset


def make_feeds(
  data: Dataset,
  draw: Callable[..., Any],
  mesh: Mesh,
  keys: jax.Array,
  interval: int,
  end: int,
) -> contextlib.AbstractContextManager[Callable[[int], Dataset | Feed]]:
  """What a phase's chunks read, in a context that ends with the phase.

  Args:
    data: as `parallel.place` leaves it.
    draw: of `Fit` or `Train`.
    mesh: from `parallel.make_mesh`.
    keys: of the states, with an axis of seeds; a phase never changes them.
    interval: steps of a chunk.
    end: steps of the phase.

  Returns:
    step -> the dataset itself, or for rows on the host the feed of the chunk there.
  """
  if not stream.on_host(data):
    return contextlib.nullcontext(lambda step: data)
  mapped, tables = parallel.map_draw(draw, mesh), data._replace(rows=())
  keys = keys.copy()  # the states are donated
  return stream.feeds(
    data.rows,
    lambda step: mapped(keys, step, tables),
    functools.partial(parallel.place_feed, mesh=mesh),
    range(0, end, interval),
  )
