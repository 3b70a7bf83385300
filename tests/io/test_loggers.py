"""Where metrics go besides metrics.jsonl, and what a resumed run sends of them.

W&B is what `pip install wandb` brings, offline: its files are read as it has left them.
"""

import dataclasses
import json
import pathlib
import struct
import sys

import numpy as np
import pytest

from logo_jax.configs import presets
from logo_jax.io import loggers
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import records
from logo_jax.runs import experiment

CONFIG = {"seed": 1, "loggers": "tensorboard"}


@pytest.fixture
def offline(monkeypatch):
  pytest.importorskip("wandb")
  monkeypatch.setenv("WANDB_MODE", "offline")
  monkeypatch.setenv("WANDB_SILENT", "true")


def history(folder: pathlib.Path) -> list[tuple[str, dict[str, float]]]:
  """Run and row of everything sent from a folder: records of checksum, length, kind."""
  from wandb.proto import wandb_internal_pb2

  found = []
  for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
    data = path.read_bytes()[7:]
    assert len(data) < 30_000  # one block, in which records are whole
    while data:
      _, length, kind = struct.unpack_from("<IHB", data)
      assert kind == 1
      record = wandb_internal_pb2.Record.FromString(data[7 : 7 + length])
      data = data[7 + length :]
      if record.HasField("history"):
        items = record.history.item
        row = {"/".join(x.nested_key) or x.key: json.loads(x.value_json) for x in items}
        found.append((path.stem.removeprefix("run-"), row))
  return found


def test_names():
  assert loggers.names("tensorboard,wandb") == ("tensorboard", "wandb")
  assert loggers.names("") == ()
  for text in ("tensorbord", "wandb,wandb", "tensorboard, wandb", "wandb,", ","):
    with pytest.raises(ValueError, match=f"loggers: must be of .*; got {text!r}"):
      loggers.names(text)


def test_what_is_not_allowed_leaves_nothing(tmp_path):
  path = tmp_path / "run"
  with pytest.raises(ValueError, match="loggers: must be of"):
    RunFolder.open(path, CONFIG, "csv")
  with pytest.raises(ValueError, match="loggers: must be of"):
    experiment.check(dataclasses.replace(presets.get("bc"), loggers="csv"), path)
  assert not path.exists()


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
  monkeypatch.setitem(sys.modules, "wandb", None)  # importing it raises
  with pytest.raises(ImportError, match=r"pip install 'logo_jax\[wandb\]'"):
    RunFolder.open(tmp_path / "run", CONFIG, "wandb")
  monkeypatch.delitem(sys.modules, "wandb")
  monkeypatch.setattr(sys, "path", [str(tmp_path)])
  (tmp_path / "wandb").mkdir()  # W&B's own files, where somebody had it
  with pytest.raises(ImportError, match=r"pip install 'logo_jax\[wandb\]'"):
    loggers.check("wandb")
  assert [path.name for path in tmp_path.iterdir()] == ["wandb"]


def test_none_but_the_lines(tmp_path):
  with RunFolder.open(tmp_path, CONFIG, "") as run:
    run.log(1, {"loss": 1.0})
    run.truncate_after(1)
  names = [".lock", "config.json", "figures", "metrics.jsonl"]
  assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize("stored", [{"seed": 1}, CONFIG])
def test_runs_resume_with_other_loggers(tmp_path, stored):
  """Those of before there was a choice, too."""
  with RunFolder.open(tmp_path, stored) as run:
    run.log(1, {"loss": 1.0})
  given = {"seed": 1, "loggers": ""}
  RunFolder.check(tmp_path, given)
  with RunFolder.open(tmp_path, given, "") as run:
    run.log(2, {"loss": 1.0})
  assert json.loads(run.config_path.read_text()) == stored
  with pytest.raises(ValueError, match="seed: 2 differs from 1"):
    RunFolder.check(tmp_path, given | {"seed": 2})
  assert records.config_hash(stored) == records.config_hash(given)


def test_wandb_gets_each_step_once(tmp_path, offline):
  """A run that is killed after its checkpoint of step 10, and does step 20 again."""
  seeds = np.array([1.0, 3.0])
  with RunFolder.open(tmp_path, CONFIG, "tensorboard,wandb") as run:
    run.log(500, {"model/loss": 0.5, "bad": np.nan}, "model")
    run.log(10, {"loss": seeds})
    run.log(20, {"loss": seeds + 1})
  with RunFolder.open(tmp_path, CONFIG, "wandb") as run:
    run.truncate_after(10)
    run.log(20, {"loss": seeds + 1})
    run.log(30, {"loss": seeds + 2})
    run.write_results({})
  RunFolder.open(tmp_path, CONFIG, "wandb").close()  # finished: no run of W&B
  assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 2

  sent = history(tmp_path)
  (name,) = {name for name, _ in sent}
  saved = json.loads((tmp_path / "wandb.json").read_text())
  assert saved == {"id": name, "rows": 4, "last": {"model": 500, "train": 30}}
  assert [row.pop("_step") for _, row in sent] == [0, 1, 2, 3]
  rows = [{k: v for k, v in row.items() if k[0] != "_"} for _, row in sent]
  assert rows[0] == {"model/step": 500, "model/model/loss": 0.5}
  for row, step, low in zip(rows[1:], (10, 20, 30), (1.0, 2.0, 3.0), strict=True):
    band = {"train/loss_min": low, "train/loss_max": low + 2}
    assert row == {"train/step": step, "train/loss": low + 1} | band
  lines = [json.loads(x) for x in run.metrics_path.read_text().splitlines()]
  assert [line["step"] for line in lines] == [500, 10, 20, 30]
  assert lines[3]["by_seed"] == {"loss": [3.0, 5.0]}


def test_a_damaged_note_of_wandb_is_told(tmp_path, offline):
  (tmp_path / "wandb.json").write_text('{"id": 3, "rows": 0, "last": {}}')
  with pytest.raises(ValueError, match="wandb.json: id: must be of type str; got 3"):
    RunFolder.open(tmp_path, CONFIG, "wandb")
  RunFolder.open(tmp_path, CONFIG).close()  # the lock is free


def test_wandb_that_does_not_begin_is_told(tmp_path, offline, monkeypatch):
  import wandb

  def refuse(**unused: object):
    raise wandb.Error("No API key configured.")

  monkeypatch.setattr(wandb, "init", refuse)
  with pytest.raises(ValueError, match="No API key configured. WANDB_MODE=offline"):
    RunFolder.open(tmp_path, CONFIG, "wandb")
  RunFolder.open(tmp_path, CONFIG).close()  # the lock is free
