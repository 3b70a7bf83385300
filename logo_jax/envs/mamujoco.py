"""Multi-agent MuJoCo: one robot whose joints are shared out among agents.

Robots, the agents' joints and what each agent sees are those of Gymnasium-Robotics
(`mamujoco_v1` on version 5 of Gymnasium's robots); MuJoCo's own threads advance many
copies at once. Each scenario comes in two kinds.

- "hopper-3x1", "ant-2x4", "halfcheetah-6x1": an agent sees its own joints, the
  positions of the joints next to them, and the torso. Agent i drives its own joints.
- The same with "-full": the fully observed variant behind the published datasets of
  OMIGA (Wang et al., 2023). Every agent sees the whole observation and a one-hot of
  itself, in raw units, and actions go to MuJoCo's actuators in the order of the agents,
  whatever the joints are called. Ant's observation ends in 84 contact forces, zero in
  those data.

Deviations from Gymnasium-Robotics: Ant neither shows nor charges for contact forces
(there `include_cfrc_ext_in_observation=False, contact_cost_weight=0`), as in the
published data; its forward speed comes from the position after the step, where
Gymnasium takes the torso of the integrator's last stage (0.005 m/s apart on average);
the solver starts cold at each step, so that the state is positions and velocities
alone (equal up to rounding).
"""

from collections.abc import Callable
import contextlib
import io
import os
import threading
from typing import Any, NamedTuple

import jax
import numpy as np

from logo_jax import types
from logo_jax.envs import mamujoco_layout
from logo_jax.envs import mamujoco_tasks as tasks

layout = mamujoco_layout.layout
_FULL = "-full"
SCENARIOS = (*tasks.TASKS, *(name + _FULL for name in tasks.TASKS))
MAX_STEPS = 1000  # time limit of an episode, in steps


class State(NamedTuple):
  """B copies of a robot."""

  physics: np.ndarray  # float64 [B, 1 + P + V]: seconds, positions, velocities
  steps: np.ndarray  # int32 [B], since the reset


class _Views(NamedTuple):
  """Who sees and drives what."""

  # -> observations [B, N, O] and state [B, S], both float32
  show: Callable[[tasks.Motion], tuple[np.ndarray, np.ndarray]]
  obs_dim: int
  obs_sizes: tuple[int, ...]  # of each agent, before padding; () = all `obs_dim`
  state_dim: int
  actuators: np.ndarray  # int [U]: the place of each actuator among the agents' actions


def make(scenario: str) -> types.HostEnvironment:
  """Builds one robot, to be run in many copies.

  The reward of a step is the team's own, not a sum over agents. `discount` is 0 when
  the robot falls (half-cheetahs never do) and 1 at the time limit of 1000 steps;
  `won` is always False. Actions beyond [-1, 1] are clipped. The state is the whole
  observation of a single agent that drives the robot alone.

  Args:
    scenario: one of `SCENARIOS`.

  Raises:
    ValueError: the scenario is unknown.
    ImportError: Gymnasium-Robotics or MuJoCo is not installed.
  """
  if scenario not in SCENARIOS:
    raise ValueError(
      f"multi-agent MuJoCo scenario {scenario!r} is not one of: {', '.join(SCENARIOS)}"
    )
  return _make(scenario, _num_cores())


def has_wins(scenario: str) -> bool:
  """Robots just go on."""
  del scenario
  return False


def termination_rule(scenario: str) -> Callable[[jax.Array], jax.Array] | None:
  """When a robot falls, by the state that it falls into; needs no MuJoCo.

  Args:
    scenario: one of `SCENARIOS`; there is no rule of others.

  Returns:
    See `envs.base.termination_rule`. Velocities are within their bounds in a state, so
    that a robot thrown about at more than 100 rad/s does not end the episode.
  """
  if scenario not in SCENARIOS:
    return None
  task = tasks.TASKS[scenario.removesuffix(_FULL)]
  size = task.num_seen + task.num_zeros * scenario.endswith(_FULL)

  def rule(state: jax.Array) -> jax.Array:
    if state.shape[-1] != size:
      raise ValueError(
        f"states of mamujoco/{scenario} have {size} features, not {state.shape[-1]}"
      )
    return task.falls(state[..., : task.num_seen])

  return rule


