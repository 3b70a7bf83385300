"""Which fits at hand serve whom."""

import dataclasses
import json

import pytest

from logo_jax.configs import config as config_lib
from logo_jax.configs import presets
from logo_jax.runs import fits

LOGO, OTHER = presets.get("logo_macql"), presets.get("direct")


def _write(folder, config, dataset="here"):
  folder.mkdir()
  values = config_lib.to_dict(dataclasses.replace(config, dataset=dataset))
  (folder / "config.json").write_text(json.dumps(values))
  return str(folder)


def test_fits_are_found_by_their_model(tmp_path):
  logo, other = _write(tmp_path / "a", LOGO), _write(tmp_path / "b", OTHER, "there")
  configs = [presets.get("macql"), presets.get("logo_omiga"), OTHER]
  found = fits.find([logo, other], ["here", "there"], configs)
  assert found == {
    "here": {fits.key(presets.get("logo_omiga")): logo},
    "there": {fits.key(OTHER): other},
  }


@pytest.mark.parametrize(
  ("configs", "datasets", "message"),
  [
    ([LOGO], ["there"], r"a is of 'here'; allowed are \['there'\]"),
    ([presets.get("macql"), OTHER], ["here"], "a: no system here has its model and"),
    ([LOGO], ["here"], "b and .*a have the same model"),
  ],
)
def test_a_fit_of_no_use_is_refused(tmp_path, configs, datasets, message):
  folders = [_write(tmp_path / name, LOGO) for name in "ab"]
  with pytest.raises(ValueError, match="fits: .*" + message):
    fits.find(folders, datasets, configs)


def test_a_folder_without_a_run_is_refused(tmp_path):
  with pytest.raises(ValueError, match="holds no config.json"):
    fits.find([str(tmp_path)], ["here"], [LOGO])


def test_a_run_goes_on_as_it_began(tmp_path):
  assert fits.as_begun(tmp_path / "new", "x") == "x"
  _write(tmp_path / "own", LOGO)
  assert fits.as_begun(tmp_path / "own", "x") == ""
  _write(tmp_path / "taken", dataclasses.replace(LOGO, model_run="y"))
  assert fits.as_begun(tmp_path / "taken", "x") == "y"
