"""The `sumo` preset for `--config`; see `logo_jax/presets.py`."""

from logo_jax import config_dicts


def get_config():
  """The preset as flags can override it."""
  return config_dicts.of_preset("sumo")
