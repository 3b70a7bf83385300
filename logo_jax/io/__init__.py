"""Files, checkpoints, and what a run says and logs."""
