"""MAZero's model as a world model: latents that say what counts, and decoders.

Liu et al., "Efficient multi-agent reinforcement learning by planning", ICLR 2024.
Latents of agents, each of its own observation, go on by the joint action. They learn
what is worth knowing: rewards, ends, legal actions, values and policies, here those of
the data, and to be where the next observations' latents are. MAZero itself
(`learners/mazero.py`) searches in them. For other learners, and for errors of states,
decoders say what is observed and the global state; that is an addition.

Learning is on windows (`fit.unroll`), along which the model goes on from its own
latents; each step halves the gradient. Values are n-step returns, and behind them the
model's own value, without gradient. There is neither a target network nor a search:
policies clone.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from logo_jax.checks import ranges
from logo_jax.codecs.tokens import outright
from logo_jax.networks import heads
from logo_jax.networks.latent_decoders import LatentDecoders
from logo_jax.networks.latent_model import LatentModel, Sizes
from logo_jax.ops import actions, td, two_hot
from logo_jax.ops.standardise import standardise
from logo_jax.types import (
  EnvSpec,
  Metrics,
  Params,
  Prediction,
  Statistics,
  Transition,
  WorldModel,
)
from logo_jax.world_models.parts import decoded, histories
from logo_jax.world_models.parts.frame import Frame, Heads, Said


@dataclasses.dataclass(frozen=True)
class Config:
  """Sizes and weights are those of MAZero's code for SMAC, as far as it has them."""

  hidden_size: int = 128  # units of an agent's latent and of hidden layers
  num_layers: int = 3  # of attention among agents
  num_heads: int = 8  # of attention; must divide `hidden_size`
  discount: float = 0.99  # gamma of values, per step
  td_steps: int = 5  # of returns, at most as many as the window has left
  value_weight: float = 0.25  # of the loss of values
  policy_weight: float = 1.0  # of cloning
  consistency_weight: float = 2.0  # of foreseen and seen latents' distance
  decode_weight: float = 1.0  # of observations and of the state; an addition
  decode_gradient: bool = True  # whether decoders move the rest of the model
  share_agents: bool = True  # one network for all agents with an agent identity
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
    **dict.fromkeys("hidden_size num_layers num_heads td_steps".split(), "[1"),
    **dict.fromkeys("value_weight policy_weight consistency_weight".split(), "[0"),
    decode_weight="[0",
    discount="[0,1]",
    termination_class_weight="(0",
  )
  ranges.check_divides("model.", config, "num_heads", "hidden_size")
  frame = decoded.make_frame(spec, statistics, config.termination_class_weight)
  model = _Model(config, frame)
  return WorldModel(
    num_views=1,
    window=1,
    init=model.init,
    loss=model.loss,
    validate=model.validate,
    start=model.start,
    step=model.step,
    diagnose=lambda params, t: {},
  )


def _support(statistics: Statistics, unit: float) -> int:
  """K of distributions over -K to K that the largest return, or reward, needs."""
  numbers = (*statistics.return_range, statistics.reward.low, statistics.reward.high)
  largest = max(abs(float(x)) for x in numbers) / unit
  return two_hot.support(largest)


