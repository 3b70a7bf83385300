"""Types shared by every part of the library.

Axes, in this order: batch `*b`, time `T`, agents `N`, then features: observation `O`,
state `S`, actions `A` (their number when discrete, their dimension when continuous),
views `M` of the same prediction, groups `G` of predicted features. Every container is a
`NamedTuple`, hence a pytree.
"""

from collections.abc import Callable
import dataclasses
from typing import Any, Literal, NamedTuple

import jax
from jaxtyping import Array, Bool, Float, Int, PyTree
import numpy as np

from logo_jax.layout import Layout
from logo_jax.ops.standardise import Moments

Params = PyTree
Metrics = dict[str, jax.Array]
Action = Int[Array, "*b N"] | Float[Array, "*b N A"]


@dataclasses.dataclass(frozen=True)
class EnvSpec:
  """What a component must know of an environment; static and hashable.

  Agents with shorter observations are padded with zeros to `obs_dim`; a legal-action
  mask says which discrete actions are real. Continuous actions lie in [-1, 1].
  """

  name: str  # <suite>/<scenario>, for example "smax/2s3z"
  num_agents: int
  obs_dim: int
  state_dim: int
  action_kind: Literal["discrete", "continuous"]
  action_dim: int  # number of actions (discrete) or dimension (continuous)
  max_steps: int  # time limit of an episode, in steps
  obs_sizes: tuple[int, ...] = ()  # of each agent, before padding; () = all obs_dim
  layout: Layout | None = None  # how observations and states split into entities

  def stored(self) -> dict[str, Any]:
    """The fields that are stored with a dataset; the layout follows from the name."""
    fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
    return {k: v for k, v in fields.items() if k != "layout"}

  @property
  def obs_mask(self) -> np.ndarray:
    """bool `[N, O]`: False where an observation is padding."""
    sizes = self.obs_sizes or (self.obs_dim,) * self.num_agents
    return np.arange(self.obs_dim) < np.array(sizes)[:, None]


class TimeStep(NamedTuple):
  """What an environment shows after `reset` or `step`.

  Without any batch axis in an `Environment`, with a leading one in a `HostEnvironment`.
  """

  obs: Float[Array, "N O"]
  state: Float[Array, " S"]
  legal: Bool[Array, "N A"]
  reward: Float[Array, ""]  # team reward of the step that led here; 0 after reset
  discount: Float[Array, ""]  # 0 at true termination, 1 otherwise
  last: Bool[Array, ""]  # the episode is over, by termination or time limit
  won: Bool[Array, ""]  # the episode ended in a win; always False where undefined


class Environment(NamedTuple):
  """A jittable environment: pure functions, no automatic reset.

  `step` returns the true final observation at the end of an episode; stepping on after
  `last` is allowed but meaningless, callers reset.
  """

  spec: EnvSpec
  reset: Callable[[jax.Array], tuple[Any, TimeStep]]
  step: Callable[
    [Any, jax.Array, jax.Array], tuple[Any, TimeStep]
  ]  # state, action, key


class HostEnvironment(NamedTuple):
  """An environment outside JAX: many copies at once, numpy arrays with axes `[B, ...]`.

  As with `Environment`, both functions leave their arguments alone and nothing is
  reset automatically: the state is a tree of arrays `[B, ...]`, from which callers
  pick. `step` uses no randomness.
  """

  spec: EnvSpec
  reset: Callable[[np.random.Generator, int], tuple[Any, TimeStep]]  # rng, B copies
  step: Callable[[Any, np.ndarray], tuple[Any, TimeStep]]  # state, actions


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


class Prediction(NamedTuple):
  """One imagined step, in the environment's own units.

  `mean` and `std` are M views of G groups of F predicted features, in units of the
  features' standard deviation and 0 where a feature does not vary; an uncertainty reads
  them and nothing else of a model. A joint model has one group, a model that predicts
  every agent's observation apart has one for each agent.
  """

  obs: Float[Array, "*b N O"]
  state: Float[Array, "*b S"]
  reward: Float[Array, "*b"]
  discount: Float[Array, "*b"]  # probability in [0, 1] that the episode goes on
  legal: Bool[Array, "*b N A"]
  mean: Float[Array, "*b M G F"]
  std: Float[Array, "*b M G F"]

  def transition(
    self, obs: jax.Array, state: jax.Array, legal: jax.Array, action: jax.Array
  ) -> Transition:
    """The imagined step from there to what is predicted."""
    return Transition(
      *(obs, state, legal, action, self.reward, self.discount),
      next_obs=self.obs,
      next_state=self.state,
      next_legal=self.legal,
    )


