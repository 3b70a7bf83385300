"""Plays a checkpoint of a run, on episodes that training has never used.

The same as `logo-jax evaluate`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.evaluate import main

if __name__ == "__main__":
  cli.run(main)
