"""Watching an episode of a run's policies, and what its world model makes of it."""
