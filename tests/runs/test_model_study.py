"""The study of world models: its entries, and the binary as a user runs it."""

import dataclasses
import functools
import json
import pathlib
import subprocess
import sys
import types
from typing import Any

import jax
import numpy as np
import pytest

from logo_jax.configs import config as config_lib
from logo_jax.configs import presets
from logo_jax.data import dataset, store
from logo_jax.io.run_folder import RunFolder
from logo_jax.reporting import run_outputs
from logo_jax.runs import model_study
from logo_jax.sweep import worker
from logo_jax.training import compose
from tests import toys

ROOT = pathlib.Path(__file__).parents[2]
BINARY = ROOT / "experiments/model_error.py"


def test_entries_name_models_their_fields_and_labels():
  found = model_study.models(
    [
      "logo_macql",
      "logo_macql:hidden_size=8:share_local=true",
      "wide@logo_literal:hidden_size=512",
    ]
  )
  assert list(found) == [
    "logo_macql",
    "logo_macql:hidden_size=8:share_local=true",
    "wide",
  ]
  _, small, wide = (config.model.config for config in found.values() if config.model)
  assert small.hidden_size == 8 and small.share_local is True
  assert wide.hidden_size == 512 and wide.deduce_input == "obs"  # the preset's


def test_entries_name_uncertainties():
  found = model_study.uncertainties(["u@path_discrepancy:quantile=0.9"])
  assert found["u"].name == "path_discrepancy" and found["u"].config.quantile == 0.9


@pytest.mark.parametrize(
  ("entry", "message"),
  [
    ("lego", "preset: must be one of logo"),
    ("bc", "preset 'bc' has no world model"),
    ("logo_macql:hidden=8", "model.hidden: unknown key of 'logo'; allowed are"),
    ("logo_macql:hidden_size=big", "model.hidden_size: must be of type int; got 'big'"),
    ("logo_macql:hidden_size", "'hidden_size' must be field=value"),
    ("../x@logo_macql", "label '../x' must be one of its own"),
  ],
)
def test_wrong_entries_are_refused_by_name(entry, message):
  with pytest.raises(ValueError, match=message) as caught:
    model_study.models([entry])
  assert str(caught.value).startswith(f"models: {entry!r}: ")


def test_labels_are_told_apart():
  with pytest.raises(ValueError, match="label 'logo_macql' must be one of its own"):
    model_study.models(["logo_macql", "logo_macql"])


def _run(tmp_path, *arguments):
  command = [
    sys.executable,
    str(BINARY),
    f"--dataset={tmp_path / 'corridor'}",
    "--uncertainties=path_discrepancy",
    "--num_seeds=2",
    "--fit_updates=20",
    "--batch_size=16",
    f"--run_dir={tmp_path / 'runs'}",
    *arguments,
  ]
  return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  tmp_path = tmp_path_factory.mktemp("study")
  made = toys.random_play(toys.corridor(), 60)
  spec = toys.corridor().spec.stored()
  store.write(tmp_path / "corridor", made.rows, made.episode_start, {"spec": spec})
  done = _run(tmp_path, "--models=tiny@logo_macql:hidden_size=8", "--floor=true")
  assert done.returncode == 0, done.stderr
  return tmp_path, done


def test_results_have_what_they_must(finished):
  tmp_path, done = finished
  folder = tmp_path / "runs"
  results = json.loads((folder / "results.json").read_text())
  model = results["models"]["tiny"]
  for kind in ("state", "obs"):
    mse, rmse = (model[f"{kind}_{unit}"] for unit in ("mse", "rmse"))
    assert list(mse) == list(rmse) == ["1", "5"]  # no episode lasts ten steps
    np.testing.assert_allclose(np.square(rmse["5"]["seeds"]), mse["5"]["seeds"])
    assert np.isfinite(results["persistence"][f"{kind}_mse"]["5"])
  for name in "reward_r2 reward_rmse legal_accuracy legal_attack_accuracy".split():
    assert len(model[name]["seeds"]) == 2 and np.isfinite(model[name]["ci95"]), name
  assert model["termination_false_alarms"]["mean"] is not None
  assert model["termination_recall"]["mean"] is None  # nobody arrived, there: NaN
  for suffix in ("", "_cummax", "_cumsum"):
    assert -1 <= model["spearman"]["path_discrepancy" + suffix]["5"]["mean"] <= 1
  assert 0 <= model["auroc"]["path_discrepancy"]["mean"] <= 1
  assert model["parameters"]["seeds"] == [model["parameters"]["mean"]] * 2
  assert model["seconds"]["mean"] > 0
  assert set(model["state_mse"]["1"]) == {"mean", "ci95", "seeds"}
  assert results["floor"] == {}  # nobody's environment
  assert "the floor is not known: no environment here" in done.stderr
  assert "persistence" in done.stdout and "tiny" in done.stdout
  assert "persistence" in (folder / "table.md").read_text()
  assert (folder / "model_error.png").stat().st_size > 10_000
  assert (folder / "tiny" / "config.json").exists()


