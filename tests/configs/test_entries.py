"""Lists of systems on a command line."""

import dataclasses

import pytest

from logo_jax.configs import entries, presets
from logo_jax.runs import model_study


def test_fields_sections_and_other_components():
  made = entries.systems(
    [
      "macql",
      "late@logo_macql:horizon=15:uncertainty.accumulate=cumsum",
      "paid@logo_macql:weighting.name=penalty:weighting.coefficient=2:fit.batch_size=64",
    ]
  )
  assert made["macql"] == presets.get("macql")
  late, paid = made["late"], made["paid"]
  assert (late.preset, late.horizon) == ("late", 15)
  assert late.uncertainty.config.accumulate == "cumsum"
  assert (paid.weighting.name, paid.weighting.config.coefficient) == ("penalty", 2)
  assert (paid.fit.batch_size, paid.horizon) == (64, presets.get("logo_macql").horizon)
  assert paid.model == presets.get("logo_macql").model


def test_models_are_meant_by_fields_without_a_dot():
  entry = "single@logo_entity:hidden_size=64:fit.unroll_updates=0"
  made = model_study.models([entry])["single"]
  assert made.model.config.hidden_size == 64
  assert made.fit == dataclasses.replace(
    presets.get("logo_entity").fit, unroll_updates=0
  )


@pytest.mark.parametrize(
  ("entry", "message"),
  [
    ("nothing", "preset: must be one of"),
    ("logo_macql:horizon", "'horizon' must be field=value"),
    ("logo_macql:weighting.temprature=1", "weighting.temprature: unknown key"),
    (
      "logo_macql:weighting=penalty",
      r"weighting: has fields, weighting.name=\.\.\.; got 'pen",
    ),
    ("logo_macql:fit=3", r"fit: has fields, fit.field=\.\.\.; got 3"),
    ("logo_macql:horizon.steps=1", "horizon: must be of type int; got {'steps': 1}"),
    ("logo_macql:nothing.steps=1", "nothing: unknown key"),
    ("a/b@logo_macql", "must be one of its own that can name a folder"),
  ],
)
def test_errors_name_the_entry(entry, message):
  with pytest.raises(ValueError, match="presets: .*" + message) as error:
    entries.systems([entry])
  assert repr(entry) in str(error.value)
