"""OMAR's and CFCQL's continuous datasets: a folder of .npy arrays per seed.

Agent i has obs_i, acs_i, rews_i, next_obs_i and dones_i, one row per transition;
MuJoCo tasks add states_i and next_states_i, the same for every agent. Transitions of an
episode follow each other, and next_* gives the true final observation.
"""

from collections.abc import Callable
import os
import pathlib

import numpy as np

from logo_jax.checks import reading
from logo_jax.data import store
from logo_jax.data.formats import episodes, settle

_LIMIT, _LIMIT_MUJOCO = 25, 1000  # steps per episode; MuJoCo tasks have states
# Agents that learn; the prey, last in the folder, belongs to the environment.
_LEARNERS = {"simple_tag": 3, "simple_world": 3}
_FIELDS = ("obs", "next_obs", "acs", "rews", "dones")
_BLOCK = 65_536
_Agent = dict[str, np.ndarray]  # the arrays of one agent, by the names in _FIELDS


def read(
  folder: str | os.PathLike,
  time_limit: int | None = None,
  num_agents: int | None = None,
  action_range: str = "refuse",
  team_reward: str = "refuse",
) -> store.StoredDataset:
  """Reads a folder, memory-mapped.

  An episode ends where `dones` says so, after `time_limit` steps, and wherever the next
  row begins elsewhere than `next_obs` ended. Only a `dones` before `time_limit` is a
  true end; all the others bootstrap. Rows at the end in which all is 0 come from a
  buffer that was never full; they are left out, and the card says how many.

  Args:
    folder: the folder, for example HalfCheetah-v2/medium/seed_0_data.
    time_limit: in steps; 25 without states, 1000 with them.
    num_agents: how many agents to take, from the first; all but the prey if a folder on
      the path, the nearest, begins with simple_tag or simple_world, otherwise all.
    action_range: what to do to actions beyond [-1, 1]; see `settle.Options`.
    team_reward: what to do to rewards that differ between agents.

  Raises:
    ValueError: a file is missing, damaged, of another shape, or breaks a rule of ours.
  """
  folder = pathlib.Path(folder)
  if time_limit is not None and time_limit < 1:
    raise ValueError(f"{folder}: time_limit {time_limit} must be at least 1")
  options = settle.Options(action_range, team_reward)
  options.check(str(folder))
  agents, states = _open(folder, num_agents)
  limit = time_limit or (_LIMIT_MUJOCO if states else _LIMIT)
  total, agents = len(agents[0]["obs"]), _without_zero_tail(agents, folder)
  layout = _plan(agents, limit, str(folder))
  last = layout.take[layout.final]  # the step that led to each final observation

  def get(key: str) -> episodes.Fetch:
    return lambda lo, hi: _stack([agent[key][lo:hi] for agent in agents])

  obs = episodes.gather(get("obs"), layout)
  obs[layout.final] = _stack([agent["next_obs"][last] for agent in agents])
  state = None
  if states:
    state = episodes.gather(lambda lo, hi: _float(states[0][lo:hi]), layout)
    state[layout.final] = _float(states[1][last])
  settled = _settled(get, layout, options, str(folder))
  action, reward = settled
  fields = episodes.Fields(obs, state, None, action.array, reward.array)
  sizes = tuple(agent["obs"].shape[1] for agent in agents)
  sizes = sizes if len(set(sizes)) > 1 else ()
  about = _about(folder, limit, sizes, total - len(agents[0]["obs"]), settled)
  return episodes.finish(fields, layout, about)


def _settled(
  get: Callable[[str], episodes.Fetch],
  layout: episodes.Plan,
  options: settle.Options,
  where: str,
) -> tuple[settle.Settled, settle.Settled]:
  """Actions and the team's rewards, as our conventions want them."""
  action = episodes.gather(get("acs"), layout)
  reward = episodes.gather(get("rews"), layout, episodes.per_agent)
  steps = layout.is_step
  return (
    settle.actions(action, steps, options.action_range, where),
    settle.rewards(reward, steps, options.team_reward, where),
  )


def _open(
  folder: pathlib.Path, num_agents: int | None
) -> tuple[list[_Agent], list[np.ndarray]]:
  """The agents' arrays and, on MuJoCo tasks, states and next states; all checked."""
  found = 0
  while (folder / f"obs_{found}.npy").is_file():
    found += 1
  env = (_environment(folder) or [""])[0]
  learners = [n for name, n in _LEARNERS.items() if env.startswith(name)]
  n = min(found, *learners) if learners else found
  if num_agents is not None:
    if not 1 <= num_agents <= found:
      raise ValueError(f"{folder}: num_agents {num_agents} is not within 1 and {found}")
    n = num_agents
  agents = [{key: _array(folder, key, i) for key in _FIELDS} for i in range(n)]
  num_steps, act_dim = len(agents[0]["obs"]), agents[0]["acs"].shape[-1]
  for i, agent in enumerate(agents):
    size = agent["obs"].shape[-1]
    for key, shape in {
      "obs": (num_steps, "O"),
      "next_obs": (num_steps, size),
      "acs": (num_steps, act_dim),
      "rews": (num_steps, 1)[: agent["rews"].ndim],
      "dones": (num_steps, 1)[: agent["dones"].ndim],
    }.items():
      episodes.check_shape(agent[key], shape, f"{folder / key}_{i}.npy")
  if not (folder / "states_0.npy").is_file():
    return agents, []
  states = [_array(folder, key, 0) for key in ("states", "next_states")]
  episodes.check_shape(states[0], (num_steps, "S"), f"{folder / 'states_0.npy'}")
  episodes.check_shape(states[1], states[0].shape, f"{folder / 'next_states_0.npy'}")
  return agents, states


