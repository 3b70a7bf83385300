"""Converts a dataset that can be read into our own format, a vault or one of Minari's.

The same as `logo-jax convert`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.convert import main

if __name__ == "__main__":
  cli.run(main)
