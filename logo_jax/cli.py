"""How every binary starts, and how it says what is wrong with its input."""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import logging
import os
import pathlib
import sys
import types
from typing import Any, NoReturn

from absl import app, flags
import ml_collections
from ml_collections import config_flags

from logo_jax.checks import reading
from logo_jax.io import compilation_cache, plugins

_CACHE = flags.DEFINE_string(
  "compilation_cache",
  None,
  "Folder where compiled programs are kept, or off; the user's cache if not given.",
)
_OWN_CODE = pathlib.Path(__file__).resolve().parent
_PLUGIN_HELP = (
  "Modules of yours that register components, games or presets; imported first. "
  "Several with commas, or by several flags."
)
flags.DEFINE_multi_string("plugin", [], _PLUGIN_HELP)


def run(
  main: Callable[[list[str]], Any],
  cached: bool = True,
  within: Callable[[], contextlib.AbstractContextManager[Any]] = contextlib.nullcontext,
) -> None:
  """Runs an absl binary, whose compiled programs are kept for the next one.

  Bad flags and bad input end in one line on the standard error, "error: ...", and exit
  status 1. Input counts as bad when this library or the binary itself raises a
  `ValueError` or `ImportError`, when the system raises an `OSError`, or when memory is
  too small; whatever comes from elsewhere is a defect and keeps its traceback.

  Args:
    main: called with the list of arguments, the program's name first.
    cached: whether programs are kept unless --compilation_cache says otherwise.
    within: makes the context in which it is called, before JAX has looked for devices.
  """

  # JAX tells at length which accelerators it did not find.
  logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)

  def guarded(argv: list[str]) -> Any:
    if len(argv) > 1:
      _fail(f"unexpected argument {argv[1]!r}; flags are written --name=value")
    try:
      default = None if cached else compilation_cache.OFF
      compilation_cache.enable(default if _CACHE.value is None else _CACHE.value)
      with within():
        _check_platform()
        return main(argv)
    except (OSError, MemoryError) as error:
      _fail(_describe(error))
    except (ValueError, ImportError) as error:
      if not _raised_here(error.__traceback__):
        raise
      _fail(_describe(error))
    except RuntimeError as error:
      if "Out of memory" not in str(error) and "RESOURCE_EXHAUSTED" not in str(error):
        raise
      _fail(f"a device has too little memory: {_describe(error)}")

  _tell_of(main)
  app.run(guarded, flags_parser=_parse_flags)


def _tell_of(main: Callable[[list[str]], Any]) -> None:
  """Lets `--help` tell what absl looks for in the file that was started alone."""
  module = sys.modules[main.__module__]
  sys.modules["__main__"].__doc__ = module.__doc__
  for name in (module.__name__, __name__):
    for flag in flags.FLAGS.get_key_flags_for_module(name):
      flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def _parse_flags(argv: Sequence[str]) -> list[str]:
  _load_plugins(argv)
  with _flags_in_line(argv):
    return flags.FLAGS(argv)


def _load_plugins(argv: Sequence[str]) -> None:
  """Imports what `--plugin` names, before other flags mean anything.

  Ends the process with one line where there is no such module, or where it registers
  what cannot be; what else goes wrong in it keeps its traceback.
  """
  alone = flags.FlagValues()
  flags.DEFINE_multi_string("plugin", [], "", flag_values=alone)
  alone.set_gnu_getopt(True)  # values of other flags stop nothing
  with _flags_in_line(argv):
    alone(argv, known_only=True)
  try:
    plugins.load_installed()
    named: list[str] = alone["plugin"].value or []
    plugins.load(name for value in named for name in value.split(","))
  except (ValueError, ImportError) as error:
    if not _raised_here(error.__traceback__):
      raise
    _fail(_describe(error))


@contextlib.contextmanager
def _flags_in_line(argv: Sequence[str]) -> Iterator[None]:
  """Ends the process with one line where a flag is wrong."""
  try:
    yield
  except (flags.Error, OSError) as error:
    _fail(_describe(error))
  except (AttributeError, KeyError) as error:  # ml_collections: no such field
    name = _describe(error).strip("'\"")
    wrong = [a for a in argv if name in a.split("=")[0].split(".")]
    _fail(f"{wrong[0] if wrong else name}: unknown key {name!r}")
  except (ValueError, TypeError) as error:  # ml_collections: no such value
    _fail(_describe(error))


