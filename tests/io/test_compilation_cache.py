"""Compiled programs are kept in the user's folder unless somebody says otherwise."""

import os
import pathlib
import subprocess
import sys

import pytest

from logo_jax.io import compilation_cache

_ROOT = pathlib.Path(__file__).parents[2]
_BINARY = """
from logo_jax import cli
def main(argv):
  import jax
  jax.jit(lambda x: x + 1)(1.0)
  print(jax.config.jax_compilation_cache_dir, jax.config.jax_enable_compilation_cache)
if __name__ == "__main__":
  cli.run(main)
"""


@pytest.fixture
def call(tmp_path):
  binary = tmp_path / "binary.py"
  binary.write_text(_BINARY)

  def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    env |= {"PYTHONPATH": str(_ROOT), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, str(binary), *arguments]
    return subprocess.run(
      command, capture_output=True, text=True, check=False, env=env | variables
    )

  return run


def _programs(folder: pathlib.Path) -> int:
  return len(list(folder.rglob("*-cache")))


def test_programs_are_kept_in_the_users_folder(call, tmp_path):
  done = call()
  assert done.returncode == 0, done.stderr
  folder, enabled = done.stdout.split()
  assert enabled == "True"
  assert pathlib.Path(folder).parent == tmp_path / "cache/logo_jax/xla"
  assert _programs(pathlib.Path(folder)) > 0


def test_a_flag_names_another_folder(call, tmp_path):
  done = call(f"--compilation_cache={tmp_path / 'mine'}")
  assert done.stdout.split() == [str(tmp_path / "mine"), "True"]
  assert _programs(tmp_path / "mine") > 0
  assert not (tmp_path / "cache").exists()


def test_off(call, tmp_path):
  assert call("--compilation_cache=off").stdout.split() == ["None", "False"]
  assert not (tmp_path / "cache").exists()


def test_jaxs_own_variable_wins(call, tmp_path):
  own = str(tmp_path / "own")
  done = call("--compilation_cache=off", JAX_COMPILATION_CACHE_DIR=own)
  assert done.stdout.split() == [own, "True"]
  assert _programs(tmp_path / "own") > 0


def test_a_folder_that_cannot_be_is_an_error_in_one_line(call, tmp_path):
  (tmp_path / "file").write_text("")
  done = call(f"--compilation_cache={tmp_path / 'file'}/below")
  assert done.returncode == 1
  assert done.stderr.startswith("error: compilation_cache: ")
  assert done.stderr.count("\n") == 1


@pytest.fixture
def environment(monkeypatch):
  """No variable of JAX's, and none left behind; the JAX of this process is let be."""
  variables: dict[str, str] = {}
  monkeypatch.setattr(os, "environ", variables)
  monkeypatch.delitem(sys.modules, "jax")
  return variables


def test_a_default_that_cannot_be_is_let_be(environment, tmp_path):
  (tmp_path / "file").write_text("")
  environment["XDG_CACHE_HOME"] = str(tmp_path / "file")
  compilation_cache.enable()
  assert not any(name.startswith("JAX_") for name in environment)


def test_the_home_where_xdg_says_nothing_absolute(environment, tmp_path):
  environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": "here"}
  folder = compilation_cache.default_folder()
  assert folder is not None and folder.parent == tmp_path / ".cache/logo_jax/xla"


def test_processes_that_are_started_keep_theirs_there_too(environment, tmp_path):
  compilation_cache.enable(str(tmp_path / "mine"))
  assert environment.pop("JAX_COMPILATION_CACHE_DIR") == str(tmp_path / "mine")
  compilation_cache.enable(compilation_cache.OFF)
  assert environment["JAX_ENABLE_COMPILATION_CACHE"] == "false"


def test_an_empty_folder_is_refused(environment):
  with pytest.raises(ValueError, match="compilation_cache: must be a folder or off"):
    compilation_cache.enable("")
