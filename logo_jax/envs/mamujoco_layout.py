"""How the vectors of the robots split into joints, and the torso as the last entity.

MuJoCo puts positions before velocities, and the torso's before the joints' in each.
Which joints an agent drives and sees is as Gymnasium-Robotics shares them out.
"""

import dataclasses

from logo_jax.layout import Column, Layout, Table

_FULL = "-full"
_JOINT = (Column("angle", shared=False), Column("velocity", shared=False))  # rad, rad/s

Joints = tuple[tuple[int, ...], ...]  # of each agent


def _columns(*names: str) -> tuple[Column, ...]:
  return tuple(Column(name) for name in names)


@dataclasses.dataclass(frozen=True)
class _Robot:
  """Joints by number, in MuJoCo's order; the torso's own features, likewise."""

  num_joints: int
  pose: tuple[Column, ...]
  speed: tuple[Column, ...]
  driven: Joints  # in the order of an agent's actions
  near: Joints  # those next to an agent's own, of which it sees the angles
  # In the order in which an agent observes its own, where that is another.
  observed: Joints = ()
  driven_full: Joints = ()  # of the fully observed variant, where others
  num_zeros: int = 0  # at the end of the state of that variant


# In the plane; metres, radians and seconds.
_PLANAR_POSE = _columns("height", "pitch")
_PLANAR_SPEED = _columns("speed_x", "speed_z", "turn_y")
_ROBOTS = {
  # Thigh, leg, foot.
  "hopper-3x1": _Robot(
    num_joints=3,
    pose=_PLANAR_POSE,
    speed=_PLANAR_SPEED,
    driven=((0,), (1,), (2,)),
    near=((1,), (2, 0), (1,)),
  ),
  # Hip and ankle of each leg; neighbouring hips are next to one another.
  "ant-2x4": _Robot(
    num_joints=8,
    pose=_columns("height", "turn_w", "turn_i", "turn_j", "turn_k"),  # a quaternion
    speed=_columns("speed_x", "speed_y", "speed_z", "turn_x", "turn_y", "turn_z"),
    driven=((0, 1, 2, 3), (4, 5, 6, 7)),
    near=((4, 6), (0, 2)),
    observed=((1, 3, 0, 2), (5, 7, 4, 6)),
    driven_full=((6, 7, 0, 1), (2, 3, 4, 5)),
    num_zeros=84,
  ),
  # Thigh, shin and foot of the back leg, then of the front leg.
  "halfcheetah-6x1": _Robot(
    num_joints=6,
    pose=_PLANAR_POSE,
    speed=_PLANAR_SPEED,
    driven=((0,), (1,), (2,), (3,), (4,), (5,)),
    near=((1, 3), (2, 0), (1,), (0, 4), (5, 3), (4,)),
  ),
}


def layout(scenario: str) -> Layout | None:
  """The joints of a scenario, then the torso; None if it is unknown.

  An agent observes angle and velocity of each of its own joints, the angles of those
  next to them, then the torso. In the fully observed variant it observes the state and
  a one-hot of itself, here a feature of each agent's first joint.
  """
  robot = _ROBOTS.get(scenario.removesuffix(_FULL))
  if robot is None:
    return None
  full = scenario.endswith(_FULL)
  agents = (full and robot.driven_full) or robot.driven
  obs = _whole(robot, agents) if full else _partial(robot)
  return Layout(
    num_entities=robot.num_joints + 1,
    state=_state(robot, robot.num_zeros if full else 0),
    obs=obs,
    agents=agents,
    action_points=agents,
  )


def _state(robot: _Robot, num_zeros: int) -> Table:
  poses, speeds = len(robot.pose), len(robot.speed)
  joints = range(robot.num_joints)
  rows = [(poses + j, poses + robot.num_joints + speeds + j) for j in joints]
  torso = (*range(poses), *(poses + robot.num_joints + k for k in range(speeds)))
  table = _table(robot, rows, torso)
  # They say nothing: dealt out among all, so that there are few columns of them.
  size, entities = 2 * robot.num_joints + poses + speeds, len(table.index)
  width = -(-num_zeros // entities)
  places = [*range(size, size + num_zeros), *[-1] * (width * entities - num_zeros)]
  index = tuple(
    (*row, *places[width * e : width * (e + 1)]) for e, row in enumerate(table.index)
  )
  unused = tuple(Column(f"contact_{k}", "constant") for k in range(width))
  return Table((*table.columns, *unused), index)


def _partial(robot: _Robot) -> tuple[Table, ...]:
  tables = []
  for own, near in zip(robot.observed or robot.driven, robot.near, strict=True):
    rows = [(-1, -1)] * robot.num_joints
    for k, joint in enumerate(own):
      rows[joint] = (2 * k, 2 * k + 1)
    for k, joint in enumerate(near):
      rows[joint] = (2 * len(own) + k, -1)
    start = 2 * len(own) + len(near)
    torso = tuple(range(start, start + len(robot.pose) + len(robot.speed)))
    tables.append(_table(robot, rows, torso))
  return tuple(tables)


def _whole(robot: _Robot, agents: Joints) -> tuple[Table, ...]:
  state = _state(robot, robot.num_zeros)
  size = max(map(max, state.index)) + 1
  places = {own[0]: size + i for i, own in enumerate(agents)}
  # Not constant: the same place tells observers apart.
  columns = (*state.columns, Column("observer", "binary"))
  index = tuple((*row, places.get(e, -1)) for e, row in enumerate(state.index))
  return (Table(columns, index),) * len(agents)


def _table(
  robot: _Robot, joints: list[tuple[int, int]], torso: tuple[int, ...]
) -> Table:
  rows = [(*row, *[-1] * len(torso)) for row in joints]
  columns = (*_JOINT, *robot.pose, *robot.speed)
  return Table(columns, (*rows, (*[-1] * len(_JOINT), *torso)))
