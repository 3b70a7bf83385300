"""Windows: consecutive steps of one episode, or of one imagined rollout.

A window of T steps is T + 1 rows, from one to the next of which its transitions lead.
Where the episode ends earlier, the row of its final observation is repeated: these
steps do not count. So the rows themselves say which steps do, none of them lies outside
the dataset, and an observation is always followed by the next one of its episode.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int
import numpy as np

from logo_jax.replay.sampling import BlockWeights


def draw(
  starts: Int[Array, " N"], num: int, length: int, key: jax.Array
) -> Int[Array, "W T1"]:
  """Draws windows of recorded rows, with replacement.

  Args:
    starts: all rows that start a transition, in order; the first step is drawn
      uniformly from them.
    num: W windows.
    length: T steps.
    key: randomness.

  Returns:
    Rows [W, T + 1].
  """
  at = jax.random.randint(key, (num,), 0, starts.shape[0])
  ahead = at[:, None] + jnp.arange(length)
  inside = ahead < starts.shape[0]
  # A final observation starts nothing: after it the table is ahead of the rows.
  follows = starts[jnp.where(inside, ahead, 0)] == starts[at, None] + jnp.arange(length)
  return extend(starts[at], (inside & follows).sum(-1), length)


def extend(
  first: Int[Array, "*b"], left: Int[Array, "*b"], length: int
) -> Int[Array, "*b T1"]:
  """The rows of windows.

  Args:
    first: row of the first step.
    left: transitions from there to the end of the episode or rollout.
    length: T steps.

  Returns:
    Rows [*b, T + 1].
  """
  steps = jnp.arange(length + 1, dtype=jnp.int32)
  return first[..., None] + jnp.minimum(steps, left[..., None])


def counts(index: Int[Array, "*b T1"]) -> Bool[Array, "*b T"]:
  """Which steps of windows lie inside their episode; `index` are their rows."""
  return index[..., 1:] > index[..., :-1]


def left_in_run(valid: Bool[Array, " R"]) -> Int[Array, " R"]:
  """Length of the run of valid rows that starts at each row; 0 where invalid."""
  rows = jnp.arange(valid.shape[0], dtype=jnp.int32)
  ends = jnp.where(valid, valid.shape[0], rows)
  return jax.lax.cummin(ends, reverse=True) - rows


def share_of_starts(starts: np.ndarray, length: int) -> float:
  """Expected share of steps that count, in windows of `draw`; exact.

  Args:
    starts: all rows that start a transition, in order.
    length: T steps.
  """
  ends = np.flatnonzero(np.diff(starts) != 1)
  episodes = np.diff(np.concatenate([[-1], ends, [len(starts) - 1]]))
  # Windows that start in the last steps of an episode have 1, 2, ... steps.
  short = np.minimum(episodes, length).astype(np.int64)
  steps = short * (short + 1) // 2 + (episodes - short) * length
  return int(steps.sum()) / (len(starts) * length)


def share_of_blocks(
  blocks: BlockWeights, left: Int[Array, " R"], length: int
) -> Float[Array, ""]:
  """Expected share of steps that count, where first rows are drawn from `blocks`.

  Args:
    blocks: weights of R rows.
    left: of each row, from `left_in_run`.
    length: T steps.
  """
  num_padded = blocks.weights.size - left.shape[0]
  steps = jnp.pad(jnp.minimum(left, length), (0, num_padded)).astype(jnp.float32)
  steps = (blocks.weights * steps.reshape(blocks.weights.shape)).sum(-1)
  # The largest weight is 1, and a row that is drawn counts itself: the limits change
  # something only where there is nothing to draw.
  share = steps.sum() / jnp.maximum(blocks.sums.sum(), 1.0) / length
  return jnp.maximum(share, 1 / length)
