"""Binaries: bad input is one line, a defect is a traceback."""

import os
import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_BINARY = """
import json
from absl import flags
from logo_jax import cli
from logo_jax.envs import base
_ALLOWED = ["nothing", "value", "own", "file", "bug"]
_WHAT = flags.DEFINE_enum("what", "nothing", _ALLOWED, "")
_SIZE = flags.DEFINE_integer("size", 1, "", 0)

def main(argv):
  if _WHAT.value == "value":
    base.make("smax/9z")
  if _WHAT.value == "own":
    raise ValueError("size must be\\n  even")
  if _WHAT.value == "file":
    open("/nowhere/at/all")
  if _WHAT.value == "bug":
    json.loads("{")
  print("done")

if __name__ == "__main__":
  cli.run(main)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  binary = tmp_path_factory.mktemp("bin") / "binary.py"
  binary.write_text(_BINARY)

  def call(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
      [sys.executable, str(binary), *arguments],
      capture_output=True,
      text=True,
      check=False,
      env=os.environ | {"PYTHONPATH": str(_ROOT)},
    )

  return call


def test_good_input(run):
  done = run("--what=nothing")
  assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize(
  ("argument", "message"),
  [
    ("--what=value", "environment 'smax/9z' is not one of: smax/"),
    ("--what=own", "size must be even"),
    ("--what=file", "/nowhere/at/all"),
    ("--what=other", "should be one of"),
    ("--size=-1", "non-negative integer"),
    ("--size=many", "many"),
    ("--nope", "nope"),
    ("stray", "unexpected argument 'stray'"),
  ],
)
def test_bad_input_is_one_line(run, argument, message):
  done = run(argument)
  assert done.returncode == 1
  assert done.stdout == ""
  assert done.stderr.startswith("error: ")
  assert message in done.stderr
  assert done.stderr.count("\n") == 1


def test_a_defect_keeps_its_traceback(run):
  done = run("--what=bug")
  assert done.returncode == 1
  assert "Traceback" in done.stderr
  assert "JSONDecodeError" in done.stderr


def test_help(run):
  done = run("--help")
  assert "--size" in done.stdout


def test_a_field_without_a_value_takes_a_flag(tmp_path):
  """`learner.cql_weight` is None by default; a flag gives it a number."""
  binary = tmp_path / "binary.py"
  binary.write_text(
    "from absl import app\n"
    "from logo_jax import cli\n"
    "from logo_jax.configs import config_dicts\n"
    "flag = cli.define_config('config', 'macql', 'A preset.')\n"
    "def main(argv):\n"
    "  config = config_dicts.experiment_config(flag.value)\n"
    "  print(config.learner.config.cql_weight, config.learner.config.reward_scale)\n"
    "app.run(main)\n"
  )

  def printed(*arguments):
    command = [sys.executable, str(binary), *arguments]
    env = os.environ | {"PYTHONPATH": str(_ROOT)}
    return subprocess.run(
      command, capture_output=True, text=True, check=True, env=env
    ).stdout.strip()

  assert printed() == "None None"
  assert printed("--config.learner.cql_weight=5") == "5.0 None"
  file = tmp_path / "mine.py"
  file.write_text(
    "from logo_jax.configs import config_dicts\n"
    "def get_config():\n"
    "  return config_dicts.of_preset('macql')\n"
  )
  assert printed(f"--config={file}", "--config.learner.cql_weight=5") == "5.0 None"
