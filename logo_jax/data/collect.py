"""Makes a dataset by playing behaviour policies."""

from collections.abc import Callable, Iterator
import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any, NamedTuple
import zlib

import jax
import numpy as np

import logo_jax
from logo_jax import types
from logo_jax.behaviours import library, policy, qualities
from logo_jax.checks import ranges
from logo_jax.data import names as names_lib
from logo_jax.data import record, store
from logo_jax.envs import base

_MAX_ENVS = 256  # played at once


@dataclasses.dataclass(frozen=True)
class Request:
  """Which dataset to make."""

  # <suite>/<scenario>/<quality>, for example "smax/2s3z/medium-replay"; a size, as in
  # "smax/2s3z/medium-replay@5000", must be `num_transitions`.
  name: str
  num_transitions: int = names_lib.SIZE  # the least number; whole episodes only
  seed: int = 0  # of everything random; the same on one machine gives the same bytes
  behaviours: pathlib.Path = library.PARAMS_FOLDER  # of `behaviours.library`


class _Played(NamedTuple):
  """Facts about the episodes of a dataset, `[E]` each."""

  won: np.ndarray
  behaviour: np.ndarray


def names(behaviours: pathlib.Path = library.PARAMS_FOLDER) -> tuple[str, ...]:
  """All datasets that can be made, environment by environment."""
  return tuple(
    f"{environment}/{quality}"
    for environment in library.environments(behaviours)
    for quality in qualities.QUALITIES
  )


