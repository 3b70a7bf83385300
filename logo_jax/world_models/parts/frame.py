"""Between transitions and the tokens that a world model's networks read and say."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from optax.losses import sigmoid_binary_cross_entropy

from logo_jax.codecs.tokens import Codec, Tokens
from logo_jax.networks.now import Now
from logo_jax.ops import actions
from logo_jax.ops.standardise import standardise, unstandardise
from logo_jax.types import EnvSpec, Prediction, Statistics, Transition


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


class Heads(NamedTuple):
  """What follows from a next step, as in `Said`."""

  reward: jax.Array
  termination: jax.Array
  legal: jax.Array | tuple[()]


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

  @property
  def draws(self) -> bool:
    """Whether entities may be gone, which then are so or not, and nothing between."""
    layout = self.spec.layout
    return self.state.given is not None and bool(layout and layout.state.presence)

  def drawn(self, said: Said, heads: Callable, key: jax.Array) -> Said:
    """One of the next steps that may come: who is there is drawn, the rest expected.

    One uniform number of each entity decides for the state and for all who see it: who
    is gone is so for everybody, and sees nothing.

    Args:
      said: expectations; views stay what they are.
      heads: (observations, state) -> what follows from them.
      key: randomness.
    """
    assert self.spec.layout is not None
    uniform = jax.random.uniform(key, said.state.present.shape)
    there = (uniform < said.state.present).astype(jnp.float32)
    own = self.spec.layout.owners  # [N, E]
    lives = (there[..., None, :] * own).max(-1, keepdims=True)
    lived = (said.obs.present * own).max(-1, keepdims=True)
    # As probable as was said, given that the observer is there.
    sees = uniform[..., None, :] * lived < said.obs.present
    seen = jnp.where(own > 0, there[..., None, :], there[..., None, :] * sees)
    return self._with_those(said, heads, (seen * (lives > 0), there))

  def as_came(self, said: Said, after: After, heads: Callable) -> Said:
    """What is said, given who was there: what windows go on from."""
    return self._with_those(said, heads, (after.obs.present, after.state.present))

  def _with_those(
    self, said: Said, heads: Callable, present: tuple[jax.Array, jax.Array]
  ) -> Said:
    """Given who is there, in observations and in the state."""
    assert self.state.given is not None and self.obs.given is not None
    obs = self.obs.given(said.obs, present[0])
    state = self.state.given(said.state, present[1])
    obs, state = jax.lax.stop_gradient((obs, state))
    return said._replace(obs=obs, state=state, **heads(obs, state)._asdict())

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