class _Model:
  def __init__(self, config: Config, frame: Frame):
    self._config, self._frame, spec = config, frame, frame.spec
    # Rewards and values are learned in deviations of the reward.
    self._unit = float(frame.statistics.reward.scale)
    sizes = Sizes(
      config.hidden_size,
      2 * _support(frame.statistics, self._unit) + 1,
      *(config.num_layers, config.num_heads),
      *(config.share_agents, config.compute_dtype),
    )
    self._net = LatentModel(spec, frame.statistics.obs, heads.stochastic(spec), sizes)
    self._decoders = LatentDecoders(spec, sizes)

  def init(self, key: jax.Array) -> Params:
    k_net, k_decoders = jax.random.split(key)
    return {
      "net": self._net.init(k_net),
      "decoders": self._decoders.init(k_decoders),
    }

  # Training.

  def loss(
    self, params: Params, t: Transition, weight: jax.Array, key: jax.Array
  ) -> tuple[jax.Array, Metrics]:
    """Weighted means over the steps of windows; a single step is a window of one."""
    del key
    t, weight = histories.as_windows(t, weight)
    seen = self._net.encode(
      params["net"], jnp.concatenate([t.obs[:, :1], t.next_obs], 1)
    )
    after = self._unrolled(params, seen[:, 0], t)
    everywhere = jnp.concatenate([seen[:, :1], after], 1)
    # Each observation counts as the step that led to it; a window's first as its first.
    weights = jnp.concatenate([weight[:, :1], weight], 1)
    costs = self._of_steps(params, t, weight, everywhere[:, :-1], seen[:, 1:])
    costs |= self._of_outcomes(params, t, after)
    costs["consistency"] = self._config.consistency_weight * self._net.distance(
      params["net"], after, seen[:, 1:]
    )
    losses = {name: jnp.mean(weight * x) for name, x in costs.items()}
    costs = self._of_decoders(params, t, everywhere)
    losses |= {name: jnp.mean(weights * x) for name, x in costs.items()}
    total = jnp.stack(list(losses.values())).sum()
    return total, {f"model/{name}_loss": x for name, x in losses.items()}

  def _unrolled(self, params: Params, first: jax.Array, t: Transition) -> jax.Array:
    """Latents [B, T, N, H] behind each step of windows, from the first one on."""
    return self._net.unroll(params["net"], first, self._encode(t.action))

  def _of_steps(
    self,
    params: Params,
    t: Transition,
    weight: jax.Array,
    h: jax.Array,
    seen_next: jax.Array,
  ) -> dict[str, jax.Array]:
    """Of values and policies at the latents of all steps, [B, T]."""
    net, config = self._net, self._config
    behind = two_hot.decode(net.value(params["net"], seen_next))

    def returns(*x: jax.Array) -> jax.Array:
      return td.n_step_returns(*x, num=config.td_steps)

    wanted = jax.vmap(returns)(
      t.reward / self._unit,
      config.discount * t.discount,
      jax.lax.stop_gradient(behind),
      jnp.roll(weight, -1, axis=1) > 0,
    )
    outputs = net.policy(params["net"], h)
    cost = -net.head.log_prob(outputs, t.legal, t.action).sum(-1)
    value = two_hot.cross_entropy(net.value(params["net"], h), wanted)
    return {
      "value": config.value_weight * value,
      "policy": config.policy_weight * cost,
    }

  def _of_outcomes(
    self, params: Params, t: Transition, after: jax.Array
  ) -> dict[str, jax.Array]:
    """Of rewards, ends and legal actions, [B, T], from the latents behind steps."""
    net, frame, encoded = self._net, self._frame, self._encode(t.action)
    reward = net.reward(params["net"], after, encoded)
    came, ended = frame.after(t), -net.goes_on(params["net"], after, encoded)
    costs = {
      "reward": two_hot.cross_entropy(reward, t.reward / self._unit),
      "termination": frame.end_loss(ended, came),
    }
    if frame.spec.action_kind == "discrete":
      costs["legal"] = frame.legal_loss(net.legal(params["net"], after), t.next_legal)
    return costs

  def _of_decoders(
    self, params: Params, t: Transition, h: jax.Array
  ) -> dict[str, jax.Array]:
    """Of what is observed, and of the state, [B, T + 1]: then, and behind each step."""
    frame = self._frame
    fixed = h if self._config.decode_gradient else jax.lax.stop_gradient(h)
    obs = jnp.concatenate([t.obs[:, :1], t.next_obs], 1)
    state = jnp.concatenate([t.state[:, :1], t.next_state], 1)
    of_obs = self._decoders.obs(params["decoders"], fixed)
    of_state = self._decoders.state(params["decoders"], fixed)
    costs = {
      "obs": frame.obs.error(outright(frame.obs, of_obs), frame.obs.encode(obs)),
      "state": frame.state.error(
        outright(frame.state, of_state), frame.state.encode(state)
      ),
    }
    return {name: self._config.decode_weight * x for name, x in costs.items()}

  def validate(
    self, params: Params, t: Transition, weight: jax.Array, key: jax.Array
  ) -> jax.Array:
    """Errors (`Frame.error`) of what rollouts read, along windows."""
    del key
    t, weight = histories.as_windows(t, weight)
    first = self._net.encode(params["net"], t.obs[:, 0])
    after = self._unrolled(params, first, t)
    said = self._said(params, after, self._encode(t.action))
    return jnp.mean(weight * self._frame.error(said, self._frame.after(t)))

  # Imagination.

  def start(self, params: Params, t: Transition, key: jax.Array) -> jax.Array:
    del key
    return self._net.encode(params["net"], t.obs)

  def step(
    self, params: Params, latent: jax.Array, action: jax.Array, key: jax.Array
  ) -> tuple[jax.Array, Prediction]:
    del key
    encoded = self._encode(action)
    after = self._net.move(params["net"], latent, encoded)
    return after, self._frame.prediction(self._said(params, after, encoded))

  def _said(self, params: Params, after: jax.Array, encoded: jax.Array) -> Said:
    """What comes of steps, from the latents behind them."""
    net, frame = self._net, self._frame
    reward = self._unit * two_hot.decode(net.reward(params["net"], after, encoded))
    discrete = frame.spec.action_kind == "discrete"
    follows = Heads(
      reward=standardise(reward, frame.statistics.reward),
      termination=-net.goes_on(params["net"], after, encoded),
      legal=net.legal(params["net"], after) if discrete else (),
    )
    obs = self._decoders.obs(params["decoders"], after)
    state = self._decoders.state(params["decoders"], after)
    return decoded.said(frame, obs, state, follows)

  def _encode(self, action: jax.Array) -> jax.Array:
    return actions.encode(action, self._frame.spec.action_dim)
