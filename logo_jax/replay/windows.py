"""Windows: consecutive steps of one episode, or of one imagined rollout.

A window is drawn by one of its steps, the anchor, and by the place of the anchor in it,
which is uniform among T. The T steps around the anchor are cut to its episode on both
sides; each of the n >= 1 that are left weighs T / n. A step belongs to T such windows,
and one of n steps has n anchors by which it can be drawn: so where anchors are uniform
all steps of all episodes weigh alike, the first and the last ones too, and the mean
weight of every window is 1. Where anchors are drawn by confidence, a window is drawn in
proportion to the sum of its steps' confidences, and each step counts 1 / n of it.

A window is stored as T + 1 rows, from one to the next of which its transitions lead.
After its last step the row of the observation to which that leads is repeated: these
steps do not count. So the rows themselves say which steps do, none of them lies outside
the dataset, and an observation is always followed by the next one of its episode.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Runs(NamedTuple):
  """Of each row, the run of valid rows around it."""

  first: Int[Array, " R"]
  end: Int[Array, " R"]  # the row after its last one


def draw(
  starts: Int[Array, " N"], num: int, length: int, key: jax.Array
) -> Int[Array, "W T1"]:
  """Draws windows of recorded rows, with replacement; all steps are as likely.

  Args:
    starts: all rows that start a transition, in order.
    num: W windows.
    length: T steps.
    key: randomness.

  Returns:
    Rows [W, T + 1].
  """
  k_anchor, k_place = jax.random.split(key)
  anchor = jax.random.randint(k_anchor, (num,), 0, starts.shape[0])
  return in_episodes(starts, anchor, draw_places(num, length, k_place), length)


def draw_places(num: int, length: int, key: jax.Array) -> Int[Array, " W"]:
  """Places of anchors in their windows of `length` steps."""
  return jax.random.randint(key, (num,), 0, length)


def in_episodes(
  starts: Int[Array, " N"],
  anchor: Int[Array, " W"],
  place: Int[Array, " W"],
  length: int,
) -> Int[Array, "W T1"]:
  """Windows of recorded rows.

  Args:
    starts: all rows that start a transition, in order.
    anchor: indices into `starts`.
    place: of the anchors in their windows, from 0 to T - 1.
    length: T steps.

  Returns:
    Rows [W, T + 1].
  """
  ahead = jnp.arange(length) - place[:, None]
  at = anchor[:, None] + ahead
  inside = (at >= 0) & (at < starts.shape[0])
  row = starts[anchor]
  # A final observation starts nothing: beyond it the table is ahead of the rows.
  inside &= starts[jnp.where(inside, at, 0)] == row[:, None] + ahead
  return _pack(row - (inside & (ahead < 0)).sum(-1), inside.sum(-1), length)


def leading_to(
  starts: Int[Array, " N"], anchor: Int[Array, "*b"], length: int
) -> Int[Array, "*b W"]:
  """The rows of an episode that lead to one of them.

  Args:
    starts: all rows that start a transition, in order.
    anchor: indices into `starts`.
    length: W rows, of which the anchor's is the last.

  Returns:
    Rows [*b, W]. Those that the episode has not had are its first one, repeated in
    front: time stands still there, and nothing is to be remembered.
  """
  back = jnp.arange(length)[::-1]
  at = anchor[..., None] - back
  row = starts[anchor][..., None]
  inside = (at >= 0) & (starts[jnp.maximum(at, 0)] == row - back)
  return up_to(row[..., 0], inside.sum(-1) - 1, length)


def up_to(
  row: Int[Array, "*b"], before: Int[Array, "*b"], length: int
) -> Int[Array, "*b W"]:
  """The last `length` rows of episodes up to given ones; see `leading_to`.

  Args:
    row: the last of each.
    before: how many rows the episode has had before it.
    length: W.
  """
  back = jnp.arange(length)[::-1]
  return row[..., None] - jnp.minimum(back, before[..., None])


def in_runs(
  runs: Runs, anchor: Int[Array, " W"], place: Int[Array, " W"], length: int
) -> Int[Array, "W T1"]:
  """Windows of imagined rows.

  Args:
    runs: from `runs_of`.
    anchor: valid rows.
    place: of the anchors in their windows, from 0 to T - 1.
    length: T steps.

  Returns:
    Rows [W, T + 1].
  """
  begin = anchor - place
  first = jnp.maximum(begin, runs.first[anchor])
  return _pack(first, jnp.minimum(begin + length, runs.end[anchor]) - first, length)


def runs_of(valid: Bool[Array, " R"]) -> Runs:
  """The runs of valid rows; an invalid row has an empty one."""
  rows = jnp.arange(valid.shape[0], dtype=jnp.int32)
  first = jax.lax.cummax(jnp.where(valid, 0, rows + 1))
  end = jax.lax.cummin(jnp.where(valid, valid.shape[0], rows), reverse=True)
  return Runs(jnp.minimum(first, rows), end)


def counts(index: Int[Array, "*b T1"]) -> Bool[Array, "*b T"]:
  """Which steps of windows lie inside their episode; `index` are their rows."""
  return index[..., 1:] > index[..., :-1]


def weights(index: Int[Array, "*b T1"]) -> Float[Array, "*b T"]:
  """T / n for the n steps of a window that count, 0 for the others."""
  inside = counts(index)
  # None counts where there was nothing to draw.
  num = jnp.maximum(inside.sum(-1, keepdims=True), 1)
  return inside * (inside.shape[-1] / num)


def _pack(
  first: Int[Array, " W"], num: Int[Array, " W"], length: int
) -> Int[Array, "W T1"]:
  """Rows of windows of `num` steps from row `first`, the last row repeated."""
  steps = jnp.arange(length + 1, dtype=jnp.int32)
  return first[:, None] + jnp.minimum(steps, num[:, None])
