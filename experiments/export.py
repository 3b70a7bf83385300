"""Writes a run's policies as weights and programs that JAX runs without this library.

The same as `logo-jax export`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.export import main

if __name__ == "__main__":
  cli.run(main)
