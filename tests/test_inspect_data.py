"""The binary that shows a dataset: what it prints, draws and refuses."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from logo_jax.data import store
from tests import toys

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
  played = toys.random_play(toys.corridor(), 30)
  card = {"name": "toy/corridor/random", "spec": played.card["spec"]}
  where = tmp_path / "data" / "toy" / "corridor" / "random"
  return store.write(where, played.rows, played.episode_start, card)


def _run(tmp_path, dataset="toy/corridor/random", binary="inspect_data", *more):
  return subprocess.run(
    [
      sys.executable,
      str(ROOT / f"experiments/{binary}.py"),
      f"--dataset={dataset}",
      f"--data_dir={tmp_path / 'data'}",
      *more,
    ],
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": str(ROOT)},
    capture_output=True,
    text=True,
    check=False,
  )


def test_prints_checks_and_draws(tmp_path, folder):
  done = _run(tmp_path)
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  assert lines[0].split() == ["name:", "toy/corridor/random"]
  assert "ok   action is legal" in lines
  assert "ok   content_hash is that of the arrays" in lines
  assert "BAD" not in done.stdout
  assert (tmp_path / "inspect-toy-corridor-random.png").stat().st_size > 10_000


def test_a_broken_rule_is_named_and_fails(tmp_path, folder):
  legal = np.load(folder / "legal.npy")
  row = 4
  legal[row] = [True, False, False]
  action = np.load(folder / "action.npy")
  action[row] = 1
  np.save(folder / "legal.npy", legal)
  np.save(folder / "action.npy", action)
  done = _run(tmp_path)
  assert done.returncode == 1
  assert f"BAD  action is not legal, row {row}" in done.stdout
  assert done.stderr == "error: toy/corridor/random breaks 1 of the rules above\n"
  assert not list(tmp_path.glob("*.png"))


def test_a_truncated_file_is_one_line(tmp_path, folder):
  path = folder / "obs.npy"
  path.write_bytes(path.read_bytes()[:-100])
  done = _run(tmp_path, dataset=str(folder))
  assert done.returncode == 1
  assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
  assert "obs.npy is cut short" in done.stderr


def test_a_changed_number_is_noticed(tmp_path, folder):
  obs = np.load(folder / "obs.npy")
  obs[0, 0, 0] += 1e-3
  np.save(folder / "obs.npy", obs)
  done = _run(tmp_path)
  assert done.returncode == 1
  assert "is corrupt: the arrays' hash is" in done.stderr


def test_names_that_plugins_have_given(tmp_path, folder):
  (tmp_path / "named.py").write_text(
    "from logo_jax.data import source\n"
    f"source.register('mine/corridor', {str(folder)!r})\n"
  )
  shown = _run(tmp_path, "mine/corridor", "inspect_data", "--plugin=named")
  assert shown.returncode == 0, shown.stderr
  assert shown.stdout.splitlines()[0].split() == ["name:", "mine/corridor"]
  out = tmp_path / "out"
  made = _run(tmp_path, "mine/corridor", "convert", "--plugin=named", f"--out={out}")
  assert made.returncode == 0, made.stderr
  assert store.read(out).card["name"] == "mine/corridor"
