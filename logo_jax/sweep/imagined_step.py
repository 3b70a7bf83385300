"""A world model's compiled calls that are timed, and what they compute."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.imagination import rollout as rollout_lib
from logo_jax.runs import profiling
from logo_jax.types import Observed, Prediction, Transition, Uncertainty, WorldModel


class Inputs(NamedTuple):
  """What all models are given."""

  starts: Transition  # [K], K trajectories start where these do
  actions: jax.Array  # [K, H, N, ...]
  batch: Transition  # [B], for a training step


class Imagined(NamedTuple):
  """What is kept of an imagined step; see `types.Prediction`."""

  obs: jax.Array
  state: jax.Array
  reward: jax.Array
  discount: jax.Array
  legal: jax.Array
  score: jax.Array  # [*b], calibrated


class Programs:
  """A model's compiled calls, on untrained parameters of its own."""

  def __init__(self, model: WorldModel, uncertainty: Uncertainty, inputs: Inputs):
    self._model, self._uncertainty, self._inputs = model, uncertainty, inputs
    self._init = lambda: model.init(jax.random.key(0))
    params = jax.eval_shape(self._init)
    held_out = jax.tree.map(lambda x: x[:1], inputs.starts)
    unit = jax.eval_shape(
      lambda p: uncertainty.init(model, p, held_out, (), jax.random.key(1)), params
    )
    self.params = params, unit  # shapes and types alone

  def step(self, params: Any, carry: Any, action: jax.Array, key: jax.Array):
    """One imagined step; `carry` is the latent, and what the step starts from."""
    latent, before = carry
    latent, p = self._model.step(params[0], latent, action, key)
    out = self._imagined(params, p.transition(before, action), p)
    return (latent, Observed(p.obs, p.state, p.legal)), out

  def start(self, params: Any, starts: Transition, key: jax.Array) -> Any:
    """What the first step starts from."""
    now = Observed(starts.obs, starts.state, starts.legal)
    return self._model.start(params[0], starts, key), now

  def _imagined(self, params: Any, t: Transition, p: Prediction) -> Imagined:
    raw = self._uncertainty.score(params[1], t, p)
    score = self._uncertainty.calibrate(params[1], raw)
    return Imagined(p.obs, p.state, p.reward, p.discount, p.legal, score)

  def rollout(
    self, params: Any, starts: Transition, actions: jax.Array, seed: jax.Array
  ) -> Imagined:
    """Imagines trajectories [B]; every field is [H, B, ...]."""
    by_time = actions.swapaxes(0, 1)
    return rollout_lib.rollout(
      self._model,
      params[0],
      starts,
      choose=lambda memory, now, count, key: (memory, by_time[count]),
      look=lambda memory, t, p, count: (memory, self._imagined(params, t, p)),
      steps=len(by_time),
      key=jax.random.key(seed),
    )[2]

  def train(self, params: Any, batch: Transition, seed: jax.Array) -> Any:
    """Loss, metrics and gradient."""
    loss = jax.value_and_grad(self._model.loss, has_aux=True)
    return loss(params[0], batch, jnp.ones_like(batch.reward), jax.random.key(seed))

  def calls(self) -> dict[str, Callable[[], Any]]:
    """What is timed, by measure; each call ends when its results are there."""
    rollout, train = jax.jit(self.rollout), jax.jit(self.train)
    # Which unit a score is in does not matter to what is computed.
    unit = jax.tree.map(lambda x: jnp.ones(x.shape, x.dtype), self.params[1])
    params = jax.jit(self._init)(), unit
    starts, actions, batch = self._inputs
    seed = jnp.int32(0)
    singles = [
      (jax.tree.map(lambda x, i=i: x[i : i + 1], (starts, actions)), jnp.int32(i))
      for i in range(len(actions))
    ]

    def sequential() -> None:
      for one, number in singles:
        jax.block_until_ready(rollout(params, *one, number))

    def together(fn: Callable, *args: Any) -> Callable[[], Any]:
      return lambda: jax.block_until_ready(fn(params, *args, seed))

    return {
      "sequential": sequential,
      "batched": together(rollout, starts, actions),
      "train_step": together(train, batch),
    }

  def work(self) -> dict[str, Any]:
    """Multiply-adds and parameters of one step of one trajectory."""
    one = jax.tree.map(lambda x: x[:1], self._inputs.starts)

    def step(params: Any, carry: Any, action: jax.Array, seed: jax.Array):
      return self.step(params, carry, action, jax.random.key(seed))

    carry = jax.eval_shape(lambda p: self.start(p, one, jax.random.key(0)), self.params)
    args = self.params, carry, one.action, jnp.int32(0)
    jaxpr = jax.make_jaxpr(step)(*args).jaxpr
    read = {id(x) for equation in jaxpr.eqns for x in equation.invars}
    sizes = [x.size for x in jax.tree.leaves(self.params[0])]  # the first arguments
    used = zip(sizes, jaxpr.invars, strict=False)
    compiled: Any = jax.jit(step).lower(*args).compile().cost_analysis()
    return {
      "multiply_adds": compiled["flops"] / 2,
      "matmul_multiply_adds": profiling.matmul_flops(step, *args) / 2,
      "parameters": sum(sizes),
      "parameters_read_by_a_step": sum(n for n, x in used if id(x) in read),
    }


def num_parameters(model: WorldModel) -> int:
  """Of all networks, in training too."""
  shapes = jax.eval_shape(model.init, jax.random.key(0))
  return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(shapes))
