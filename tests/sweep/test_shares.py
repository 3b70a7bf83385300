"""Processes that share a plan."""

import subprocess
import sys

import pytest

from logo_jax.sweep import pool, preview, shares
from logo_jax.sweep.cells import Cell
from logo_jax.sweep.shares import WHOLE, Share


def _cell(name, *needs):
  return Cell(name, "model_error", {}, needs)


PLAN = [
  _cell("data/a"),
  _cell("data/b"),
  _cell("fit/a", "data/a"),
  _cell("alone"),
  _cell("run/b", "data/b"),
  _cell("run/a", "data/a", "fit/a"),
  _cell("data/c"),
  _cell("run/c", "data/c"),
]


def _names(share):
  return [cell.name for cell in shares.of_plan(PLAN, share)]


def test_what_needs_one_another_stays_together_and_all_is_done_once():
  assert _names(Share(0, 2)) == ["data/a", "fit/a", "alone", "run/a"]
  assert _names(Share(1, 2)) == ["data/b", "run/b", "data/c", "run/c"]
  assert _names(WHOLE) == [cell.name for cell in PLAN]
  assert [_names(Share(i, 5)) for i in (3, 4)] == [["data/c", "run/c"], []]


def test_groups_that_turn_out_to_be_one_are_one():
  plan = [_cell("a"), _cell("b"), _cell("both", "a", "b"), _cell("c"), _cell("d")]
  assert [c.name for c in shares.of_plan(plan, Share(0, 2))] == ["a", "b", "both", "d"]


@pytest.mark.parametrize(
  ("flags", "environ", "expected"),
  [
    ((None, None), {}, WHOLE),
    ((None, None), {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, WHOLE),
    ((None, None), {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, Share(5, 8)),
    ((1, None), {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, WHOLE),
    ((4, 3), {"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, Share(3, 4)),
  ],
)
def test_flags_say_who_one_is_or_else_slurm(flags, environ, expected):
  assert shares.told(*flags, environ) == expected


@pytest.mark.parametrize(
  ("num", "process", "message"),
  [
    (None, 0, "num_processes: is missing"),
    (2, None, "process_id: is missing"),
    (0, 0, "num_processes: 0 is not allowed; at least 1"),
    (2, 2, "process_id: 2 is not allowed; 0 to 1 are"),
    (2, -1, "process_id: -1 is not allowed"),
  ],
)
def test_numbers_that_cannot_be_are_refused(num, process, message):
  with pytest.raises(ValueError, match=message):
    shares.told(num, process, {})


# Leaves what a finished cell leaves.
_WORKER = """
import json, pathlib, sys
cell = json.loads(pathlib.Path(sys.argv[1]).read_text())
folder = pathlib.Path(cell["root"]) / cell["name"]
folder.mkdir(parents=True)
(folder / "model_error.json").write_text("{}")
"""


def _command(file):
  return [sys.executable, "-S", "-c", _WORKER, str(file)]


def test_two_processes_work_a_plan_off(tmp_path):
  first = pool.run(PLAN, tmp_path, 2, _command, Share(0, 2))
  assert first.complete()
  assert first.done == ("alone", "data/a", "fit/a", "run/a")
  told = preview.text(PLAN, tmp_path, 1, Share(1, 2))
  assert "process 1 of 2: 4 of 4 cells to do" in told and "data/a" not in told
  second = pool.run(PLAN, tmp_path, 2, _command, Share(1, 2))
  # Whoever comes last can report on all.
  assert second.done == tuple(sorted(cell.name for cell in PLAN))
  assert pool.run(PLAN, tmp_path, 1, _command) == second  # nothing is done again


# Locks the folder, says so, and waits for its input to close.
_HOLDER = """
import sys
from logo_jax.sweep import pool, shares
with pool._locked(__import__("pathlib").Path(sys.argv[1]), eval(sys.argv[2])):
  print("locked", flush=True)
  sys.stdin.read()
"""


def test_a_part_is_of_one_process_and_the_whole_of_none_meanwhile(tmp_path):
  with subprocess.Popen(
    [sys.executable, "-c", _HOLDER, str(tmp_path), "shares.Share(0, 2)"],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as other:
    assert other.stdout.readline() == "locked\n"
    with pytest.raises(FileExistsError, match="process 0 of 2, is in use"):
      pool.run(PLAN, tmp_path, 1, _command, Share(0, 2))
    with pytest.raises(FileExistsError, match="in use by another process"):
      pool.run(PLAN, tmp_path, 1, _command)
    assert pool.run(PLAN, tmp_path, 1, _command, Share(1, 2)).complete()
    other.stdin.close()
