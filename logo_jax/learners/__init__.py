"""Learners: each file has a `Config` and `make(config, context)`."""
