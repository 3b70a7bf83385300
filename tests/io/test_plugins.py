"""Modules of others: what they register is there for flags, runs and evaluations."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from logo_jax.configs import presets, registry
from logo_jax.configs.config import ExperimentConfig
from logo_jax.data import collect, source, store
from logo_jax.envs import base, register_game
from logo_jax.io import plugins
from logo_jax.runs import playback
from logo_jax.sweep import pool
from logo_jax.types import EnvSpec
from tests import toys

_ROOT = pathlib.Path(__file__).parents[2]
_PLUGIN = """
import dataclasses
from logo_jax.configs import presets, registry
from logo_jax.configs.config import ExperimentConfig
from logo_jax.learners import bc

Config = dataclasses.make_dataclass(
  "Config", [("rate", float, 0.5)], bases=(bc.Config,), frozen=True
)
make = bc.make
registry.register("learner", "mine", __name__)
presets.register(
  "mine", lambda: ExperimentConfig("", registry.component("learner", "mine"))
)
"""
_BINARY = """
from logo_jax import cli
from logo_jax.configs import config_dicts
FLAG = cli.define_config("config", "bc", "A preset.")
def main(argv):
  config = config_dicts.experiment_config(FLAG.value)
  learner = config.learner
  print(config.preset, learner.name, getattr(learner.config, "rate", None))
if __name__ == "__main__":
  cli.run(main)
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
  """All tables are as they were, at the end."""
  kinds = {kind: dict(names) for kind, names in registry._MODULES.items()}
  monkeypatch.setattr(registry, "_MODULES", kinds)
  for place, table in (
    (base, "_SUITES"),
    (base, "_PACKAGES"),
    (presets, "_PRESETS"),
    (plugins, "_LOADED"),
    (plugins, "_INSTALLED"),
  ):
    monkeypatch.setattr(place, table, dict(getattr(place, table)))
  monkeypatch.setattr(sys, "path", list(sys.path))
  yield
  base.make.cache_clear()


@pytest.fixture
def folder(tmp_path):
  (tmp_path / "my_learner.py").write_text(_PLUGIN)
  (tmp_path / "lacks.py").write_text("import nothing_at_all")
  (tmp_path / "clashes.py").write_text(
    "from logo_jax.configs import registry\n"
    "registry.register('learner', 'bc', 'logo_jax.learners.macql')"
  )
  (tmp_path / "binary.py").write_text(_BINARY)
  return tmp_path


def _run(folder, *arguments):
  return subprocess.run(
    [sys.executable, "binary.py", *arguments],
    capture_output=True,
    text=True,
    check=False,
    cwd=folder,
    env=os.environ | {"PYTHONPATH": str(_ROOT)},
  )


@pytest.mark.parametrize(
  ("arguments", "printed"),
  [
    (["--plugin", "json,my_learner", "--config", "mine"], "mine mine 0.5"),
    (
      ["--config=mine", "--config.learner.rate=2", "--plugin=my_learner"],
      "mine mine 2.0",
    ),
  ],
)
def test_a_plugin_is_there_before_its_preset_is_parsed(folder, arguments, printed):
  done = _run(folder, *arguments)
  assert (done.stdout.strip(), done.stderr, done.returncode) == (printed, "", 0)


@pytest.mark.parametrize(
  ("argument", "message"),
  [
    ("--config=mine", "'mine' is neither a preset nor a file"),
    ("--plugin=absent", "error: plugin: there is no module 'absent' in "),
    ("--plugin=json,my.py", "error: plugin: there is no module 'my' in "),
    ("--plugin=a-b", "error: plugin: 'a-b' must be a module's name as `import`"),
    ("--plugin=clashes", "error: learner.name: 'bc' is taken, by logo_jax.learners"),
  ],
)
def test_plugins_that_cannot_be_are_one_line(folder, argument, message):
  done = _run(folder, argument)
  assert done.returncode == 1 and done.stderr.count("\n") == 1
  assert message in done.stderr


def test_a_defect_of_a_plugin_keeps_its_traceback(folder):
  done = _run(folder, "--plugin=lacks")
  assert "Traceback" in done.stderr and "nothing_at_all" in done.stderr


