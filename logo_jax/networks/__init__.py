"""Flax modules. They broadcast over leading batch axes."""
