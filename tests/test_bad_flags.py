"""Flags that are no configuration, and numbers that nothing can be made of."""

import pytest

from logo_jax import cli
from logo_jax.configs import config_dicts, entries, presets
from logo_jax.runs import experiment, model_study
from tests.sound_files import refused


@pytest.mark.parametrize(
  ("text", "named"),
  [
    ("", "'' is neither a preset nor a file"),
    ("mcql", "'mcql' is neither a preset nor a file; .* macql,"),
    ("nowhere.py", "'nowhere.py' is neither a preset nor a file"),
    ("{}", "is a folder"),
    ("{}/array.npy", "array.npy: get_config cannot be called: (Syntax|Value)Error"),
    ("{}/syntax.py", "syntax.py: get_config cannot be called: .*line 1"),
    ("{}/three.py", "three.py: get_config must return a ConfigDict, .* a int"),
    ("{}/none.py", "none.py: get_config cannot be called: KeyError: 'get_config'"),
    ("published:cfcql/smax/9z/medium", "no values for 'cfcql' on 'smax/9z/medium'"),
  ],
)
def test_configurations_that_are_none(tmp_path, text, named):
  (tmp_path / "syntax.py").write_text("def get_config(:")
  (tmp_path / "three.py").write_text("def get_config(): return 3")
  (tmp_path / "array.npy").write_bytes(b"\x93NUMPY\x01\x00")
  (tmp_path / "none.py").write_text("x = 1")
  flag = cli.ConfigParser()
  refused(tmp_path, lambda root: flag.parse(text.format(root)), named)


def test_a_bare_name_is_a_preset():
  flag = cli.ConfigParser()
  for name in ("logo_macql", "published:cfcql/smax/2s3z/medium"):
    config = config_dicts.experiment_config(flag.parse(name))
    assert config.preset == name.removeprefix("published:").split("/")[0]


@pytest.mark.parametrize(
  ("fields", "named"),
  [
    ({"seed": 2**63}, f"seed: must be from .*, got {2**63}"),
    ({"num_seeds": 10**12}, "num_seeds: must be at most 2147483648 .*, got 1000000000"),
    ({"num_seeds": 10**9}, "needs .* GB with num_seeds 1000000000, but a device has"),
    ({"evaluation.seed": 10**30}, "evaluation.seed: must be from"),
    ({"evaluation.episodes": 10**12}, "evaluation.episodes: 10+ needs .* GB"),
    ({"learner.hidden_size": 10**8}, "learner.hidden_size: 10+ needs .* GB"),
    ({"learner.hidden_size": 10**19}, "learner.hidden_size: 10+ needs .* GB"),
    ({"model.hidden_size": 10**8}, "model.hidden_size: 10+ needs .* GB"),
    ({"num_starts": 10**12}, "num_starts: 10+ needs .* GB"),
  ],
)
def test_numbers_that_cannot_be(tmp_path, fields, named):
  config = entries.changed(presets.get("logo_macql"), fields)
  refused(tmp_path, lambda root: experiment.check(config, root / "run"), named)


def test_lists_of_nothing():
  for read, flag in ((entries.systems, "presets"), (model_study.models, "models")):
    with pytest.raises(ValueError, match=f"{flag}: must name at least one"):
      read([])
