"""How uncertainty enters learning: files with `Config`, `make(config, statistics)`."""
