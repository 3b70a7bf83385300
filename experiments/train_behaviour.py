"""Trains the behaviour policies of a scenario and stores snapshots of them.

The same as `logo-jax train_behaviour`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.train_behaviour import main

if __name__ == "__main__":
  cli.run(main)
