"""Uncertainty scores: each file has a `Config` and `make(config, statistics)`."""
