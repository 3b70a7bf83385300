"""The `logo_mpc` preset for `--config`; see `logo_jax/presets.py`."""

from logo_jax import cli


def get_config():
  """The preset as flags can override it."""
  return cli.config_dict("logo_mpc")