def collect(
  request: Request,
  out: str | os.PathLike,
  progress: Callable[[int], None] = lambda num_transitions: None,
) -> pathlib.Path:
  """Plays, records and writes a dataset; one that is there already is left alone.

  The law of the data: episodes are numbered wave by wave, the first episode of every
  environment, then the second of each, and so on. The dataset is the shortest run of
  them from number 0 that has at least `num_transitions` transitions. Which episodes
  are in it thus never depends on who finished first, and up to where the run stops they
  are independent draws from their behaviours; each block of M consecutive episodes has
  every one of the M behaviours once, in random order. Datasets of other names have
  other episodes, whatever the seed, except that those of other sizes may share some.

  Args:
    request: what to make.
    out: root folder; the dataset lies in `out`/`request.name`.
    progress: called now and then with the transitions recorded so far, at most
      `num_transitions`; that many are complete a little later.

  Returns:
    The dataset's folder.

  Raises:
    ValueError: an argument is out of range, or the folder holds other data.
    ImportError: the package behind the environment is not installed.
  """
  env_name, quality = split_name(request.name)
  plain, size = names_lib.split_size(request.name)
  if size not in (None, request.num_transitions):
    raise ValueError(
      f"num_transitions {request.num_transitions} is not the size of {request.name!r}"
    )
  if size is not None:
    name = names_lib.with_size(plain, size)
    request = dataclasses.replace(request, name=name)
  if request.num_transitions < 1:
    raise ValueError(f"num_transitions {request.num_transitions} must be at least 1")
  ranges.check_seed("seed", request.seed)
  index = _index(env_name, quality, request.behaviours)
  behaviour = qualities.behaviour(quality, index)
  env = base.make(env_name)
  card = _card(request, env.spec, index, behaviour)
  folder = pathlib.Path(out) / request.name
  if is_made(folder, card):
    return folder
  least_length = 2 * env.spec.max_steps  # two waves of the longest episodes
  game = record.Game(
    env=env,
    num_envs=int(np.clip(request.num_transitions // least_length, 8, _MAX_ENVS)),
    room=max(len(index.snapshots), 1),
  )
  params = library.load_all(behaviour.snapshots, env.spec, request.behaviours)
  if not params:  # uniform draws ask nobody, but something has to be there
    params = [policy.init(env.spec, (1,), jax.random.key(0))]
  # Datasets of one seed must not share episodes: each has chances of its own.
  key = jax.random.fold_in(jax.random.key(request.seed), zlib.crc32(plain.encode()))
  chunks = record.record(game, params, behaviour.mode, key)
  rows, episode_start, played = _assemble(chunks, request.num_transitions, progress)
  card["shares"] = _shares(behaviour, played)
  if base.has_wins(env_name):
    card["win_rate"] = float(played.won.mean())
  return store.write(folder, rows, episode_start, card)


def _index(environment: str, quality: str, behaviours: pathlib.Path) -> library.Index:
  """The snapshots of an environment; uniform play can do without any."""
  if quality == "random" and environment not in library.environments(behaviours):
    return library.Index(environment, 0.0, (), policy.UNIFORM, {}, {}, ())
  return library.index(environment, behaviours)


def split_name(dataset_name: str) -> tuple[str, str]:
  """Splits a dataset's name into the environment's name and the quality.

  Raises:
    ValueError: some part is unknown.
  """
  if dataset_name.count("/") != 2:
    raise ValueError(
      f"dataset {dataset_name!r} must be <suite>/<scenario>/<quality>, for example "
      "smax/2s3z/medium-replay"
    )
  plain, _ = names_lib.split_size(dataset_name)
  env_name, _, quality = plain.rpartition("/")
  base.split_name(env_name)
  if quality not in qualities.QUALITIES:
    raise ValueError(
      f"quality {quality!r} of dataset {dataset_name!r} is not one of: "
      f"{', '.join(qualities.QUALITIES)}"
    )
  return env_name, quality


def is_made(folder: pathlib.Path, card: dict[str, Any]) -> bool:
  """Whether a folder holds the dataset that a card asks for.

  Args:
    folder: where it would lie.
    card: what is known of the dataset before it is made.

  Raises:
    ValueError: the folder holds something else.
  """
  if not folder.exists():
    return False
  found = store.read(folder, verify=False).card
  asked = json.loads(json.dumps(card))  # as it will be read: lists for tuples
  for field in ("name", "seed", "requested_transitions", "spec", "behaviour"):
    have, want = found.get(field), asked[field]
    if have != want:
      raise ValueError(
        f"{folder} holds a dataset with {field} {have!r}, asked for is {want!r}; "
        "remove it, or choose another folder"
      )
  return True


def _card(
  request: Request,
  spec: types.EnvSpec,
  index: library.Index,
  behaviour: qualities.Behaviour,
) -> dict[str, Any]:
  """What is known before anything is played."""
  plain, _ = names_lib.split_size(request.name)
  environment, _, quality = plain.rpartition("/")
  entries = {entry.name: entry for entry in index.snapshots}
  card = {
    "name": request.name,
    "scenario": environment,
    "spec": spec.stored(),
    "quality": quality,
    "behaviour": {
      "protocol": qualities.QUALITIES[quality].protocol,
      **behaviour.mode._asdict(),
      "snapshots": [dataclasses.asdict(entries[name]) for name in behaviour.snapshots],
      **(_levels(index, behaviour) if index.snapshots else {}),
    },
    "seed": request.seed,
    "requested_transitions": request.num_transitions,
    "versions": {"logo_jax": logo_jax.__version__} | base.versions(environment),
  }
  return card | {"request_hash": _request_hash(card, plain, index.params_hash)}


def _levels(index: library.Index, behaviour: qualities.Behaviour) -> dict[str, Any]:
  """How good those are that play, and how good the expert is."""
  levels = qualities.levels(index)
  return {
    "expert_win_rate": qualities.expert(index).win_rate,
    "expert_return": qualities.expert(index).return_mean,
    "random_return": index.random_return,
    # Shares of the expert's level, by snapshot.
    "levels": {x: round(levels[x], 3) for x in behaviour.snapshots},
  }


def _request_hash(card: dict[str, Any], plain: str, params_hash: str) -> str:
  """SHA-256 of all that decides what is played, where `content_hash` is of what came.

  The same request gives the same bytes where the same instructions compute them; other
  processors round differently, and battles take another course.
  """
  fields = ("seed", "requested_transitions", "behaviour", "versions")
  asked = {field: card[field] for field in fields}
  text = json.dumps(asked | {"name": plain, "params": params_hash}, sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()


def _shares(behaviour: qualities.Behaviour, played: _Played) -> dict[str, float]:
  """The share of the episodes that each behaviour has played."""
  counts = np.bincount(played.behaviour, minlength=len(behaviour.snapshots))
  if not behaviour.snapshots:
    return {}
  shares = dict.fromkeys(behaviour.snapshots, 0.0)  # mixed may have one name twice
  for name, count in zip(behaviour.snapshots, counts, strict=True):
    shares[name] += round(float(count / counts.sum()), 6)
  return shares


def _assemble(
  chunks: Iterator[record.Recorded],
  num_transitions: int,
  progress: Callable[[int], None],
) -> tuple[types.Rows, np.ndarray, _Played]:
  """Records until there is enough, and puts episodes in the order of their numbers."""
  recorded: list[record.Recorded] = []
  begin = end = np.zeros(0, np.int64)
  while not len(begin):
    recorded.append(next(chunks))
    last = np.concatenate([chunk.last for chunk in recorded])
    begin, end = _first_episodes(last, num_transitions)
    progress(min(last.size, num_transitions))
  num_envs = last.shape[1]
  lengths = (end - begin) // num_envs + 1
  start = np.concatenate([[0], np.cumsum(lengths)])
  within = np.arange(start[-1]) - np.repeat(start[:-1], lengths)
  index = np.repeat(begin, lengths) + within * num_envs

  def gather(pick: Callable[[record.Recorded], Any], index: np.ndarray) -> Any:
    flat = np.concatenate([pick(chunk) for chunk in recorded])
    return flat.reshape(-1, *flat.shape[2:])[index]

  rows = types.Rows(
    *(gather(lambda x, i=i: x.rows[i], index) for i in range(len(types.STORED)))
  )
  played = _Played(gather(lambda x: x.won, end), gather(lambda x: x.behaviour, end))
  return rows, start.astype(np.int64), played


def _first_episodes(
  last: np.ndarray, num_transitions: int
) -> tuple[np.ndarray, np.ndarray]:
  """Finds the shortest run of episodes, from number 0, that is long enough.

  Args:
    last: bool `[T, B]`, where a row is an episode's last.
    num_transitions: how many the run must have.

  Returns:
    The first and the last row of each episode, as positions in `[T * B]`; empty where
    too few episodes are complete.
  """
  num_envs = last.shape[1]
  time, lane = np.nonzero(last)
  wave = np.cumsum(last, axis=0)[time, lane] - 1
  ends = np.full((int(wave.max(initial=0)) + 1, num_envs), -1)
  ends[wave, lane] = time
  begins = np.concatenate([np.zeros((1, num_envs), int), ends[:-1] + 1])
  done = np.logical_and.accumulate((ends >= 0).reshape(-1))
  total = np.cumsum(np.where(done, (ends - begins).reshape(-1), 0))
  if total[-1] < num_transitions:
    return np.zeros(0, np.int64), np.zeros(0, np.int64)
  count = int(np.searchsorted(total, num_transitions)) + 1
  lanes = np.arange(num_envs)
  begin, end = begins * num_envs + lanes, ends * num_envs + lanes
  return begin.reshape(-1)[:count], end.reshape(-1)[:count]
