"""World models: each file has a `Config` and `make(config, spec, statistics)`."""
