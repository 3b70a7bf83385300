"""How accurate world models are on held-out episodes, and whether they know it.

The same as `logo-jax model_error`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.model_error import main

if __name__ == "__main__":
  cli.run(main)
