"""Configurations whose fields flags override."""

import pytest

from logo_jax.configs import config_dicts, presets, registry


@pytest.mark.parametrize(
  "argv",
  [
    ["train", "--config.weighting.name=penalty"],
    ["train", "--config.weighting.name", "penalty", "--run_dir=a"],
    ["train", "--config.weighting.name=halt", "-config.weighting.name=penalty"],
  ],
)
def test_a_named_component_comes_with_its_fields(argv):
  values = config_dicts.of_preset("logo_macql")
  named = config_dicts.with_named(values, "config", argv)
  named.weighting.coefficient = 2.0
  config = config_dicts.experiment_config(named)
  assert config.weighting == registry.component("weighting", "penalty", coefficient=2.0)
  assert config.model == presets.get("logo_macql").model
  assert values.weighting.name == "confidence"  # what was given stays as it was


def test_naming_the_present_component_keeps_its_fields():
  values = config_dicts.of_preset("logo_confidence")
  argv = ["--config.weighting.name=confidence", "--other.weighting.name=halt"]
  named = config_dicts.with_named(values, "config", argv)
  assert config_dicts.experiment_config(named) == presets.get("logo_confidence")


def test_a_component_where_there_was_none():
  values = config_dicts.of_preset("macql")
  argv = ["--config.model.name=direct"]
  named = config_dicts.with_named(values, "config", argv)
  assert config_dicts.experiment_config(named).model.name == "direct"


def test_names_of_nothing():
  values = config_dicts.of_preset("logo")
  with pytest.raises(ValueError, match="weighting.name: must be one of .*; got 'none'"):
    config_dicts.with_named(values, "config", ["--config.weighting.name=none"])
