"""The page of all configuration fields, made of the dataclasses and their comments.

`python -m logo_jax.configs.reference docs/configuration.md` writes it; a test holds
the page to what this module makes.
"""

import ast
import inspect
import pathlib
import re
import sys
import textwrap
from typing import Any, NamedTuple

from logo_jax.configs import config, presets, registry
from logo_jax.io import files

_HEAD = """\
# Configuration

<!-- Made by `python -m logo_jax.configs.reference docs/configuration.md`. -->

Every field of an experiment, its type, its default, and what it is. A flag overrides
it: `--config.horizon=8`, `--config.learner.cql_weight=5`; presets set some of them
otherwise. `config.json` of a run has the values that it was trained with.
"""
_SECTIONS = ("data", "fit", "evaluation", "checkpoint")
_TITLES = {
  "model": "World models",
  "uncertainty": "Uncertainties",
  "weighting": "Weightings",
  "learner": "Learners",
  "planner": "Planners",
}


class Field(NamedTuple):
  """One field of a dataclass, as its source says it."""

  name: str
  kind: str
  default: str  # "" if there is none
  comment: str


def fields(dataclass: type) -> list[Field]:
  """Fields with their comments: those behind a line, else those right above it.

  Comments to tools (`# pyright: ...`) are none.
  """
  source = textwrap.dedent(inspect.getsource(dataclass))
  lines = source.splitlines()
  body = ast.parse(source).body[0]
  assert isinstance(body, ast.ClassDef)
  found = []
  for node in body.body:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
      default = "" if node.value is None else ast.unparse(node.value)
      comment = _comment(lines, node.lineno - 1, (node.end_lineno or node.lineno) - 1)
      kind = _kind(node.annotation)
      found.append(Field(node.target.id, kind, default, comment))
  return found


def page() -> str:
  """The whole page."""
  parts = [_HEAD, _section("Experiment", config.ExperimentConfig, "")]
  for name in _SECTIONS:
    section = type(getattr(presets.get("logo"), name))
    parts.append(_section(f"`{name}`", section, f"{name}."))
  for kind in registry.KINDS:
    parts.append(f"## {_TITLES[kind]}\n\nChosen by `--config.{kind}.name=`.\n")
    for name in registry.names(kind):
      module = registry.module(kind, name).__name__
      if module.startswith("logo_jax."):  # others' are theirs to document
        component = registry.module(kind, name).Config
        parts.append(_section(f"`{kind}.name={name}`", component, f"{kind}.", "###"))
  return "\n".join(parts)


def _section(title: str, dataclass: type, prefix: str, level: str = "##") -> str:
  rows = [x for x in fields(dataclass) if x.name not in (*registry.KINDS, *_SECTIONS)]
  words = inspect.cleandoc(dataclass.__doc__ or "")
  lines = [f"{level} {title}", "", words, ""]
  if rows:
    lines += ["| field | type | default | |", "|---|---|---|---|"]
    lines += [
      f"| `{prefix}{x.name}` | {_code(x.kind)} | {_code(x.default)} | {x.comment} |"
      for x in rows
    ]
    lines.append("")
  return "\n".join(lines)


def _code(text: str) -> str:
  return f"`{text}`".replace("|", "\\|") if text else ""


def _kind(annotation: ast.expr) -> str:
  text = ast.unparse(annotation)
  return re.sub(r"Literal\[(.*?)\]", lambda x: x[1].replace(", ", " or "), text)


def _comment(lines: list[str], first: int, last: int) -> str:
  behind = re.search(r"  # (?!pyright)(.*)$", lines[last])
  if behind:
    return _capital(behind[1])
  row = first - 1
  above: list[str] = []
  while row >= 0 and lines[row].strip().startswith("# "):
    above.insert(0, lines[row].strip()[2:])
    row -= 1
  return _capital(" ".join(above))


def _capital(text: str) -> str:
  text = text.replace("|", "\\|").replace("<", "&lt;")
  return text[:1].upper() + text[1:]


def main(argv: list[str]) -> Any:
  """Writes the page to the path given."""
  if len(argv) != 2:
    sys.exit(f"usage: python -m {__spec__.name} PATH")
  files.write_text(pathlib.Path(argv[1]), page())
  return None


if __name__ == "__main__":
  main(sys.argv)
