"""Published hyper-parameters for `--config`; see `logo_jax/configs/published.py`.

Example: --config=experiments/configs/published.py:cfcql/smax/2s3z/medium
"""

from logo_jax.configs import config_dicts, published


def get_config(which: str = ""):
  """The values of <system>/<suite>/<scenario>/<quality>, as flags can override them."""
  name, _, dataset = which.partition("/")
  return config_dicts.as_flags(published.get(name, dataset))
