"""What cloning alone gives on every dataset: the least that a learner has to beat.

The same as `logo-jax clones`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.clones import main

if __name__ == "__main__":
  cli.run(main)
