"""What world models have in common, on dynamics of one number that hands can do.

A number x becomes w x + a, a the sum of both agents' actions.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.codecs import flat
from logo_jax.codecs.tokens import Tokens
from logo_jax.ops.standardise import Moments
from logo_jax.types import EnvSpec, Statistics, Transition
from logo_jax.world_models.parts import dynamics
from logo_jax.world_models.parts.dynamics import Dynamics
from logo_jax.world_models.parts.frame import Frame, Said

SPEC = EnvSpec("toy/number", 2, 1, 1, "continuous", 1, 9)


def _plain(*shape):
  zero, one = jnp.zeros(shape), jnp.ones(shape)
  return Moments(zero, one, one, zero - 100, zero + 100, jnp.ones(shape, bool))


FRAME = Frame(
  SPEC,
  Statistics(_plain(1), _plain(1), _plain(), (0.0, 1.0)),
  flat.make(_plain(1), None, None),
  flat.make(_plain(1), SPEC.obs_mask, None),
  termination_class_weight=5.0,
)


def _say(w, now):
  push = now.action.sum((-2, -1))
  state = Tokens(w * now.state.values + push[..., None, None], now.state.present)
  none = jnp.zeros(push.shape)
  views = jnp.zeros((*push.shape, 1, 1, 1))
  # Half of all episodes end, by a logit of 0.
  return Said(now.obs, state, none, none, (), views, views)


def _losses(w, now, after):
  said = _say(w, now)
  return {
    "state": FRAME.state.error(said.state, after.state),
    "depth": now.depth,
  }, said


_MADE = dynamics.make(FRAME, Dynamics(1, lambda key: jnp.float32(2.0), _say, _losses))
MODEL = _MADE._replace(
  loss=jax.jit(_MADE.loss),
  validate=jax.jit(_MADE.validate),
  start=jax.jit(_MADE.start),
  step=jax.jit(_MADE.step),
)
SLOPE = jax.jit(jax.value_and_grad(_MADE.loss, has_aux=True))
KEY = jax.random.key(0)
END = np.log(2)  # cross entropy of a logit of 0
W = jnp.float32(2.0)


def _transitions(x, after, action=None, discount=None):
  """Of numbers, [B] or [B, T]; the actions are the first agent's."""
  x, after = jnp.asarray(x, jnp.float32), jnp.asarray(after, jnp.float32)
  action = jnp.zeros_like(x) if action is None else jnp.asarray(action, jnp.float32)
  obs = jnp.zeros((*x.shape, 2, 1))
  legal = jnp.ones((*x.shape, 2, 1), bool)
  return Transition(
    obs=obs,
    state=x[..., None],
    legal=legal,
    action=jnp.stack([action, jnp.zeros_like(action)], -1)[..., None],
    reward=jnp.zeros_like(x),
    discount=jnp.ones_like(x) if discount is None else jnp.asarray(discount),
    next_obs=obs,
    next_state=after[..., None],
    next_legal=legal,
  )


def test_a_window_goes_on_from_what_was_said():
  """From 1 to 2, 4: errors of 1 and 3 where 3 and 7 come, not 1 and 1 as from 1, 3."""
  t = _transitions([[1.0, 3.0]], [[3.0, 7.0]])
  (loss, metrics), grad = SLOPE(W, t, jnp.ones((1, 2)), KEY)
  assert metrics["model/state_loss"] == (1 + 9) / 2
  assert metrics["model/depth_loss"] == (0 + 1) / 2
  np.testing.assert_allclose(metrics["model/termination_loss"], END, rtol=1e-6)
  np.testing.assert_allclose(loss, 5 + 0.5 + END, rtol=1e-6)
  # Of ((w - 3)^2 + (2 w - 7)^2) / 2 at 2, (-2 - 12) / 2: the 2 from which the second
  # step starts is held fixed. Through it, it would be -13.
  np.testing.assert_allclose(grad, -7, rtol=1e-6)
  error = MODEL.validate(W, t, jnp.ones((1, 2)), KEY)
  np.testing.assert_allclose(error, 5 + END, rtol=1e-6)