def _array(folder: pathlib.Path, key: str, agent: int) -> np.ndarray:
  path = folder / f"{key}_{agent}.npy"
  array = reading.npy(path)
  if array.ndim == 0:
    raise ValueError(f"{path} holds a single value, must have a row per transition")
  return array


def _without_zero_tail(agents: list[_Agent], folder: pathlib.Path) -> list[_Agent]:
  """Cuts off the rows at the end in which no agent sees or does anything."""
  stop = len(agents[0]["obs"])
  while stop:
    begin = max(stop - _BLOCK, 0)
    used = np.zeros(stop - begin, bool)
    for agent in agents:
      for key in ("obs", "next_obs", "acs"):
        used |= (agent[key][begin:stop] != 0).any(-1)
    if used.any():
      stop = begin + int(np.flatnonzero(used)[-1]) + 1
      return [{key: x[:stop] for key, x in agent.items()} for agent in agents]
    stop = begin
  raise ValueError(f"{folder}: obs, next_obs and acs are 0 in every row")


def _plan(agents: list[_Agent], limit: int, where: str) -> episodes.Plan:
  done = np.any([agent["dones"].reshape(-1) != 0 for agent in agents], axis=0)
  ends = done | _jumps(agents)
  ends[-1] = True
  first = np.concatenate([[0], np.flatnonzero(ends)[:-1] + 1])
  step = np.arange(len(ends)) - np.repeat(first, np.diff(first, append=len(ends)))
  full = step % limit == limit - 1
  last = np.flatnonzero(ends | full)
  first = np.concatenate([[0], last[:-1] + 1])
  terminal = done[last] & ~full[last]
  return episodes.plan(first, last + 1, np.ones(len(last), bool), terminal, where)


def _jumps(agents: list[_Agent]) -> np.ndarray:
  """Where the next row does not begin where this one ended, bool `[K]`."""
  jump = np.zeros(len(agents[0]["obs"]), bool)
  for begin in range(0, len(jump) - 1, _BLOCK):
    stop = min(begin + _BLOCK, len(jump) - 1)
    for agent in agents:
      now = _float(agent["next_obs"][begin:stop])
      after = _float(agent["obs"][begin + 1 : stop + 1])
      jump[begin:stop] |= (now != after).any(-1)
  return jump


def _stack(agents: list[np.ndarray]) -> np.ndarray:
  """Agents side by side, float32 `[K, N, ...]`; shorter ones end in zeros."""
  size = max(x.shape[-1] for x in agents) if agents[0].ndim > 1 else 0
  padded = [
    np.pad(_float(x), ((0, 0), (0, size - x.shape[1]))) if size else _float(x)
    for x in agents
  ]
  return np.stack(padded, 1)


def _float(x: np.ndarray) -> np.ndarray:
  return episodes.single(np.asarray(x))


def _environment(folder: pathlib.Path) -> tuple[str, ...]:
  """The path from the folder on that is named after the environment; may be empty.

  That is the nearest one named like a game with prey, or else the first of
  <environment>/<quality>/seed_<k>_data.
  """
  parts = folder.absolute().parts
  for i in reversed(range(len(parts))):
    if parts[i].startswith(tuple(_LEARNERS)):
      return parts[i:]
  named = len(parts) > 3 and parts[-1].startswith("seed_")
  return parts[-3:] if named else ()


def _about(
  folder: pathlib.Path,
  limit: int,
  obs_sizes: tuple[int, ...],
  left_out: int,
  settled: tuple[settle.Settled, settle.Settled],
) -> episodes.About:
  parts = _environment(folder) or (folder.absolute().name,)
  return episodes.About(
    name="/".join(("omar", *parts)),
    scenario=None,
    spec_name=f"omar/{parts[0]}",
    max_steps=limit,
    source={"format": "omar", "path": "/".join(parts), "time_limit": limit},
    where=str(folder),
    obs_sizes=obs_sizes,
    altered=settled[0].altered
    | settled[1].altered
    | settle.counted(steps_dropped=left_out),
    action_bounds=settled[0].bounds,
  )
