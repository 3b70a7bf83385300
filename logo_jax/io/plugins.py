"""Modules of your own, imported before anything is configured.

Such a module registers what it brings: a component (`registry.register`), a game
(`envs.register_game`), a preset (`presets.register`), a dataset (`data.source`). The
flag `--plugin=my_module` of every binary names one; an installed package that has the
entry point

    [project.entry-points."logo_jax.plugins"]
    anything = "my_package.my_module"

needs no flag. A run's folder remembers by which it was made; none is ever imported
because a file says so.
"""

from collections.abc import Iterable, Iterator
import contextlib
import importlib
from importlib import metadata
import os
import pathlib
import sys

from logo_jax.checks import reading
from logo_jax.io import files

GROUP = "logo_jax.plugins"
FILE = "plugins.json"  # in a run's folder, if there are any
_LOADED: dict[str, None] = {}  # modules that were named
_INSTALLED: dict[str, None] = {}  # modules of entry points


def load(names: Iterable[str]) -> None:
  """Imports modules by name; those of the working directory are found, too.

  Args:
    names: dotted, as `import` takes them; doing it again changes nothing.

  Raises:
    ValueError: a name is none, or there is no such module.
  """
  for name in names:
    if name in _LOADED:
      continue
    if not all(part.isidentifier() for part in name.split(".")):
      raise ValueError(
        f"plugin: {name!r} must be a module's name as `import` takes it, my_module or "
        "my_package.my_module"
      )
    if os.getcwd() not in sys.path:
      sys.path.append(os.getcwd())  # last: nothing of Python's or ours is hidden
    try:
      importlib.import_module(name)
    except ModuleNotFoundError as error:
      if error.name is None or not f"{name}.".startswith(f"{error.name}."):
        raise  # it is there, and lacks another one
      raise ValueError(
        f"plugin: there is no module {error.name!r} in {os.getcwd()} or on PYTHONPATH"
      ) from None
    _LOADED[name] = None


def load_installed() -> None:
  """Imports the modules that installed packages have as entry points."""
  for entry in metadata.entry_points(group=GROUP):
    if entry.module not in _INSTALLED:
      importlib.import_module(entry.module)
      _INSTALLED[entry.module] = None


def loaded() -> tuple[str, ...]:
  """The modules that were named, in order."""
  return tuple(_LOADED)


def as_flags() -> list[str]:
  """What makes another process import the same."""
  return [f"--plugin={name}" for name in _LOADED]


def remember(run_dir: str | os.PathLike[str]) -> None:
  """Writes into a run's folder what was imported, if anything was."""
  if _LOADED or _INSTALLED:
    values = {"named": list(_LOADED), "installed": list(_INSTALLED)}
    files.write_json(pathlib.Path(run_dir) / FILE, values)


@contextlib.contextmanager
def explained(run_dir: str | os.PathLike[str]) -> Iterator[None]:
  """Adds to a ValueError by which plugins a run was made that are not there now."""
  try:
    yield
  except ValueError as error:
    lines = _missing(pathlib.Path(run_dir) / FILE)
    if not lines:
      raise
    raise ValueError(
      f"{error}; {run_dir} was made with {' and '.join(lines)}"
    ) from None


def _missing(path: pathlib.Path) -> list[str]:
  """What would make those plugins of a run known that are not."""
  if not path.is_file():
    return []
  values, lines = reading.json_file(path), []
  for key, known, words in (
    ("named", _LOADED, "--plugin={}, which has to be given"),
    ("installed", _INSTALLED, "the plugins {}, which are not installed here"),
  ):
    names = values.get(key)
    if not isinstance(names, list):
      raise ValueError(f"{path}: {key}: must be a list of names; got {names!r}")
    if missing := [str(name) for name in names if name not in known]:
      lines.append(words.format(",".join(missing)))
  return lines
