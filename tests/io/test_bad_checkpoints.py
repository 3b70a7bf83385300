"""Damaged checkpoints give way to those before them; a full disk is named."""

from collections.abc import Callable
import errno
import os
import pathlib
import re
import shutil
from unittest import mock

import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.io.checkpoint import Checkpointer
from logo_jax.io.run_folder import RunFolder
from tests.sound_files import refused


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
  """Three checkpoints of different numbers."""
  folder = tmp_path_factory.mktemp("checkpoints") / "train"
  with Checkpointer(folder, keep=3) as open_one:
    for step in (1, 2, 3):
      noise = np.random.default_rng(step).normal(size=5_000).astype(np.float32)
      open_one.save(step, {"x": jnp.array(noise), "y": jnp.float32(step)}, step)
  return folder


def _largest(folder: pathlib.Path) -> pathlib.Path:
  files = (path for path in folder.rglob("*") if path.is_file())
  return max(files, key=lambda path: path.stat().st_size)


_GARBAGE = b"\xff\x00{"
_CHECKPOINT_DAMAGE: dict[str, Callable[[pathlib.Path], object]] = {
  "largest missing": lambda step: _largest(step).unlink(),
  "largest cut": lambda step: os.truncate(_largest(step), 9),
  "state missing": lambda step: shutil.rmtree(step / "state"),
  "state garbage": lambda step: (step / "state/_METADATA").write_bytes(_GARBAGE),
  "index missing": lambda step: (step / "state/manifest.ocdbt").unlink(),
  "layout missing": lambda step: shutil.rmtree(step / "layout"),
  "layout garbage": lambda step: (step / "layout/metadata").write_bytes(_GARBAGE),
  "all missing": lambda step: [shutil.rmtree(path) for path in step.glob("*/")],
}
_TARGET = {"x": jnp.zeros(5_000), "y": jnp.float32(0)}


@pytest.mark.parametrize("damage", _CHECKPOINT_DAMAGE.values(), ids=_CHECKPOINT_DAMAGE)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
  checkpoints, tmp_path, capsys, damage
):
  folder = shutil.copytree(checkpoints, tmp_path / "train")
  damage(folder / "3")
  before = sorted(folder.rglob("*"))
  with Checkpointer(folder, read_only=True) as reader:
    state, step = reader.restore_sound(_TARGET)
    assert (step, float(state["y"])) == (2, 2.0)
  said = capsys.readouterr().err
  assert said.count("\n") == 1
  assert re.search(r"train/3 is damaged: .*; going back to .* of step 2", said)
  assert sorted(folder.rglob("*")) == before  # who only reads changes nothing
  with Checkpointer(folder, keep=3) as writer:
    state, step = writer.restore_sound(_TARGET)
    assert step == 2
    assert writer.save(3, state)  # its place is free
    assert float(writer.restore(_TARGET)["y"]) == 2.0
  assert (tmp_path / "train-damaged/3").is_dir()


def test_damaged_scores_and_nothing_left(checkpoints, tmp_path, capsys):
  folder = shutil.copytree(checkpoints, tmp_path / "train")
  (folder / "3/metrics/metrics").write_bytes(_GARBAGE)
  with Checkpointer(folder, read_only=True) as reader:
    assert (reader.latest_step(), reader.best_step()) == (3, 2)
  with Checkpointer(folder, keep=3) as writer:
    assert "is damaged; this checkpoint is no candidate" in capsys.readouterr().err
    assert writer.restore_sound(_TARGET)[1] == 3
  for step in "123":
    shutil.rmtree(folder / step / "layout")

  def restore(root: pathlib.Path) -> None:
    with Checkpointer(root / "train", read_only=True) as reader:
      reader.restore_sound(_TARGET)

  refused(tmp_path, restore, "3 is damaged: .*metadata is missing; no earlier")


def test_a_full_disk_is_named(checkpoints, tmp_path, monkeypatch):
  """/dev/full takes nothing, as a disk without room does."""
  full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
  folder = shutil.copytree(checkpoints, tmp_path / "train")

  def save(root: pathlib.Path) -> None:
    with Checkpointer(folder, keep=3) as writer:
      # As tensorstore says it, from the depths of a save.
      error = ValueError(f"RESOURCE_EXHAUSTED: {'x' * 500}: {full.strerror} [a='b']")
      monkeypatch.setattr(writer._manager, "save", mock.Mock(side_effect=error))
      writer.save(4, _TARGET)

  refused(tmp_path, save, "train: the checkpoint of step 4 cannot be written: No sp")
  usage = mock.Mock(free=10)
  monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
  with Checkpointer(folder, keep=3) as writer:
    with pytest.raises(OSError, match="of step 4 cannot be written: No space left"):
      writer.save(4, _TARGET)
    assert writer.restore_sound(_TARGET)[1] == 3
  run = RunFolder(tmp_path / "run")
  run.metrics_path = pathlib.Path("/dev/full")
  with pytest.raises(OSError, match="/dev/full cannot be written: No space left"):
    run.log(1, {"x": 1.0})
  monkeypatch.setattr(pathlib.Path, "write_text", mock.Mock(side_effect=full))
  with pytest.raises(OSError, match="results.json cannot be written: No space left"):
    run.write_results({})
  assert not list((tmp_path / "run").iterdir())
