"""A world model from one-step dynamics on tokens.

What models differ in is how they get from the tokens of now to those of the next step
(`Dynamics`). What they have in common is here: vectors in and out, heads of termination
and legal actions, windows, on which losses are taken while the model goes on from its
own predictions, the error by which fits are selected, and rollouts.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from optax.losses import sigmoid_binary_cross_entropy

from logo_jax.codecs.tokens import Codec, Tokens
from logo_jax.networks.now import Now
from logo_jax.ops import actions
from logo_jax.ops.standardise import standardise, unstandardise
from logo_jax.types import (
  EnvSpec,
  Metrics,
  Params,
  Prediction,
  Statistics,
  Transition,
  WorldModel,
)


class After(NamedTuple):
  """The next step, as it came; `*b` axes in front."""

  obs: Tokens
  state: Tokens
  reward: jax.Array  # standardised
  ended: jax.Array  # bool
  legal: jax.Array  # bool [*b, N, A]


class Said(NamedTuple):
  """The next step, as a model says it will come: expectations."""

  obs: Tokens
  state: Tokens
  reward: jax.Array  # standardised
  termination: jax.Array  # logit
  legal: jax.Array | tuple[()]  # logits [*b, N, A]; () if actions are continuous
  mean: jax.Array  # views, as in `types.Prediction`
  std: jax.Array


class Dynamics(NamedTuple):
  """One step of a model; every loss is per sample, `[*b]`."""

  num_views: int
  init: Callable[[jax.Array], Params]
  step: Callable[[Params, Now], Said]
  # Losses by name, and what is said, from which a window goes on.
  losses: Callable[[Params, Now, After], tuple[dict[str, jax.Array], Said]]


class Latent(NamedTuple):
  """What a rollout carries."""

  obs: Tokens
  state: Tokens
  depth: jax.Array


class Frame(NamedTuple):
  """Between transitions and tokens."""

  spec: EnvSpec
  statistics: Statistics
  state: Codec
  obs: Codec
  termination_class_weight: float

  def now(self, t: Transition) -> Now:
    """The true step; nothing is predicted yet."""
    action = actions.encode(t.action, self.spec.action_dim)
    depth = jnp.zeros(t.reward.shape)
    return Now(self.obs.encode(t.obs), self.state.encode(t.state), action, depth)

  def after(self, t: Transition) -> After:
    """The true next step."""
    return After(
      obs=self.obs.encode(t.next_obs),
      state=self.state.encode(t.next_state),
      reward=standardise(t.reward, self.statistics.reward),
      ended=t.discount == 0.0,
      legal=t.next_legal,
    )

  def imagined(self, latent: Latent, action: jax.Array) -> Now:
    """A step of a rollout."""
    action = actions.encode(action, self.spec.action_dim)
    return Now(latent.obs, latent.state, action, latent.depth)

  def predict(self, said: Said, latent: Latent) -> tuple[Latent, Prediction]:
    """What is said, in the environment's units, and what the rollout goes on from."""
    return Latent(*self.bound(said), latent.depth + 1.0), self.prediction(said)

  def prediction(self, said: Said) -> Prediction:
    """What is said, in the environment's units."""
    # The class weight shifts the head's log-odds by its logarithm; undone, `discount`
    # is the expected one and values of imagined steps are not biased by the weight.
    shift = jnp.log(self.termination_class_weight)
    return Prediction(
      obs=self.obs.vector(said.obs),
      state=self.state.vector(said.state),
      reward=unstandardise(said.reward, self.statistics.reward),
      discount=1.0 - jax.nn.sigmoid(said.termination - shift),
      legal=self._legal(said),
      mean=said.mean,
      std=said.std,
    )

  def bound(self, said: Said) -> tuple[Tokens, Tokens]:
    """Observations and state from which rollouts, and windows, go on."""
    return self.obs.bound(said.obs), self.state.bound(said.state)

  def _legal(self, said: Said) -> jax.Array:
    if self.spec.action_kind == "continuous":
      shape = (*said.reward.shape, self.spec.num_agents, self.spec.action_dim)
      return jnp.ones(shape, bool)
    assert isinstance(said.legal, jax.Array)
    return actions.fill_empty(said.legal > 0, said.legal)

  def head_losses(self, said: Said, after: After) -> dict[str, jax.Array]:
    """Cross entropies of termination, by class weight, and of legal actions."""
    losses = {"termination": self.end_loss(said.termination, after)}
    if self.spec.action_kind == "discrete":
      assert isinstance(said.legal, jax.Array)
      losses["legal"] = self.legal_loss(said.legal, after.legal)
    return losses

  def end_loss(self, termination: jax.Array, after: After) -> jax.Array:
    """Cross entropy of the logit of an end, by class weight."""
    weight = jnp.where(after.ended, self.termination_class_weight, 1.0)
    return weight * sigmoid_binary_cross_entropy(termination, after.ended)

  def legal_loss(self, said: jax.Array, legal: jax.Array) -> jax.Array:
    """Mean cross entropy of the logits of legal actions."""
    return sigmoid_binary_cross_entropy(said, legal).mean((-2, -1))

  def error(self, said: Said, after: After) -> jax.Array:
    """Squared errors and cross entropies, summed: what fits are selected by.

    Of the reward's squared error e it takes log(1 + e): a victory seen a step too early
    would else outweigh thousands of states. That is no proper score where large rewards
    come by chance.
    """
    error = self.obs.error(said.obs, after.obs)
    error += self.state.error(said.state, after.state)
    error += jnp.log1p((said.reward - after.reward) ** 2)
    return sum(self.head_losses(said, after).values(), start=error)


