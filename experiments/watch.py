"""Plays an episode of a run and draws it, beside it what its world model imagines.

The same as `logo-jax watch`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.watch import main

if __name__ == "__main__":
  cli.run(main)
