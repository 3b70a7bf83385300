"""What is learned from: recorded and imagined steps."""

from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Int

from logo_jax.ops.standardise import Moments

Action = Int[Array, "*b N"] | Float[Array, "*b N A"]


class Transition(NamedTuple):
  """One joint step; every field has the same leading batch axes."""

  obs: Float[Array, "*b N O"]
  state: Float[Array, "*b S"]
  legal: Bool[Array, "*b N A"]
  action: Action
  reward: Float[Array, "*b"]
  discount: Float[
    Array, "*b"
  ]  # 0 at true termination, 1 otherwise; expected if imagined
  next_obs: Float[Array, "*b N O"]
  next_state: Float[Array, "*b S"]
  next_legal: Bool[Array, "*b N A"]
  time: Any = ()  # Int[Array, "*b"] or (); see `Rows.time`


class Rows(NamedTuple):
  """Consecutive time steps, the storage form of transitions.

  A transition that starts at row `i` ends at row `i + 1`; each episode has one extra
  last row that holds its final observation (action 0, reward 0).
  """

  obs: Float[Array, "R N O"]
  state: Float[Array, "R S"]
  legal: Bool[Array, "R N A"]
  action: Int[Array, "R N"] | Float[Array, "R N A"]
  reward: Float[Array, " R"]
  discount: Float[Array, " R"]
  # Int[Array, " R"], steps since the episode began; not stored, and () where nobody has
  # counted them.
  time: Any = ()

  def stored(self) -> dict[str, Array]:
    """The fields that files hold, by name."""
    return {name: getattr(self, name) for name in STORED}


STORED = Rows._fields[:-1]  # the fields of rows that files hold


class Statistics(NamedTuple):
  """What components may know of a dataset before they are built.

  Moments, with the clipping box, come from the training split; the range from all rows.
  """

  # Features [O] pooled over agents, or [N, O] where the layout says that agents are
  # unlike: that one's height is another's angle.
  obs: Moments
  state: Moments  # [S]
  reward: Moments  # []
  # Least and largest undiscounted return-to-go, to the end of the recording.
  return_range: tuple[float, float]
  # Least and largest reward of steps after which an episode goes on, where recordings
  # are cut before episodes end; (0, 0) where they are not.
  cut_rewards: tuple[float, float] = (0.0, 0.0)


class Dataset(NamedTuple):
  """A dataset on device: rows, and tables of rows that start a transition.

  The tables of the three splits are disjoint by episode and together make `starts`.
  """

  rows: Rows
  starts: Int[Array, " T"]
  train: Int[Array, " T1"]  # world models are fitted here
  select: Int[Array, " T2"]  # early stopping and calibration
  test: Int[Array, " T3"]  # reported model errors


class Batch(NamedTuple):
  """Transitions to learn from.

  The axes `*b` are `[B]`, or `[B, T]` for windows of T consecutive steps. One that its
  episode, or imagined rollout, cuts to n steps has weight 0 after them, and T / n times
  the usual weight before. `weight` has mean 1 over the global batch, 0 marks padding: a
  loss is `mean(weight * x)` on every device and averaging over devices is exact.
  """

  transition: Transition
  weight: Float[Array, "*b"]
  real: Bool[Array, "*b"]  # from the dataset (True) or imagined (False)
  real_share: Float[Array, ""]  # expected share of real rows, over all batches
  # Joint actions to imitate in the first so many rows, as the recorded ones are shaped;
  # (): nobody gives advice.
  advice: Any = ()


class Rollouts(NamedTuple):
  """Imagined rollouts of the present policies, to learn from once; axes [B, H].

  `weight` is how far a step is trusted and has mean 1 over the global batch; it is 0
  beyond the end of a rollout. A loss is `mean(weight * x)` on every device.
  """

  transition: Transition  # `time` counts on from where the rollout starts
  weight: Float[Array, "B H"]
  goes_on: Bool[Array, "B H"]  # the next step belongs to the rollout, too
  uncertainty: Float[Array, "B H"]  # calibrated
