"""Makes datasets by playing behaviour policies.

The same as `logo-jax collect`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.collect import main

if __name__ == "__main__":
  cli.run(main)