class WorldModel(NamedTuple):
  """A model of the joint dynamics."""

  num_views: int  # M of its predictions
  window: int  # time steps per training sample; 1 = Markov
  init: Callable[[jax.Array], Params]
  # (params, transitions, weight, key) -> (loss, metrics). Axes are [B], or [B, T] for
  # windows of consecutive steps, whose weight is 0 beyond the end of an episode.
  loss: Callable[[Params, Transition, jax.Array, jax.Array], tuple[jax.Array, Metrics]]
  # The error of what rollouts use, lower is better: early stopping selects by it. Of
  # the same; its shape is `error_shape`.
  validate: Callable[[Params, Transition, jax.Array, jax.Array], jax.Array]
  start: Callable[[Params, Transition, jax.Array], Any]  # -> latent
  step: Callable[[Params, Any, jax.Array, jax.Array], tuple[Any, Prediction]]
  diagnose: Callable[[Params, Transition], Metrics]  # checks of its own, held-out data
  # False: only observations are predicted and the state stays what it was, so that
  # learners that read it do not fit.
  predicts_state: bool = True
  # (M,): the leading axis of all parameters is one of M members, of which each has an
  # error and keeps its own best parameters.
  error_shape: tuple[int, ...] = ()


class Uncertainty(NamedTuple):
  """A score >= 0 for each imagined transition; it is stored raw."""

  min_views: int
  # (world_model, model_params, held_out, bank, key): transitions of the selection split
  # and, evenly spaced, `bank_size` of the training split, () if that is 0.
  init: Callable[..., Params]
  score: Callable[[Params, Transition, Prediction], jax.Array]  # -> raw [*b]
  accumulate: Callable[[jax.Array, jax.Array], jax.Array]  # along a rollout
  calibrate: Callable[[Params, jax.Array], jax.Array]  # raw -> calibrated units
  bank_size: int = 0  # fewer where the training split has fewer
  reads_state: bool = False  # True: `score` looks at predicted states


class Weighting(NamedTuple):
  """How a calibrated score enters learning."""

  on_store: Callable[[Transition, jax.Array], tuple[Transition, jax.Array]]  # halt
  on_sample: Callable[[Transition, jax.Array], Transition]  # penalty
  log_weight: Callable[[jax.Array], jax.Array]  # confidence; 0 = uniform
  # The most that it takes from the return of an imagined episode, inf if there is no
  # bound; learners that keep values within the data's range allow for it.
  return_loss: float = 0.0


class LearnerState(NamedTuple):
  """Everything that a learner's update changes."""

  params: Params
  target: Params  # () for learners without target networks
  opt_state: Any
  step: Int[Array, ""]


class Learner(NamedTuple):
  """Learns decentralised policies from batches."""

  init: Callable[[jax.Array], LearnerState]
  update: Callable[[LearnerState, Batch, jax.Array], tuple[LearnerState, Metrics]]
  # Leading axes -> what the agents remember at the start of an episode, () if nothing.
  initial_carry: Callable[[tuple[int, ...]], Any]
  # (params, carry, obs, legal, key, greedy=False) -> (carry, action)
  act: Callable[..., tuple[Any, jax.Array]]
  window: int = 1  # T, consecutive steps per sample; 1: batches have axes [B]
  reads_state: bool = True  # False: `update` makes no use of states
  config: Any = None  # the learner's own, with what was None filled in


class LearnerContext(NamedTuple):
  """What a learner is built from, beside its own config."""

  spec: EnvSpec
  statistics: Statistics
  # (learning rate, clip_norm=10) -> optimizer; averages gradients over devices where
  # there are several.
  make_optimizer: Callable[..., Any]
  # What weighting imagined rows may take from a return; see `Weighting.return_loss`.
  return_loss: float = 0.0
