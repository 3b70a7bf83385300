"""How uncertainty enters learning: each file has a `Config` and `make(config)`."""
