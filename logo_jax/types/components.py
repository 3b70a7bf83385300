"""What systems are composed of: models, uncertainties, weightings, learners."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from logo_jax.types.data import Statistics, Transition
from logo_jax.types.environment import EnvSpec

Params = PyTree
Metrics = dict[str, jax.Array]


class Observed(NamedTuple):
  """What can be known before acting: in a game, in data, or in a model."""

  obs: Float[Array, "*b N O"]
  state: Float[Array, "*b S"]  # read by centralised actors and by values alone
  legal: Bool[Array, "*b N A"]
  time: Any = ()  # Int[Array, "*b"] or (); see `Rows.time`

  def standing(self, action: jax.Array) -> Transition:
    """A step that leads nowhere, for what reads of a step only where it starts."""
    here = self.obs, self.state, self.legal
    reward = jnp.zeros(self.state.shape[:-1])
    return Transition(
      *(*here, action, reward, jnp.ones_like(reward), *here), time=self.time
    )


class Actor(NamedTuple):
  """Plays: a learner's policies, or a planner around them."""

  # Leading axes -> what the agents remember at the start of an episode, () if nothing.
  initial_carry: Callable[[tuple[int, ...]], Any]
  # (params, carry, Observed, key, greedy=False) -> (carry, action)
  act: Callable[..., tuple[Any, jax.Array]]
  # True: an agent's action depends on more than it has observed itself.
  centralised: bool = False


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

  def transition(self, now: "Observed", action: jax.Array) -> Transition:
    """The imagined step from there to what is predicted."""
    return Transition(
      *(now.obs, now.state, now.legal, action, self.reward, self.discount),
      next_obs=self.obs,
      next_state=self.state,
      next_legal=self.legal,
      time=now.time,
    )


class Beliefs(NamedTuple):
  """What a model with a memory makes of what was observed, for policies to read.

  Features [*b, N, F], of each agent, are all there is to a belief: from them the model
  goes on.
  """

  size: int  # F
  of: Callable[[Any], jax.Array]  # latents -> features
  latent: Callable[[jax.Array], Any]  # features -> latents
  # (params, windows [B, T], key) -> features [B, T + 1, N, F] at every step, and behind
  # the last one; at the first of an episode, or of a window, nothing is remembered
  follow: Callable[[Params, Transition, jax.Array], jax.Array]
  # In a game, step by step. Leading axes -> what is remembered before anything is seen.
  nothing: Callable[[tuple[int, ...]], Any]
  # (params, what is remembered, obs [*b, N, O], key) -> features
  see: Callable[[Params, Any, jax.Array, jax.Array], jax.Array]
  # (features, what all agents did then) -> what is remembered
  acted: Callable[[jax.Array, jax.Array], Any]


class WorldModel(NamedTuple):
  """A model of the joint dynamics."""

  num_views: int  # M of its predictions
  # W steps of one episode, of which a training sample is, and from which `start` infers
  # where it starts; 1 = Markov.
  window: int
  init: Callable[[jax.Array], Params]
  # (params, transitions, weight, key) -> (loss, metrics). Axes are [B], or [B, T] for
  # windows of consecutive steps, whose weight is 0 beyond the end of an episode.
  loss: Callable[[Params, Transition, jax.Array, jax.Array], tuple[jax.Array, Metrics]]
  # The error of what rollouts use, lower is better: early stopping selects by it. Of
  # the same; its shape is `error_shape`.
  validate: Callable[[Params, Transition, jax.Array, jax.Array], jax.Array]
  # (params, transitions, key) -> latent [B], where these start. With a memory they are
  # histories [B, W] (`windows.leading_to`), and it is where the last of them starts; of
  # single transitions [B] nothing is known that was before.
  start: Callable[[Params, Transition, jax.Array], Any]
  step: Callable[[Params, Any, jax.Array, jax.Array], tuple[Any, Prediction]]
  diagnose: Callable[[Params, Transition], Metrics]  # checks of its own, held-out data
  # False: only observations are predicted and the state stays what it was, so that
  # learners that read it do not fit.
  predicts_state: bool = True
  # (M,): the leading axis of all parameters is one of M members, of which each has an
  # error and keeps its own best parameters.
  error_shape: tuple[int, ...] = ()
  # As `step`, which says what is expected; this draws one of the next steps that may
  # come. None: the model cannot, or its `step` draws already.
  draw: Callable[[Params, Any, jax.Array, jax.Array], tuple[Any, Prediction]] | None = (
    None
  )
  beliefs: Beliefs | None = None  # None: it has none that policies could read


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

  # -> what is stored, and whether it is: where not, the rollout ends before it (halt)
  on_store: Callable[[Transition, jax.Array], tuple[Transition, jax.Array]]
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


class Prelude(NamedTuple):
  """A phase of learning before the one that the budget is of, with its own update."""

  name: str  # of the phase, one of `metric_lines.PHASES`
  updates: int
  update: Callable[[LearnerState, Any, jax.Array], tuple[LearnerState, Metrics]]
  eats: Literal["transitions", "rollouts"] = "transitions"


class Critic(NamedTuple):
  """What a learner's values say, for others to read."""

  # (a learner's parameters, Observed, joint action) -> the return from there on that
  # the policies earn after this action, [*b], in the environment's units
  value: Callable[[Params, Observed, jax.Array], jax.Array]
  discount: float  # gamma of that return, per step


class Learner(NamedTuple):
  """Learns decentralised policies."""

  init: Callable[[jax.Array], LearnerState]
  # Of a `Batch`, or of `Rollouts`, as `eats` says.
  update: Callable[[LearnerState, Any, jax.Array], tuple[LearnerState, Metrics]]
  actor: Actor  # of the learner's parameters; this is what is played
  window: int = 1  # T, consecutive steps per sample; 1: batches have axes [B]
  reads_state: bool = True  # False: `update` makes no use of states
  config: Any = None  # the learner's own, with what was None filled in
  eats: Literal["transitions", "rollouts"] = "transitions"
  preludes: tuple[Prelude, ...] = ()  # in this order
  explorer: Actor | None = None  # acts in the model, where it is not `actor`
  critic: Critic | None = None  # None: there are no values, or they need more
  # What imitating `Batch.advice` counts for; 0: nothing, and none is asked for; None:
  # `update` makes no use of it.
  advice_weight: float | None = None


class Planner(NamedTuple):
  """Chooses joint actions by trying them in the model."""

  # (parameters of model, uncertainty and learner; Observed [B]; key) -> joint actions,
  # and metrics
  plan: Callable[[tuple[Params, Params, Params], Observed, jax.Array], Any]
  actor: Actor  # plays what is planned, centralised; of the same parameters
  share: float = 1.0  # of a batch's rows that advice is given on


class LearnerContext(NamedTuple):
  """What a learner is built from, beside its own config."""

  spec: EnvSpec
  statistics: Statistics
  # (learning rate, clip_norm=10) -> optimizer; averages gradients over devices where
  # there are several.
  make_optimizer: Callable[..., Any]
  # What weighting imagined rows may take from a return; see `Weighting.return_loss`.
  return_loss: float = 0.0
