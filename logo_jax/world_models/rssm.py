"""The recurrent state-space model of MAMBA (Egorov & Shpilman, 2022).

Each agent has a memory h_t and a discrete sample z_t of what it believes; agents attend
to each other before memories move on. Once fitted the model is started from a window of
recorded steps, which posteriors filter, and goes on by its prior. Decoders say what is
observed and, so that learners can be the same as with any other model, the global
state, which MAMBA does not have.

Learning is on windows of recorded steps of an episode, from an empty memory. The
published code's losses, each of weight 1: Huber errors of observations, summed over
features, and of the reward; cross entropies of what is legal, of the end, and of the
actions that led to an observation, told from the decoder's features (a squared error if
they are continuous); and the balanced KL divergence, a mean over categorical variables,
without free bits. Observations and legal actions are read from [z_t, h_t], the reward
and the end of the step to t + 1 from [z_t, h_{t+1}], which contains a_t.

Where this differs from the published code: observations, states and rewards are
standardised; ends weigh by their class, as in the other models here; the reward and
the end are learned as the agents' means; nothing is masked for agents that are dead;
which actions are legal is not sampled; and there is no dropout.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from optax.losses import huber_loss, softmax_cross_entropy

from logo_jax.checks import ranges
from logo_jax.codecs.tokens import Tokens, outright
from logo_jax.networks.rssm import RSSM, Belief, Filtered, Sizes, draw
from logo_jax.networks.rssm_heads import Heads
from logo_jax.ops import actions, latents
from logo_jax.types import (
  Beliefs,
  EnvSpec,
  Metrics,
  Params,
  Prediction,
  Statistics,
  Transition,
  WorldModel,
)
from logo_jax.world_models.parts import decoded, histories
from logo_jax.world_models.parts.frame import Frame, Said
from logo_jax.world_models.parts.frame import Heads as Follows


@dataclasses.dataclass(frozen=True)
class Config:
  """MAMBA's model; sizes and weights are those of its code for StarCraft."""

  window: int = 20  # steps that are learned from at a time, and that a start filters
  hidden_size: int = 256  # units, those of an agent's memory too
  num_categoricals: int = 32  # variables of a sample
  num_classes: int = 32  # of each
  # Of attention across agents; without, agents know nothing of others.
  num_layers: int = 3
  num_heads: int = 8  # of the attention; must divide `hidden_size`
  kl_weight: float = 1.0  # of the KL divergence between posterior and prior
  kl_balance: float = 0.8  # share of its gradient that is the prior's
  reward_weight: float = 1.0  # of the Huber loss of the standardised reward
  action_weight: float = 1.0  # of telling actions from what came of them
  state_weight: float = 1.0  # of the state, whose decoder is an addition
  state_gradient: bool = True  # whether that decoder moves the rest of the model
  # What beliefs are: samples, or the likeliest classes, which leave nothing to chance.
  latent: Literal["sample", "mode"] = "sample"
  termination_class_weight: float = 5.0  # of terminations in their cross entropy; not 1
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


def make(config: Config, spec: EnvSpec, statistics: Statistics) -> WorldModel:
  """Builds the model.

  Raises:
    ValueError: a number is out of range.
  """
  ranges.check(
    "model.",
    config,
    window="[1",
    hidden_size="[1",
    num_categoricals="[1",
    num_classes="[2",
    num_layers="[0",
    num_heads="[1",
    kl_weight="[0",
    kl_balance="[0,1]",
    reward_weight="[0",
    action_weight="[0",
    state_weight="[0",
    termination_class_weight="(0",
  )
  ranges.check_divides("model.", config, "num_heads", "hidden_size")
  frame = decoded.make_frame(spec, statistics, config.termination_class_weight)
  model = _Model(config, frame)
  return WorldModel(
    num_views=1,
    window=config.window,
    init=model.init,
    loss=model.loss,
    validate=model.validate,
    start=model.start,
    step=model.step,
    diagnose=lambda params, t: {},
    beliefs=model.beliefs(),
  )