def _num_cores() -> int:
  """The processor cores that this process may use, not all that the machine has."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def _make(scenario: str, num_threads: int) -> types.HostEnvironment:
  task = tasks.TASKS[scenario.removesuffix(_FULL)]
  robot = _make_robot(task)
  views = (_full_views if scenario.endswith(_FULL) else _partial_views)(task, robot)
  single = robot.single_agent_env.unwrapped
  simulate = _make_simulator(single.model, single.frame_skip, num_threads)
  start = tasks.Motion(single.init_qpos, single.init_qvel)
  spec = types.EnvSpec(
    name=f"mamujoco/{scenario}",
    num_agents=len(robot.possible_agents),
    obs_dim=views.obs_dim,
    state_dim=views.state_dim,
    action_kind="continuous",
    action_dim=single.model.nu // len(robot.possible_agents),
    max_steps=MAX_STEPS,
    obs_sizes=views.obs_sizes,
    layout=layout(scenario),
  )
  low, high = single.model.actuator_ctrlrange.T

  def motion_of(state: State) -> tasks.Motion:
    middle = 1 + len(start.qpos)
    return tasks.Motion(state.physics[:, 1:middle], state.physics[:, middle:])

  def reset(rng: np.random.Generator, num: int) -> tuple[State, types.TimeStep]:
    qpos, qvel = tasks.draw(task, start, rng, num)
    state = State(
      physics=np.concatenate([np.zeros((num, 1)), qpos, qvel], axis=-1),
      steps=np.zeros(num, np.int32),
    )
    motion = motion_of(state)
    reward, healthy = np.zeros(num), np.ones(num, bool)
    return state, _time_step(views, spec, state.steps, motion, reward, healthy)

  def step(state: State, action: np.ndarray) -> tuple[State, types.TimeStep]:
    wanted = (len(state.steps), spec.num_agents, spec.action_dim)
    if np.shape(action) != wanted:
      raise ValueError(f"actions have shape {np.shape(action)}, not {wanted}")
    flat = np.reshape(np.asarray(action, np.float64), (wanted[0], -1))
    unit = np.clip(flat, -1.0, 1.0)[:, views.actuators]
    control = (high + low) / 2 + unit * (high - low) / 2
    new = State(simulate(state.physics, control), state.steps + np.int32(1))
    motion = motion_of(new)
    healthy = task.healthy(motion)
    speed = (motion.qpos[:, 0] - motion_of(state).qpos[:, 0]) / single.dt
    reward = tasks.reward(task, speed, control, healthy)
    return new, _time_step(views, spec, new.steps, motion, reward, healthy)

  return types.HostEnvironment(spec, reset, step)


def _time_step(
  views: _Views,
  spec: types.EnvSpec,
  steps: np.ndarray,
  motion: tasks.Motion,
  reward: np.ndarray,
  healthy: np.ndarray,
) -> types.TimeStep:
  num = len(steps)
  obs, state = views.show(motion)
  fields: dict[str, Any] = {
    "obs": obs,
    "state": state,
    "legal": np.ones((num, spec.num_agents, spec.action_dim), bool),
    "reward": reward.astype(np.float32),
    "discount": healthy.astype(np.float32),
    "last": ~healthy | (steps >= MAX_STEPS),
    "won": np.zeros(num, bool),
  }
  return types.TimeStep(**fields)


def _partial_views(task: tasks.Task, robot) -> _Views:
  """What Gymnasium-Robotics shows and gives to each agent."""
  state_dim = robot.single_agent_env.observation_space.shape[0]
  seen = list(robot.observation_factorization.values())  # indices into the state
  sizes = tuple(len(indices) for indices in seen)
  index = np.full((len(seen), max(sizes)), state_dim)  # a zero beyond the state
  for row, indices in zip(index, seen, strict=True):
    row[: len(indices)] = indices
  driven = [node.act_ids for part in robot.agent_action_partitions for node in part]

  def show(motion: tasks.Motion) -> tuple[np.ndarray, np.ndarray]:
    state = tasks.observe(task, motion).astype(np.float32)
    return np.pad(state, ((0, 0), (0, 1)))[:, index], state

  return _Views(show, max(sizes), sizes, state_dim, np.argsort(driven))


def _full_views(task: tasks.Task, robot) -> _Views:
  """The whole observation and the agent's one-hot; actions in the agents' order."""
  num_agents = len(robot.possible_agents)
  num_seen = robot.single_agent_env.observation_space.shape[0]
  state_dim = num_seen + task.num_zeros
  one_hots = np.eye(num_agents, dtype=np.float32)

  def show(motion: tasks.Motion) -> tuple[np.ndarray, np.ndarray]:
    num = len(motion.qpos)
    state = np.zeros((num, state_dim), np.float32)
    state[:, :num_seen] = tasks.observe(task, motion)
    obs = np.empty((num, num_agents, state_dim + num_agents), np.float32)
    obs[..., :state_dim] = state[:, None]
    obs[..., state_dim:] = one_hots
    return obs, state

  actuators = np.arange(robot.single_agent_env.unwrapped.model.nu)
  return _Views(show, state_dim + num_agents, (), state_dim, actuators)


def _make_simulator(
  model, frame_skip: int, num_threads: int
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
  """Returns `(physics [B, F], control [B, U]) -> physics` one step later."""
  mujoco, _ = _import()
  pool = mujoco.rollout.Rollout(nthread=num_threads)
  scratch = [mujoco.MjData(model) for _ in range(num_threads)]
  lock = threading.Lock()  # callers share the scratch

  def simulate(physics: np.ndarray, control: np.ndarray) -> np.ndarray:
    with lock:
      # One call of MuJoCo for all copies and frames; without a warm start the result
      # depends on nothing but the arguments.
      frames, _ = pool.rollout(
        model, scratch, physics, control[:, None], nstep=frame_skip
      )
    return frames[:, -1].copy()

  return simulate


def _make_robot(task: tasks.Task):
  """Builds Gymnasium-Robotics' own environment, the source of all tables.

  MuJoCo notes what it dislikes in the robots' files, in a file of its own in the
  working directory; that is no news.
  """
  mujoco, mamujoco = _import()
  report = mujoco.get_mju_user_warning()
  mujoco.set_mju_user_warning(lambda message: None)
  try:
    return mamujoco.parallel_env(
      task.robot, task.partition, agent_obsk=1, **task.options
    )
  finally:
    mujoco.set_mju_user_warning(report)


def _import() -> tuple[Any, Any]:
  """MuJoCo and the multi-agent part of Gymnasium-Robotics.

  The import of the latter prints advice about other robots; it goes unseen.
  """
  try:
    import mujoco
    import mujoco.rollout

    with contextlib.redirect_stderr(io.StringIO()):
      from gymnasium_robotics import mamujoco_v1
  except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("gymnasium_robotics", "mujoco"):
      raise
    raise ImportError(
      "multi-agent MuJoCo needs Gymnasium-Robotics and MuJoCo: "
      "pip install 'logo_jax[mamujoco]'"
    ) from error
  return mujoco, mamujoco_v1
