"""Shows what a dataset is, checks it rule by rule, and draws it.

The same as `logo-jax inspect_data`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.inspect_data import main

if __name__ == "__main__":
  cli.run(main)
