"""The tables and figures of the paper by one command, beside its numbers.

The same as `logo-jax reproduce`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.reproduce import main

if __name__ == "__main__":
  cli.run(main)
