"""The dynamics of models that predict each agent's observation apart.

Agent i's model reads (o_i, a_i) and says o_i', whether the episode ends, which actions
will be legal, and the team's reward; of the last three, which are the team's, the
agents' mean is taken. The state is none of its business and stays what it was. All of
it is flat: an agent's own observation is all there is to see.
"""

from typing import Any

import jax
import jax.numpy as jnp

from logo_jax.codecs.tokens import Tokens
from logo_jax.networks.mlp import MLP
from logo_jax.networks.now import Now
from logo_jax.networks.per_agent import per_agent
from logo_jax.types import EnvSpec, Params
from logo_jax.world_models.parts.dynamics import Dynamics
from logo_jax.world_models.parts.frame import After, Frame, Said


def make(frame: Frame, config: Any) -> Dynamics:
  """One step of a local model.

  Args:
    frame: flat codecs and the environment's spec.
    config: a model's, with `hidden_size`, of the three hidden layers of a dynamics
      network and of the heads', `compute_dtype` and `reward_weight`.
  """
  nets = _Networks(
    frame.spec, frame.obs.output_size, config.hidden_size, config.compute_dtype
  )

  def say(params: Params, now: Now) -> tuple[Said, jax.Array]:
    output = nets.apply("obs", params, _joined(now.obs, now.action))[..., None, :]
    obs = frame.obs.decode(output, now.obs)
    fixed = jax.lax.stop_gradient(obs)
    change = jnp.concatenate(
      [fixed.values[..., 0, :], _joined(now.obs, now.action)], -1
    )
    discrete = frame.spec.action_kind == "discrete"
    said = Said(
      obs=obs,
      state=now.state,
      reward=nets.apply("reward", params, change)[..., 0].mean(-1),
      termination=nets.apply("termination", params, change)[..., 0].mean(-1),
      legal=nets.apply("legal", params, fixed.values[..., 0, :]) if discrete else (),
      mean=frame.obs.standardised(obs)[..., None, :, :],
      std=jnp.sqrt(frame.obs.variance(output, now.obs))[..., None, :, :],
    )
    return said, output

  def losses(params: Params, now: Now, after: After):
    said, output = say(params, now)
    return {
      "obs": frame.obs.loss(output, now.obs, after.obs),
      "reward": config.reward_weight * (said.reward - after.reward) ** 2,
    }, said

  return Dynamics(1, nets.init, lambda p, now: say(p, now)[0], losses)


class _Networks:
  def __init__(self, spec: EnvSpec, output_size: int, h: int, dtype: Any):
    o, a = spec.obs_dim, spec.action_dim
    shapes = {
      "obs": (o + a, (h, h, h, output_size)),
      "reward": (2 * o + a, (h, h, 1)),
      "termination": (2 * o + a, (h, 1)),
    }
    if spec.action_kind == "discrete":
      shapes["legal"] = (o, (h, a))
    self._inputs = {k: jnp.zeros((spec.num_agents, n)) for k, (n, _) in shapes.items()}
    self._nets = {
      name: per_agent(MLP(features, dtype), spec.num_agents, share=False)
      for name, (_, features) in shapes.items()
    }

  def init(self, key: jax.Array) -> Params:
    keys = jax.random.split(key, len(self._nets))
    return {
      name: net.init(k, self._inputs[name])
      for k, (name, net) in zip(keys, self._nets.items(), strict=True)
    }

  def apply(self, name: str, params: Params, x: jax.Array) -> jax.Array:
    return self._nets[name].apply(params[name], x)


def _joined(obs: Tokens, action: jax.Array) -> jax.Array:
  return jnp.concatenate([obs.values[..., 0, :], action], -1)
