"""Trains one composition on one dataset; relaunching with the same folder resumes.

The same as `logo-jax train`, which stands in `logo_jax/commands/`.
"""

from logo_jax import cli
from logo_jax.commands.train import main, within

if __name__ == "__main__":
  cli.run(main, within=within)
