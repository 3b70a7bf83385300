"""A world model from one-step dynamics on tokens.

What models differ in is how they get from the tokens of now to those of the next step
(`Dynamics`). What they have in common is here: vectors in and out, heads of termination
and legal actions, windows, on which losses are taken while the model goes on from its
own predictions, the error by which fits are selected, and rollouts.

Where entities may be gone, as units of a battle are, rollouts draw who is there, and
expect the rest: a unit that is half dead fights on, and policies learn to live on it.
Windows go on from what is said of those who were there in the data.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.codecs.tokens import Tokens
from logo_jax.networks.now import Now
from logo_jax.types import Metrics, Params, Prediction, Transition, WorldModel
from logo_jax.world_models.parts.frame import After, Frame, Heads, Latent, Said


class Dynamics(NamedTuple):
  """One step of a model; every loss is per sample, `[*b]`."""

  num_views: int
  init: Callable[[jax.Array], Params]
  step: Callable[[Params, Now], Said]
  # Losses by name, and what is said, from which a window goes on.
  losses: Callable[[Params, Now, After], tuple[dict[str, jax.Array], Said]]
  # (params, next observations, next state, now) -> what follows from a next step that
  # is drawn; None: none can be.
  heads: Callable[[Params, Tokens, Tokens, Now], Heads] | None = None


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
    draw=model.draw if model.draws else None,
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
      losses |= self._frame.head_losses(said, after)
      if not self.draws:
        return said, losses
      came = self._came(params, now, said, after)
      given = self._frame.head_losses(came, after)
      given["reward"] = (came.reward - after.reward) ** 2
      return came, losses | {f"{k}_given": x for k, x in given.items()}

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
      error = self._frame.error(said, after)
      return self._came(params, now, said, after) if self.draws else said, error

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

  def draw(
    self, params: Params, latent: Latent, action: jax.Array, key: jax.Array
  ) -> tuple[Latent, Prediction]:
    """As `step`, to one of the next steps that may come."""
    now = self._frame.imagined(latent, action)
    said = self._dynamics.step(params, now)
    drawn = self._frame.drawn(said, self._follows(params, now), key)
    return self._frame.predict(drawn, latent)

  @property
  def draws(self) -> bool:
    return self._frame.draws and self._dynamics.heads is not None

  def _came(self, params: Params, now: Now, said: Said, after: After) -> Said:
    return self._frame.as_came(said, after, self._follows(params, now))

  def _follows(self, params: Params, now: Now) -> Callable[[Tokens, Tokens], Heads]:
    heads = self._dynamics.heads
    assert heads is not None
    return lambda obs, state: heads(params, obs, state, now)
