"""LOGO: offline multi-agent reinforcement learning with local-to-global world models.

The package is a set of pure functions; import the part that you need, for example
`from logo_jax.ops import cql` or `from logo_jax.world_models import logo`.
"""

__version__ = "0.1.0"
