"""The rules of the house that a reader cannot see in one file."""

import ast
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "logo_jax"
FILES = sorted(PACKAGE.rglob("*.py"))

# Who may import whom inside the package, besides itself and nothing else. Siblings of a
# component package never import each other.
_MATHS = {"types", "ops", "layout"}
_PARTS = _MATHS | {"networks", "codecs"}
ALLOWED = {
  "types": {"ops", "layout"},
  "layout": set(),
  "ops": set(),
  "checks": set(),
  "io": {"checks"},
  "codecs": _MATHS,
  "networks": _MATHS | {"codecs"},
  "replay": {"types"},
  "imagination": {"types", "ops", "replay"},
  "search": {"types", "ops"},
  "planning": {"types", "imagination", "ops", "checks"},
  "configs": {"types", "checks", "io"},
  "envs": {"types", "layout", "checks"},
  "behaviours": _PARTS | {"envs", "checks", "io"},
  "data": _MATHS | {"envs", "behaviours", "checks", "io"},
  "world_models": _PARTS | {"checks"},
  "uncertainty": _MATHS | {"checks"},
  "weighting": _MATHS | {"checks"},
  "learners": _PARTS | {"search", "checks"},
  "evaluation": _MATHS | {"data", "envs", "behaviours", "imagination", "replay"},
  "reporting": {"checks", "io"},
  "training": _MATHS
  | {"imagination", "replay", "configs", "data", "envs", "evaluation", "checks", "io"},
  "cli": {"configs", "checks", "io"},
}
# These put everything together.
_WHOLE = ("__init__", "commands", "deploy", "runs", "sweep", "watching")
COMPONENTS = ("world_models", "uncertainty", "weighting", "learners", "planning")


def _part(path: pathlib.Path) -> str:
  return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imported(path: pathlib.Path) -> set[tuple[str, ...]]:
  """Modules of the package that a file imports, below `logo_jax`."""
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module:
      parts = node.module.split(".")
      names = [alias.name for alias in node.names]
      if parts == ["logo_jax"]:
        found |= {(name,) for name in names}
      elif parts[0] == "logo_jax":
        found.add(tuple(parts[1:]))
    elif isinstance(node, ast.Import):
      for alias in node.names:
        if alias.name.startswith("logo_jax."):
          found.add(tuple(alias.name.split(".")[1:]))
  return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path):
  part = _part(path)
  if part in _WHOLE:
    return
  for module in _imported(path):
    assert module[0] == part or module[0] in ALLOWED[part], module
    if part in COMPONENTS and path.name != "__init__.py":
      shared = module[:2] == (part, "parts")
      assert shared or module[0] != part, f"siblings: {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path):
  source = path.read_text()
  assert len(source.splitlines()) <= 300
  for node in ast.walk(ast.parse(source)):
    if isinstance(node, ast.FunctionDef):
      # The docstring is for the reader, not to be understood as code.
      first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node
      length = (node.end_lineno or 0) - first.lineno + 1
      assert length <= 50, f"{node.name}: {length} lines"


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")))
def test_binaries_stay_short(path):
  assert len(path.read_text().splitlines()) <= 150


def test_importing_the_package_is_cheap():
  """At most two seconds of CPU more than JAX itself, and nothing heavy."""
  code = (
    "import jax, time, sys; start = time.process_time(); import logo_jax;"
    "from logo_jax import types; from logo_jax.configs import config, presets;"
    "from logo_jax.runs import experiment;"
    "heavy = {'jaxmarl', 'orbax', 'matplotlib', 'tensorboardX', 'wandb'};"
    "heavy &= set(sys.modules);"
    "print(time.process_time() - start, sorted(heavy))"
  )
  out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
  seconds, heavy = out.stdout.split(maxsplit=1)
  assert heavy.strip() == "[]"
  assert float(seconds) < 2.0


def test_nothing_is_pickled():
  for path in FILES:
    assert "pickle" not in {m[0] for m in _imported(path)}
    for node in ast.walk(ast.parse(path.read_text())):
      if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
        assert isinstance(node.value, ast.Constant) and node.value.value is False
      if isinstance(node, ast.Import):
        assert all(alias.name.split(".")[0] != "pickle" for alias in node.names)
