"""A grid of systems and datasets by one command: plan, runs, table and figure.

The same as `logo-jax sweep`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.sweep import main

if __name__ == "__main__":
  cli.run(main)