class _Model:
  def __init__(self, config: Config, frame: Frame):
    self._config, self._frame, spec = config, frame, frame.spec
    sizes = Sizes(
      config.hidden_size,
      config.num_categoricals,
      config.num_classes,
      config.num_layers,
      config.num_heads,
      config.compute_dtype,
    )
    self._rssm = RSSM(sizes, spec.num_agents, spec.obs_dim, spec.action_dim)
    self._heads = Heads(sizes, spec)

  def init(self, key: jax.Array) -> Params:
    k_rssm, k_heads = jax.random.split(key)
    return self._rssm.init(k_rssm) | self._heads.init(k_heads)

  # Training.

  def loss(
    self, params: Params, t: Transition, weight: jax.Array, key: jax.Array
  ) -> tuple[jax.Array, Metrics]:
    """Weighted means over the steps of windows; a single step is a window of one."""
    t, weight = histories.as_windows(t, weight)
    seen = histories.with_last(t)
    found = self._filter(params, seen, key)
    # Each observation counts as the step that led to it; a window's first as its first.
    weights = jnp.concatenate([weight[:, :1], weight], 1)
    of_obs = self._observed_losses(params, seen, found)
    losses = {name: jnp.mean(weights * x) for name, x in of_obs.items()}
    change = found.change()[:, :-1]
    after = self._frame.after(t)
    error = huber_loss(self._heads.reward(params, change), after.reward)
    ended = self._frame.end_loss(self._heads.termination(params, change), after)
    losses["reward"] = self._config.reward_weight * jnp.mean(weight * error)
    losses["termination"] = jnp.mean(weight * ended)
    total = jnp.stack(list(losses.values())).sum()
    return total, {f"model/{k}_loss": v for k, v in losses.items()}

  def _observed_losses(
    self, params: Params, seen: Transition, found: Filtered
  ) -> dict[str, jax.Array]:
    """Per step, [B, T + 1]: of what is observed then, and of what led there."""
    frame, heads, config = self._frame, self._heads, self._config
    belief = found.belief.features()
    read = heads.decoded(params, belief)
    fixed = belief if config.state_gradient else jax.lax.stop_gradient(belief)
    obs = outright(frame.obs, heads.obs(params, read))
    state = outright(frame.state, heads.state(params, fixed))
    state_error = _huber(state, frame.state.encode(seen.state)).sum(-1)
    kl = latents.balanced_kl(found.posterior, found.prior, config.kl_balance)
    told = self._action_error(heads.action(params, read[:, 1:]), seen)
    told = jnp.where(histories.fresh(seen)[:, 1:], 0.0, told)
    losses = {
      "obs": _huber(obs, frame.obs.encode(seen.obs)).sum(-1).mean(-1),
      "state": config.state_weight * state_error,
      "kl": config.kl_weight * kl.mean(-1),
      "action": config.action_weight * jnp.pad(told, ((0, 0), (1, 0))),
    }
    if frame.spec.action_kind == "discrete":
      losses["legal"] = frame.legal_loss(heads.legal(params, belief), seen.legal)
    return losses

  def _action_error(self, said: jax.Array, seen: Transition) -> jax.Array:
    """Of the actions that led to observations 1 to T, [B, T]; agents' mean."""
    done = actions.encode(seen.action[:, :-1], self._frame.spec.action_dim)
    if self._frame.spec.action_kind == "discrete":
      return softmax_cross_entropy(said, done).mean(-1)
    return jnp.square(said - done).mean((-2, -1))

  def validate(
    self, params: Params, t: Transition, weight: jax.Array, key: jax.Array
  ) -> jax.Array:
    """Errors of single steps by the prior, which are what rollouts read.

    Each starts from what the window up to there has come to.
    """
    t, weight = histories.as_windows(t, weight)
    k_filter, k_step = jax.random.split(key)
    found = self._filter(params, t, k_filter)
    said, _ = self._said(params, found.belief, found.next_memory, k_step)
    return jnp.mean(weight * self._frame.error(said, self._frame.after(t)))

  def _filter(self, params: Params, t: Transition, key: jax.Array) -> Filtered:
    return self._rssm.filter(
      params,
      self._read(t.obs),
      self._encode(t.action),
      histories.fresh(t),
      self._chance(key),
    )

  def _read(self, obs: jax.Array) -> jax.Array:
    return self._frame.obs.encode(obs).values[..., 0, :]

  def _encode(self, action: jax.Array) -> jax.Array:
    return actions.encode(action, self._frame.spec.action_dim)

  def _chance(self, key: jax.Array) -> jax.Array | None:
    """The key of samples, where beliefs are samples."""
    return key if self._config.latent == "sample" else None

  # Beliefs, for policies that read them.

  def beliefs(self) -> Beliefs:
    rssm, size = self._rssm, self._config.hidden_size

    def belief(features: jax.Array) -> Belief:
      return Belief.from_features(features, size)

    def follow(params: Params, t: Transition, key: jax.Array) -> jax.Array:
      found = self._filter(params, histories.with_last(t), key)
      return found.belief.features()

    def see(params: Params, before: tuple, obs: jax.Array, key: jax.Array) -> jax.Array:
      memory = rssm.advance(params, *before)
      seen = rssm.observe(params, memory, self._read(obs), self._chance(key))
      return seen.features()

    return Beliefs(
      size=self._config.num_categoricals * self._config.num_classes + size,
      of=Belief.features,
      latent=belief,
      follow=follow,
      nothing=rssm.nothing,
      see=see,
      acted=lambda features, action: (belief(features), self._encode(action)),
    )

  # Imagination.

  def start(self, params: Params, t: Transition, key: jax.Array) -> Belief:
    """What histories [B, W] have come to; a single step [B] is one of one."""
    if t.reward.ndim == 1:
      t = jax.tree.map(lambda x: x[:, None], t)
    return jax.tree.map(lambda x: x[:, -1], self._filter(params, t, key).belief)

  def step(
    self, params: Params, latent: Belief, action: jax.Array, key: jax.Array
  ) -> tuple[Belief, Prediction]:
    memory = self._rssm.advance(params, latent, self._encode(action))
    said, belief = self._said(params, latent, memory, key)
    return belief, self._frame.prediction(said)

  def _said(
    self, params: Params, before: Belief, memory: jax.Array, key: jax.Array
  ) -> tuple[Said, Belief]:
    """What comes of a step that has led from `before` to `memory`."""
    frame, heads = self._frame, self._heads
    logits = self._rssm.prior(params, memory)
    after = Belief(draw(logits, self._chance(key)), memory)
    belief, change = after.features(), jnp.concatenate([before.sample, memory], -1)
    discrete = frame.spec.action_kind == "discrete"
    follows = Follows(
      reward=heads.reward(params, change),
      termination=heads.termination(params, change),
      legal=heads.legal(params, belief) if discrete else (),
    )
    obs = heads.obs(params, heads.decoded(params, belief))
    return decoded.said(frame, obs, heads.state(params, belief), follows), after


def _huber(said: Tokens, came: Tokens) -> jax.Array:
  """Of each feature; there is one token."""
  return huber_loss(said.values[..., 0, :], came.values[..., 0, :])
