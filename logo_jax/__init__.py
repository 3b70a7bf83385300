"""LOGO: offline multi-agent reinforcement learning with local-to-global world models.

The package is a set of pure functions; import the part that you need, for example
`from logo_jax.ops import cql` or `from logo_jax.world_models import logo`.
`logo_jax.load_policy` loads the policies of a run.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from logo_jax.deploy.policy import load_policy as load_policy

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
  """Imports `load_policy`, and all that it needs, when it is first asked for."""
  if name == "load_policy":
    from logo_jax.deploy.policy import load_policy

    return load_policy
  raise AttributeError(f"module 'logo_jax' has no attribute {name!r}")
