from logo_jax.training.session import ClippingAlarm


def test_clipped_targets_are_said_once(capsys):
  alarm = ClippingAlarm()
  for step, share in enumerate((0.05, 0.06, 0.99)):
    alarm({"learner/targets_clipped": share, "learner/q": 1.0}, step)
  alarm({"learner/bc_loss": 1.0}, 3)  # of a learner without values
  said = capsys.readouterr().err.splitlines()
  assert len(said) == 1 and "update 1 6% of the targets" in said[0]
