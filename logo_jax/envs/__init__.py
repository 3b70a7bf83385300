"""Environments by name; `register_game` adds one of yours."""

from logo_jax.envs.base import register_game

__all__ = ["register_game"]
