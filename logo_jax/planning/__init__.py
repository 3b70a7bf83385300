"""Choosing joint actions by trying them in a world model."""
