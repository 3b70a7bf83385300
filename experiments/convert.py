"""Converts a dataset that can be read into our own format or a vault.

The same as `logo-jax convert`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.convert import main

if __name__ == "__main__":
  cli.run(main)