def _check_platform() -> None:
  """Refuses a JAX_PLATFORMS that is not there; JAX itself asserts."""
  wanted = os.environ.get("JAX_PLATFORMS")
  if not wanted:
    return
  import jax

  try:
    jax.devices()
  except (RuntimeError, AssertionError):
    jax.config.update("jax_platforms", "")
    there = sorted({"cpu", jax.devices()[0].platform})
    _fail(f"JAX_PLATFORMS: {wanted!r} is not here; allowed are {', '.join(there)}")


def _describe(error: Exception) -> str:
  text = " ".join(str(error).split())
  if "Traceback (most recent call last)" in text:  # ml_collections: of a config file
    text = text.rsplit("Error: ", 1)[-1]
  return text


def _raised_here(traceback: types.TracebackType | None) -> bool:
  """Whether the innermost frame belongs to this library or to the binary."""
  if traceback is None:
    return False
  while traceback.tb_next is not None:
    traceback = traceback.tb_next
  frame = traceback.tb_frame
  if frame.f_globals.get("__name__") == "__main__":
    return True
  return _OWN_CODE in pathlib.Path(frame.f_code.co_filename).resolve().parents


def _fail(message: str) -> NoReturn:
  print(f"error: {message}", file=sys.stderr)
  sys.exit(1)


def define_config(name: str, default: str, help_string: str) -> flags.FlagHolder:
  """A flag whose value is a configuration, and whose fields are flags: `--name.field`.

  It takes the name of a preset, `published:<system>/<dataset>` for the values of
  `published`, or a Python file with a function `get_config`, `file.py:argument` if that
  takes one. `--name.weighting.name=penalty` takes another component, whose own fields
  may then be set as well.

  Args:
    name: of the flag.
    default: of its value.
    help_string: what it is.
  """
  _load_plugins(sys.argv)  # they may have presets, which are parsed at once
  holder = config_flags.DEFINE_config_file(name, None, help_string)
  flags.FLAGS[name].parser = ConfigParser(name)
  with _flags_in_line(sys.argv):  # a field may be set though the flag itself is not
    flags.set_default(holder, default)
  return holder


class ConfigParser(flags.ArgumentParser):
  """What `define_config` takes."""

  def __init__(self, flag: str = "config"):
    self._flag = flag

  def parse(self, argument: str) -> ml_collections.ConfigDict:
    from logo_jax.configs import config_dicts

    values = _config_of(argument)
    # Before flags of fields are, which are those of the components that are there.
    return config_dicts.with_named(values, self._flag, sys.argv).lock()


def _config_of(argument: str) -> ml_collections.ConfigDict:
  from logo_jax.configs import config_dicts, presets, published

  word, colon, rest = argument.partition(":")
  if word == "published":
    system, _, dataset = rest.partition("/")
    return config_dicts.as_flags(published.get(system, dataset))
  if not colon and word in presets.names():
    return config_dicts.of_preset(word)
  file = pathlib.Path(word)
  if not file.is_file():
    folder = word and file.is_dir()
    what = "is a folder" if folder else "is neither a preset nor a file"
    names = reading.listed(presets.names(), near=word)
    raise ValueError(
      f"{word!r} {what}; allowed are a Python file, published:<system>/<dataset>, or "
      f"a preset: {names}"
    )
  return _config_of_file(file, [rest] if colon else [])


def _config_of_file(file: pathlib.Path, arguments: list[str]) -> Any:
  try:
    code: dict[str, Any] = {"__name__": "config", "__file__": str(file)}
    exec(compile(file.read_bytes(), str(file), "exec"), code)
    config = code["get_config"](*arguments)
  except Exception as error:  # it may say anything, and fail in any way
    why = f"{type(error).__name__}: {_describe(error)}"
    raise ValueError(f"{file}: get_config cannot be called: {why}") from None
  if not isinstance(config, ml_collections.ConfigDict):
    raise ValueError(
      f"{file}: get_config must return a ConfigDict, as config_dicts.of_preset makes, "
      f"but returned a {type(config).__name__}"
    )
  return config
