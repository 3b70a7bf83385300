"""From the name of a dataset, or the path of anybody's, to the dataset and its game."""

from collections.abc import Mapping
import contextlib
import os
import pathlib
from typing import Any, NamedTuple

from logo_jax import types
from logo_jax.data import collect, formats, names, played, store
from logo_jax.data.store import StoredDataset
from logo_jax.envs import base

_NONE: Mapping[str, Any] = {}


class _Registered(NamedTuple):
  path: str
  scenario: str | None
  options: Mapping[str, Any]


_REGISTERED: dict[str, _Registered] = {}


def register(
  name: str, path: str | os.PathLike, scenario: str | None = None, **options: Any
) -> None:
  """Gives anybody's dataset a name, and an environment to play it in.

  Doing it again changes nothing.

  Args:
    name: for configurations and flags.
    path: of a file or a folder in any format of `data.formats`.
    scenario: the environment, <suite>/<scenario>, that plays policies learned from it;
      None: nothing does.
    **options: of the format's reader; see `formats.read`.

  Raises:
    ValueError: the name is that of other data, or no such environment is known.
  """
  entry = _Registered(os.fspath(path), scenario, options)
  if is_path(name) or _REGISTERED.get(name, entry) != entry or _is_ours(name):
    raise ValueError(f"dataset {name!r}: the name is taken, or is a path's; choose one")
  if scenario is not None:
    base.split_name(scenario)
  _REGISTERED[name] = entry


def is_registered(name: str) -> bool:
  """Whether a name is one that `register` has given."""
  return name in _REGISTERED


def spec(name: str) -> types.EnvSpec | None:
  """What is known of a dataset before there are data.

  Args:
    name: <suite>/<scenario>/<quality>, with @<size> or without, or a path.

  Returns:
    The environment's spec; None for a path.

  Raises:
    ValueError: an unknown name.
    FileNotFoundError: there is nothing at the path.
  """
  path = _REGISTERED[name].path if name in _REGISTERED else name
  if path != name or is_path(name):
    if not pathlib.Path(path).expanduser().exists():
      raise FileNotFoundError(f"dataset: there is no file or folder {path}")
    return None
  return base.make(collect.split_name(name)[0]).spec


def resolve(
  name: str, num_transitions: int, data_dir: str | os.PathLike
) -> tuple[str, int]:
  """Which dataset is meant by a name and a size.

  The usual size has the plain name, any other one a name of its own (`data.names`); a
  folder of the plain name that was made with just this size will do as well.

  Args:
    name: <suite>/<scenario>/<quality>, with @<size> or without, or a path.
    num_transitions: of a dataset that has to be made.
    data_dir: where datasets lie that have names.

  Returns:
    The name and the size; both as they are for a path.

  Raises:
    ValueError: the name says another size.
  """
  if name in _REGISTERED or is_path(name):
    return name, num_transitions
  plain, size = names.split_size(name)
  if size is not None:
    if num_transitions not in (size, names.SIZE):
      raise ValueError(
        f"num_transitions: {num_transitions} is not the size of dataset {name!r}"
      )
    return names.with_size(plain, size), size
  sized, folder = names.with_size(plain, num_transitions), pathlib.Path(data_dir)
  if sized != plain and not (folder / sized).exists() and (folder / plain).exists():
    with contextlib.suppress(ValueError):  # damaged, and not what is asked for
      card = store.read(folder / plain, verify=False).card
      if card.get("requested_transitions") == num_transitions:
        return plain, num_transitions
  return sized, num_transitions


def is_path(name: str) -> bool:
  """Whether a dataset is given by its path, not by one of our names."""
  return name not in _REGISTERED and not _is_ours(name) and formats.is_path(name)


def _is_ours(name: str) -> bool:
  try:
    collect.split_name(name)
  except ValueError:
    return False
  return True


def is_missing(name: str, data_dir: str | os.PathLike) -> bool:
  """Whether a dataset has to be made."""
  if name in _REGISTERED or is_path(name):
    return False
  return not (pathlib.Path(data_dir) / name).exists()


def read(
  name: str, data_dir: str | os.PathLike, options: Mapping[str, Any] = _NONE
) -> StoredDataset:
  """Opens a dataset by its name or path, and checks it.

  Args:
    name: <suite>/<scenario>/<quality>, with @<size> or without, or the path of a file
      or folder in any format of `data.formats`.
    data_dir: where datasets lie that have names.
    options: of the format's reader; for paths only, see `formats.read`.

  Raises:
    FileNotFoundError: there is no such dataset.
    ValueError: unknown name, damaged files, data of another scenario or quality, or an
      option that the format has not.
  """
  if name in _REGISTERED:
    return _read_registered(name, options)
  if is_path(name):
    return formats.read(name, **options)
  if options:
    raise ValueError(f"dataset: {', '.join(options)} cannot be set for {name!r}")
  folder = pathlib.Path(data_dir) / name
  stored = store.read(folder)
  found = stored.card.get("name")
  if found != name:
    raise ValueError(f"dataset: {folder} holds {found!r}, expected {name!r}")
  expected = spec(name)
  if stored.spec != expected:
    raise ValueError(
      f"dataset: {folder} was made in {stored.spec.stored()}, but the environment is "
      f"{expected.stored() if expected else None}"
    )
  return stored


def _read_registered(name: str, options: Mapping[str, Any]) -> StoredDataset:
  """A registered dataset as one of the environment that is to play it.

  Raises:
    ValueError: as `read`, or the environment is of other sizes.
  """
  path, scenario, registered = _REGISTERED[name]
  stored = formats.read(path, **(dict(registered) | dict(options)))
  if scenario is not None:
    stored = played.in_scenario(stored, scenario, f"dataset: {name}")
  return stored._replace(card=stored.card | {"name": name})


def environment(
  card: dict[str, Any], of: types.EnvSpec
) -> tuple[types.Environment | types.HostEnvironment | None, str]:
  """The environment in which policies learned from a dataset can be played.

  Args:
    card: the dataset's.
    of: the dataset's spec.

  Returns:
    The environment and "", or None and why there is none.
  """
  name = card.get("scenario")
  if name is None:
    return None, "no environment here plays these data"
  try:
    env = base.make(name)
  except (ValueError, ImportError) as error:
    return None, str(error)
  if env.spec != of:
    return None, (
      f"the environment {name} is {env.spec.stored()}, the data are of {of.stored()}"
    )
  return env, ""