def make(
  frame: Frame,
  dynamics: Dynamics,
  diagnose: Callable[[Params, Transition], Metrics] = lambda params, t: {},
) -> WorldModel:
  """A world model that predicts by `dynamics`.

  Args:
    frame: codecs and the environment's spec.
    dynamics: one step.
    diagnose: the model's checks of its own.
  """
  model = _Model(frame, dynamics)
  return WorldModel(
    num_views=dynamics.num_views,
    window=1,
    init=dynamics.init,
    loss=model.loss,
    validate=model.validate,
    start=model.start,
    step=model.step,
    diagnose=diagnose,
  )


class _Model:
  def __init__(self, frame: Frame, dynamics: Dynamics):
    self._frame = frame
    self._dynamics = dynamics

  # Training.

  def loss(
    self, params: Params, t: Transition, weight: jax.Array, key: jax.Array
  ) -> tuple[jax.Array, Metrics]:
    """Weighted means over samples, and over the steps of windows."""
    del key  # expectations are used, nothing is sampled

    def one(now: Now, after: After) -> tuple[Said, dict[str, jax.Array]]:
      losses, said = self._dynamics.losses(params, now, after)
      return said, losses | self._frame.head_losses(said, after)

    losses = jax.tree.map(
      lambda x: jnp.mean(weight * x), self._over_window(one, t, weight)
    )
    total = jnp.stack(list(losses.values())).sum()
    return total, {f"model/{k}_loss": v for k, v in losses.items()}

  def validate(
    self, params: Params, t: Transition, weight: jax.Array, key: jax.Array
  ) -> jax.Array:
    """The error (`Frame.error`) of what rollouts read.

    The training loss would not do: a beta-NLL is no proper score, and auxiliary paths
    do not enter a rollout.
    """
    del key

    def one(now: Now, after: After) -> tuple[Said, jax.Array]:
      said = self._dynamics.step(params, now)
      return said, self._frame.error(said, after)

    return jnp.mean(weight * self._over_window(one, t, weight))

  def _over_window(self, one: Callable, t: Transition, weight: jax.Array) -> Any:
    """`one` at each step, which starts from what was said of it; [B] or [B, T]."""
    now, after = self._frame.now(t), self._frame.after(t)
    if weight.ndim == 1:
      return one(now, after)[1]
    by_time = jax.tree.map(lambda x: x.swapaxes(0, 1), (now, after))
    first = jax.tree.map(lambda x: x[0], by_time[0])

    def step(before: Now, now_and_after: tuple[Now, After]) -> tuple[Now, Any]:
      now, after = now_and_after
      said, out = one(before._replace(action=now.action), after)
      # Held fixed: a gradient from later steps would let what is said of the first one
      # hedge against them.
      obs, state = jax.lax.stop_gradient(self._frame.bound(said))
      return Now(obs, state, now.action, before.depth + 1.0), out

    _, outs = jax.lax.scan(step, first, by_time)
    return jax.tree.map(lambda x: x.swapaxes(0, 1), outs)

  # Imagination.

  def start(self, params: Params, t: Transition, key: jax.Array) -> Latent:
    del params, key
    now = self._frame.now(t)
    return Latent(now.obs, now.state, now.depth)

  def step(
    self, params: Params, latent: Latent, action: jax.Array, key: jax.Array
  ) -> tuple[Latent, Prediction]:
    del key
    said = self._dynamics.step(params, self._frame.imagined(latent, action))
    return self._frame.predict(said, latent)
