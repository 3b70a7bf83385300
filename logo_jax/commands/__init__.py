"""The command line: a module for each command, with its flags and its `main`.

Two commands may have flags of one name, so that a process imports one module alone.
"""

import ast
import contextlib
import difflib
import importlib
import pathlib
import sys
from typing import NoReturn

_HERE = pathlib.Path(__file__).parent


def names() -> list[str]:
  """Of all commands."""
  return sorted(file.stem for file in _HERE.glob("[a-z]*.py"))


def described() -> str:
  """A line for each command: its name, and the first line of its documentation."""
  width = max(map(len, names()))
  lines = []
  for name in names():
    text = ast.get_docstring(ast.parse((_HERE / f"{name}.py").read_text()))
    lines.append(f"  {name:<{width}}  {(text or name).splitlines()[0]}")
  return "\n".join(lines)


def main() -> None:
  """What `logo-jax` runs: the command that its first argument names."""
  program, *words = sys.argv
  program = pathlib.Path(program).name
  if not words or words[0] in ("help", "-h", "--help", "-help"):
    print(f"Usage: {program} <command> [--flag=value ...]\n\n{described()}\n")
    print(f"{program} <command> --help tells a command's flags.")
    return
  name, *arguments = words
  if name not in names():
    _fail(name)
  sys.argv = [f"{program} {name}", *arguments]  # flags of flags are looked up there
  from logo_jax import cli

  command = importlib.import_module(f"{__name__}.{name}")
  cli.run(command.main, within=getattr(command, "within", contextlib.nullcontext))


def _fail(name: str) -> NoReturn:
  near = difflib.get_close_matches(name.replace("-", "_"), names(), n=1)
  meant = f"did you mean {near[0]}? All" if near else "all"
  text = f"error: no command {name!r}; {meant} are {', '.join(names())}"
  print(text, file=sys.stderr)
  sys.exit(1)
