"""Datasets: made, read, checked and held; `from_arrays` writes one of your own."""

from logo_jax.data.formats.arrays import from_arrays

__all__ = ["from_arrays"]