def test_an_installed_package_needs_no_flag(folder):
  info = folder / "others-1.0.dist-info"
  info.mkdir()
  (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
  (info / "entry_points.txt").write_text("[logo_jax.plugins]\nany = my_learner\n")
  done = _run(folder, "--config=mine")
  assert (done.stdout.strip(), done.stderr) == ("mine mine 0.5", "")


def test_workers_are_told(folder, monkeypatch):
  monkeypatch.chdir(folder)
  assert pool.worker_command(pathlib.Path("x"))[3:] == ["--cell=x"]
  plugins.load(["my_learner", "my_learner"])
  assert pool.worker_command(pathlib.Path("x"))[3:] == [
    "--cell=x",
    "--plugin=my_learner",
  ]


def test_a_run_remembers_by_what_it_was_made(folder, monkeypatch):
  run = folder / "run"
  plugins.remember(run)
  assert not run.exists()
  monkeypatch.chdir(folder)
  plugins.load(["my_learner"])
  plugins.remember(run)
  assert json.loads((run / "plugins.json").read_text()) == {
    "named": ["my_learner"],
    "installed": [],
  }
  with pytest.raises(ValueError, match="^no$"), plugins.explained(run):
    raise ValueError("no")
  plugins._LOADED.clear()
  with (
    pytest.raises(ValueError, match="^no; .*run was made with --plugin=my_learner, wh"),
    plugins.explained(run),
  ):
    raise ValueError("no")
  (run / "plugins.json").write_text('{"named": 3}')
  with (
    pytest.raises(ValueError, match="plugins.json: named: must be a list of names"),
    plugins.explained(run),
  ):
    raise ValueError("no")


def test_an_evaluation_names_what_is_missing(folder):
  values = {"preset": "x", "learner": {"name": "mine"}, "dataset_hash": "0"}
  (folder / "config.json").write_text(json.dumps(values))
  (folder / "plugins.json").write_text('{"named": ["my_learner"], "installed": []}')
  with pytest.raises(ValueError, match="config.json: learner.name: .* got 'mine'; .*"):
    playback.evaluate(folder, 8)
  with pytest.raises(
    ValueError, match="made with --plugin=my_learner, which has to be"
  ):
    playback.evaluate(folder, 8)


def test_a_game():
  env = toys.corridor()

  def make():
    return env

  for _ in range(2):
    register_game("toy/corridor", make, packages=("numpy",))
  register_game("toy/won", make, wins=True)
  assert base.names()[-2:] == ("toy/corridor", "toy/won")
  assert base.make("toy/corridor") is env
  assert source.spec("toy/corridor/random") == env.spec
  assert base.has_wins("toy/won") and not base.has_wins("toy/corridor")
  assert base.termination_rule("toy/corridor") is None
  assert base.weaken("toy/corridor") is None
  assert base.layout(env.spec) is None
  assert base.layout(EnvSpec("toy/else", 2, 5, 8, "discrete", 3, 8)) is None
  assert set(base.versions("toy/won")) == {"jax", "numpy"}
  with pytest.raises(ValueError, match="'toy/won': its spec.name is 'toy/corridor'"):
    base.make("toy/won")
  register_game("toy/none", lambda: None)  # pyright: ignore
  with pytest.raises(ValueError, match="must return an Environment .* a NoneType"):
    base.make("toy/none")
  for name, message in (
    ("toy/corridor", "'toy/corridor' is taken; choose another name"),
    ("toy", "'toy' must be <suite>/<scenario>"),
    ("toy/a/b", "'toy/a/b' must be <suite>/<scenario>"),
    ("smax/mine", "the suite 'smax' is taken, by logo_jax.envs.smax"),
  ):
    with pytest.raises(ValueError, match=message):
      register_game(name, toys.corridor)
  with pytest.raises(ValueError, match="suite 'toy' is taken, by register_game"):
    base.register("toy", "json")


def test_a_preset():
  def make():
    return ExperimentConfig("other", registry.component("learner", "bc"))

  for _ in range(2):
    presets.register("mine", make)
  assert presets.get("mine").preset == "mine" and "mine" in presets.names()
  for name, message in (
    ("bc", "'bc' is taken; choose another name"),
    ("published", "'published' is taken"),
    ("a:b", "'a:b' must be a name without"),
    ("", "'' must be a name without"),
  ):
    with pytest.raises(ValueError, match=message):
      presets.register(name, make)
  presets.register("odd", dict)  # pyright: ignore
  with pytest.raises(
    ValueError, match="'odd' must return an ExperimentConfig, .* dict"
  ):
    presets.get("odd")


def test_random_play_of_a_game_needs_no_policies(tmp_path):
  register_game("toy/corridor", toys.corridor, wins=True)
  request = collect.Request("toy/corridor/random", 300)
  stored = store.read(collect.collect(request, tmp_path))
  assert stored.spec == toys.corridor().spec
  assert stored.card["behaviour"]["snapshots"] == [] and stored.card["shares"] == {}
  steps = np.delete(np.arange(len(stored.rows.reward)), stored.episode_start[1:] - 1)
  both = stored.rows.legal[steps].sum(-1) == 2  # at an end, staying is one of two
  stays = (stored.rows.action[steps] == 1)[both].mean()
  assert stays == pytest.approx(0.5, abs=0.1)
  with pytest.raises(ValueError, match="'toy/corridor' has no behaviour policies"):
    collect.collect(collect.Request("toy/corridor/medium", 300), tmp_path)
