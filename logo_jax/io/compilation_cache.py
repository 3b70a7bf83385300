"""Where compiled programs are kept, so that another process need not compile them."""

import hashlib
import os
import pathlib
import platform
import sys

OFF = "off"
_FOLDER = "JAX_COMPILATION_CACHE_DIR"  # JAX's own
_ENABLED = "JAX_ENABLE_COMPILATION_CACHE"


def default_folder() -> pathlib.Path | None:
  """The user's folder for this kind of machine; None if there is no home.

  It is `$XDG_CACHE_HOME/logo_jax/xla/<machine>`, or the same below `~/.cache`. Programs
  for a CPU may crash on another kind of CPU, which a home can be shared with, and JAX
  does not tell them apart: `<machine>` does.
  """
  root = os.environ.get("XDG_CACHE_HOME", "")
  if not os.path.isabs(root):  # which the XDG standard has ignored
    root = os.path.expanduser("~/.cache")
  if not os.path.isabs(root):
    return None
  return pathlib.Path(root) / "logo_jax" / "xla" / _machine()


def enable(folder: str | None = None) -> None:
  """Keeps compiled programs of this process, and of those that it starts.

  Where the environment says JAX_COMPILATION_CACHE_DIR, even nothing, that alone counts.
  Call it before anything compiles.

  Args:
    folder: where, or `OFF`; by default `default_folder()`, and nothing is kept where
      that cannot be written.

  Raises:
    ValueError: `folder` is empty.
    OSError: `folder` cannot be written.
  """
  if _FOLDER in os.environ:
    return
  if folder is None:
    default = default_folder()
    if default is not None and _unwritable(default) is None:
      _set(_FOLDER, str(default))
  elif folder == OFF:
    _set(_ENABLED, False)
  elif not folder:
    raise ValueError(f"compilation_cache: must be a folder or {OFF}, got ''")
  else:
    path = pathlib.Path(folder).expanduser().absolute()
    error = _unwritable(path)
    if error is not None:
      raise OSError(f"compilation_cache: {path} cannot be written: {error}")
    _set(_FOLDER, str(path))


def _set(variable: str, value: str | bool) -> None:
  """For JAX in this process, imported or not yet, and in those that it starts."""
  os.environ[variable] = str(value).lower() if isinstance(value, bool) else value
  if "jax" in sys.modules:
    sys.modules["jax"].config.update(variable.lower(), value)


def _unwritable(folder: pathlib.Path) -> str | None:
  """Why a folder cannot be written; makes it where it is missing."""
  try:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
  except OSError as error:
    return error.strerror or str(error)
  return None if os.access(folder, os.W_OK | os.X_OK) else os.strerror(13)


def _machine() -> str:
  """The processor's architecture and, where the system tells, its instructions."""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
  except OSError:
    return platform.machine()
  told = [
    line for line in lines if line.startswith(("flags", "Features", "model name"))
  ]
  text = "\n".join(sorted(set(told)))
  return f"{platform.machine()}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
