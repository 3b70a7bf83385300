"""LOGO beside its baselines on one small dataset, within minutes on two CPU cores.

The same as `logo-jax quickstart`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.quickstart import main

if __name__ == "__main__":
  cli.run(main)
