"""Makes mistakes on purpose, one by one, and tells which ones the tests do not notice.

  python tests/mutants/run.py [--only='omar-*']

Works on a copy of the package and its tests in a temporary folder. Exits with 1 where
a mistake survives, its place is not to be found, or tests fail without any.
"""

import argparse
from collections.abc import Sequence
import fnmatch
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
  sys.path.insert(0, str(ROOT))

from tests.mutants.table import MUTANTS, Mutant  # noqa: E402

PACKAGE = "logo_jax"
_FAILED = 1  # what pytest exits with if a test failed; others: nothing was tested


def place(mutant: Mutant, root: pathlib.Path = ROOT) -> tuple[pathlib.Path, str]:
  """The file that a mistake is made in, and its text.

  Raises:
    ValueError: what the mistake takes the place of is not there, or more than once.
  """
  path = root / PACKAGE / mutant.file
  text = path.read_text() if path.is_file() else ""
  count = text.count(mutant.old)
  if count != 1:
    raise ValueError(
      f"old text found {count} times in {mutant.file}, must be once: {mutant.old}"
    )
  return path, text


def copied(folder: str | os.PathLike) -> pathlib.Path:
  """A copy of all that tests of the package need."""
  root = pathlib.Path(folder) / "copy"
  ignored = shutil.ignore_patterns("__pycache__", ".*")
  for name in (PACKAGE, "tests"):
    shutil.copytree(ROOT / name, root / name, ignore=ignored)
  shutil.copy(ROOT / "pyproject.toml", root)
  return root


def run_tests(root: pathlib.Path, tests: Sequence[str]) -> int:
  """What pytest exits with, in a copy."""
  env = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
  env.setdefault("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
  # Bytecode is known by the time and the size of its source, which a mistake may keep.
  env |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
  command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-p", "no:cacheprovider"]
  command += [f"tests/{test}" for test in tests]
  return subprocess.run(
    command, cwd=root, env=env, check=False, capture_output=True
  ).returncode


def outcome(mutant: Mutant, root: pathlib.Path) -> str:
  """Makes one mistake in a copy, and unmakes it: "killed", or what went wrong."""
  path, text = place(mutant, root)
  path.write_text(text.replace(mutant.old, mutant.new))
  try:
    code = run_tests(root, mutant.tests)
  finally:
    path.write_text(text)
  if code == _FAILED:
    return "killed"
  return "SURVIVED" if code == 0 else f"NOT TESTED, pytest exits with {code}"


def run(mutants: Sequence[Mutant]) -> list[str]:
  """Makes every mistake, prints what comes of it, and returns what went wrong."""
  wrong = []
  with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
    root = copied(folder)
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    code = run_tests(root, tests)
    if code != 0:
      return [f"the tests do not pass without a mistake, pytest exits with {code}"]
    for mutant in mutants:
      try:
        what = outcome(mutant, root)
      except ValueError as error:
        what = str(error)
      print(f"{mutant.name}: {what}", flush=True)
      if what != "killed":
        wrong.append(f"{mutant.name}: {what} ({mutant.breaks})")
  return wrong


def main() -> int:
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("--only", default="*", help="a name, or a pattern of names")
  pattern = parser.parse_args().only
  mutants = [m for m in MUTANTS if fnmatch.fnmatchcase(m.name, pattern)]
  if not mutants:
    print(
      f"error: --only={pattern} names none of the mistakes in tests/mutants/table.py",
      file=sys.stderr,
    )
    return 1
  wrong = run(mutants)
  print(f"{len(mutants)} mistakes, {len(wrong)} wrong", *wrong, sep="\n")
  return 1 if wrong else 0


if __name__ == "__main__":
  sys.exit(main())