def test_other_data_are_held_out_by_path(finished, tmp_path):
  folder = finished[0] / "corridor"
  loaded = dataset.load(store.read(folder))
  assert model_study.held_out(loaded, "", tmp_path) is loaded
  other = toys.random_play(toys.corridor(), 20)
  card = {"spec": toys.corridor().spec.stored()}
  path = store.write(tmp_path / "other", other.rows, other.episode_start, card)
  measured = model_study.held_out(loaded, str(path), tmp_path)
  assert len(measured.data.test) == measured.num_transitions < loaded.num_transitions
  assert measured.statistics is loaded.statistics
  with pytest.raises(ValueError, match="the very data"):
    model_study.held_out(loaded, str(folder), tmp_path)


def test_results_on_other_data_have_their_own_folder():
  own, other = (
    types.SimpleNamespace(card={"name": "smax/2s3z/medium", "content_hash": x * 64})
    for x in "01"
  )
  for measured, split, expected in (
    (own, "test", "runs"),
    (own, "select", "runs/on/select"),
    (other, "test", "runs/on/smax-2s3z-medium-11111111"),
  ):
    found = model_study.results_folder("runs", own, measured, split)  # type: ignore
    assert found == pathlib.Path(expected)


def test_a_budget_keeps_the_share_of_windows_to_whole_intervals():
  for updates, expected in ((0, 4_000), (9_000, 6_000), (5_000, 3_000), (500, 500)):
    fit = model_study.of_budget("logo_entity", updates).fit
    assert (fit.updates, fit.unroll_updates) == (updates or 6_000, expected)
  fit = model_study.of_budget("logo_macql", 20, 16).fit
  assert (fit.updates, fit.interval, fit.batch_size) == (20, 20, 16)


def test_fields_of_an_entry_come_after_the_budget():
  base = functools.partial(model_study.of_budget, updates=6_000)
  found = model_study.models(
    ["long@direct:fit.updates=9000", "odd@logo_entity:fit.unroll_updates=2500"], base
  )
  assert found["long"].fit.updates == 9_000
  assert found["odd"].fit.unroll_updates == 2_500
  with pytest.raises(ValueError, match=r"fit\.unroll_updates: .* got 2500"):
    compose.check_budget(found["odd"])


def test_a_system_is_scored_by_its_own_uncertainty_too():
  chosen = model_study.uncertainties(["path_discrepancy", "s@disagreement:kind=std"])
  none: Any = None  # statistics, which neither needs
  labels = {
    preset: list(model_study.scores(chosen, presets.get(preset), none))
    for preset in ("logo_macql", "logo_entity", "direct")
  }
  assert labels["logo_macql"] == labels["direct"] == ["path_discrepancy", "s"]
  assert labels["logo_entity"] == ["path_discrepancy", "s", "own"]
  wrong = model_study.uncertainties(["path_discrepancy:quantile=1"])
  with pytest.raises(ValueError, match=r"uncertainty\.quantile: "):
    model_study.scores(wrong, presets.get("logo_macql"), none)
  with pytest.raises(ValueError, match="the label 'own'"):
    model_study.scores({"own": chosen["s"]}, presets.get("logo_entity"), none)


def test_fits_are_reused(finished):
  """Another split of the same fits: nothing is logged again, nothing overwritten."""
  runs = finished[0] / "runs"
  paths = [runs / name for name in ("tiny/metrics.jsonl", "results.json", "table.md")]
  before = [path.read_bytes() for path in paths]
  test = json.loads(before[1])["models"]["tiny"]
  done = _run(finished[0], "--models=tiny@logo_macql:hidden_size=8", "--split=select")
  assert done.returncode == 0, done.stderr
  assert [path.read_bytes() for path in paths] == before
  results = json.loads((runs / "on/select/results.json").read_text())
  assert results["split"] == "select" and list(results["models"]) == ["tiny"]
  select = results["models"]["tiny"]
  assert select["state_mse"] != test["state_mse"]
  assert select["seconds"] == test["seconds"]


def test_a_fit_that_is_in_use_can_be_measured(finished):
  """Several cells of a plan may measure one fit side by side."""
  folder = finished[0] / "runs" / "tiny"
  stored = run_outputs.read_config(folder)
  loaded = dataset.load(store.read(finished[0] / "corridor"))
  config = config_lib.from_dict({k: stored[k] for k in stored if k != "dataset_hash"})
  before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
  taken = dataclasses.replace(config, model_run=str(folder))
  with RunFolder.open(folder, stored):
    found = model_study.fitted(config, loaded, folder)
    told = worker._of_model("model_states", taken)
  assert len(told["measures"]["state_rmse"]["1"]["seeds"]) == 2
  lock = folder / ".lock"
  assert {path: path.stat().st_mtime_ns for path in before if path != lock} == {
    path: time for path, time in before.items() if path != lock
  }
  fitted = model_study.fit(config, loaded, folder)
  assert fitted is not None and found.seconds == fitted.seconds > 0
  jax.tree.map(np.testing.assert_array_equal, found.params, fitted.params)
  with pytest.raises(ValueError, match="does not exist"):
    model_study.fitted(config, loaded, folder / "nothing")


def test_mistakes_are_one_line_and_fit_nothing(tmp_path):
  done = _run(tmp_path, "--models=logo_macql:hidden=8")
  assert done.returncode == 1
  assert done.stderr.startswith(
    "error: models: 'logo_macql:hidden=8': model.hidden: unknown"
  )
  assert not (tmp_path / "runs").exists()
