"""Looking ahead with a model before acting, or before learning to."""
