"""The robots of multi-agent MuJoCo: reset, reward and fall of each, for many copies.

Falls are told twice: of the robot as it moves, and of what is observed of it.

The laws are those of version 5 of Gymnasium's environments (no healthy reward on the
step of a fall), on arrays `[B, ...]` in float64. Joint positions and velocities are
MuJoCo's `qpos` and `qvel`; lengths in metres, angles in radians, time in seconds.
"""

from collections.abc import Callable, Mapping
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Motion(NamedTuple):
  """Where the joints of B copies are and how they move."""

  qpos: np.ndarray  # float64 [B, P]
  qvel: np.ndarray  # float64 [B, V]


def _always(motion: Motion) -> np.ndarray:
  return np.ones(len(motion.qpos), bool)


def _hopper_stands(motion: Motion) -> np.ndarray:
  height, pitch = motion.qpos[:, 1], motion.qpos[:, 2]
  bounded = (np.abs(motion.qpos[:, 2:]) < 100.0).all(-1)
  bounded &= (np.abs(motion.qvel) < 100.0).all(-1)
  return bounded & (height > 0.7) & (np.abs(pitch) < 0.2)


def _ant_stands(motion: Motion) -> np.ndarray:
  height = motion.qpos[:, 2]
  finite = np.isfinite(motion.qpos).all(-1) & np.isfinite(motion.qvel).all(-1)
  return finite & (height >= 0.2) & (height <= 1.0)


def _never(state: jax.Array) -> jax.Array:
  return jnp.zeros(state.shape[:-1], bool)


def _hopper_falls(state: jax.Array) -> jax.Array:
  # Height and pitch, then three joints; velocities are shown within their bound, far
  # below the 100 that would end the episode.
  height, pitch = state[..., 0], state[..., 1]
  bounded = (jnp.abs(state[..., 1:]) < 100.0).all(-1)
  return ~(bounded & (height > 0.7) & (jnp.abs(pitch) < 0.2))


def _ant_falls(state: jax.Array) -> jax.Array:
  height = state[..., 0]
  finite = jnp.isfinite(state).all(-1)
  return ~(finite & (height >= 0.2) & (height <= 1.0))


@dataclasses.dataclass(frozen=True)
class Task:
  """One robot, shared out among agents."""

  robot: str  # Gymnasium's name, without the version
  partition: str  # <agents>x<joints of each>
  skipped: int  # leading positions left out of observations: where the robot is
  noise: float  # scale of the reset noise, in the units of qpos and qvel
  normal: bool  # reset noise of velocities: normal or, as of positions, uniform
  control_cost: float  # reward lost per squared control
  num_seen: int  # F, size of what `observe` returns
  healthy_reward: float = 0.0  # reward of each step that ends upright
  velocity_bound: float = np.inf  # observed velocities are clipped to it
  healthy: Callable[[Motion], np.ndarray] = _always  # -> bool [B]; False ends it
  # The same of observations [*b, F], jax-traceable -> bool [*b]; True ends it.
  falls: Callable[[jax.Array], jax.Array] = _never
  # Zeros at the end of a full observation: contact forces, which older versions of
  # MuJoCo never computed.
  num_zeros: int = 0
  options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # of the robot


TASKS = {
  "hopper-3x1": Task(
    robot="Hopper",
    partition="3x1",
    skipped=1,
    noise=5e-3,
    normal=False,
    control_cost=1e-3,
    num_seen=11,
    healthy_reward=1.0,
    velocity_bound=10.0,
    healthy=_hopper_stands,
    falls=_hopper_falls,
  ),
  "ant-2x4": Task(
    robot="Ant",
    partition="2x4",
    skipped=2,
    noise=0.1,
    normal=True,
    control_cost=0.5,
    num_seen=27,
    healthy_reward=1.0,
    healthy=_ant_stands,
    falls=_ant_falls,
    num_zeros=84,
    options={
      "include_cfrc_ext_in_observation": False,
      "contact_cost_weight": 0.0,
      "local_categories": [["qpos", "qvel"], ["qpos"]],
    },
  ),
  "halfcheetah-6x1": Task(
    robot="HalfCheetah",
    partition="6x1",
    skipped=1,
    noise=0.1,
    normal=True,
    control_cost=0.1,
    num_seen=17,
  ),
}


def draw(
  task: Task, start: Motion, rng: np.random.Generator, num: int
) -> tuple[np.ndarray, np.ndarray]:
  """Draws the positions and velocities that episodes start from.

  Args:
    task: says the law of the noise.
    start: positions `[P]` and velocities `[V]` without noise.
    rng: the source of the noise.
    num: B, the number of copies.

  Returns:
    float64 `[B, P]` and `[B, V]`.
  """
  qpos = rng.uniform(-task.noise, task.noise, (num, *start.qpos.shape))
  shape = (num, *start.qvel.shape)
  if task.normal:
    qvel = task.noise * rng.standard_normal(shape)
  else:
    qvel = rng.uniform(-task.noise, task.noise, shape)
  return start.qpos + qpos, start.qvel + qvel


def observe(task: Task, motion: Motion) -> np.ndarray:
  """The observation of a single agent that drives the whole robot, float64 `[B, F]`."""
  qvel = np.clip(motion.qvel, -task.velocity_bound, task.velocity_bound)
  return np.concatenate([motion.qpos[:, task.skipped :], qvel], axis=-1)


def reward(
  task: Task, speed: np.ndarray, control: np.ndarray, healthy: np.ndarray
) -> np.ndarray:
  """Team reward of a step: forward speed, less control cost, more if upright.

  Args:
    task: says the weights.
    speed: m/s forward, averaged over the step, `[B]`.
    control: what the actuators were given, `[B, U]`.
    healthy: bool `[B]`, upright after the step.

  Returns:
    float64 `[B]`.
  """
  cost = task.control_cost * np.square(control).sum(-1)
  return speed + task.healthy_reward * healthy - cost