def test_each_step_has_its_own_action():
  """2 + 0.5 and 5 - 0.25: right both times."""
  t = _transitions([[1.0, 9.0]], [[2.5, 4.75]], [[0.5, -0.25]])
  _, metrics = MODEL.loss(W, t, jnp.ones((1, 2)), KEY)
  assert metrics["model/state_loss"] == 0


def test_windows_of_one_step_are_transitions():
  x, after = np.array([1.0, -2.0, 0.5]), np.array([0.0, 1.0, 2.0])
  action, discount = np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.0, 1.0])
  weight = jnp.array([1.0, 2.0, 0.0])
  t = _transitions(x, after, action, discount)
  windows = jax.tree.map(lambda y: y[:, None], t)
  for f in (SLOPE, MODEL.validate):
    one, other = f(W, t, weight, KEY), f(W, windows, weight[:, None], KEY)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), one, other)


@pytest.mark.parametrize("beyond", [0.0, 50.0])
def test_what_is_beyond_the_end_counts_for_nothing(beyond):
  """A window of one step that counts twice, and one of two."""
  t = _transitions([[1.0, beyond], [1.0, 3.0]], [[3.0, beyond], [3.0, 7.0]])
  weight = jnp.array([[2.0, 0.0], [1.0, 1.0]])
  (_, metrics), grad = SLOPE(W, t, weight, KEY)
  assert metrics["model/state_loss"] == (2 * 1 + 1 + 9) / 4
  # (2 * -2 - 2 - 12) / 4
  np.testing.assert_allclose(grad, -4.5, rtol=1e-6)
  error = MODEL.validate(W, t, weight, KEY)
  np.testing.assert_allclose(error, 3 + END, rtol=1e-6)


def test_a_victory_that_was_not_seen_does_not_outweigh_thousands_of_states():
  """A reward of 20 where none is said: log(1 + 400) = 6 in one of two, not 400."""
  t = _transitions([0.0, 0.0], [0.0, 0.0])._replace(reward=jnp.array([20.0, 0.0]))
  error = MODEL.validate(W, t, jnp.ones(2), KEY)
  np.testing.assert_allclose(error, np.log(401) / 2 + END, rtol=1e-6)


def test_ends_count_by_their_class():
  t = _transitions([0.0, 0.0], [0.0, 0.0], discount=[0.0, 1.0])
  _, metrics = MODEL.loss(W, t, jnp.ones(2), KEY)
  np.testing.assert_allclose(metrics["model/termination_loss"], 3 * END, rtol=1e-6)


def test_rollouts_say_what_windows_learn_from():
  """Discounts undo the class weight: odds of 1 become odds of 1/5."""
  t = _transitions([1.0], [0.0], [0.5])
  latent = MODEL.start(W, t, KEY)
  np.testing.assert_array_equal(latent.depth, [0])
  latent, first = MODEL.step(W, latent, t.action, KEY)
  latent, second = MODEL.step(W, latent, t.action, KEY)
  np.testing.assert_allclose([first.state[0, 0], second.state[0, 0]], [2.5, 5.5])
  np.testing.assert_allclose(first.discount, [5 / 6], rtol=1e-6)
  np.testing.assert_array_equal(latent.depth, [2])
  assert first.legal.shape == (1, 2, 1) and first.legal.all()


def test_rollouts_stay_within_the_data():
  """90 doubles to 180; the data end at 100, and there the next step begins."""
  t = _transitions([90.0], [0.0])
  latent = MODEL.start(W, t, KEY)
  latent, prediction = MODEL.step(W, latent, t.action, KEY)
  np.testing.assert_allclose(prediction.state, [[100.0]])
  np.testing.assert_allclose(latent.state.values, [[[100.0]]])
  # In windows, too: 2 x 100 against 150, in place of 2 x 180.
  window = _transitions([[90.0, 0.0]], [[180.0, 150.0]])
  _, metrics = MODEL.loss(W, window, jnp.ones((1, 2)), KEY)
  np.testing.assert_allclose(metrics["model/state_loss"], 50.0**2 / 2)
