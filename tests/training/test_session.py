from logo_jax.training.session import ClippingAlarm


def test_clipped_targets_are_said_once(capsys):
  alarm = ClippingAlarm(total_updates=40)
  for step, share in ((10, 0.99), (20, 0.05), (30, 0.06), (40, 0.99)):
    alarm({"learner/targets_clipped": share, "learner/q": 1.0}, step)
  alarm({"learner/bc_loss": 1.0}, 40)  # of a learner without values
  said = capsys.readouterr().err.splitlines()
  assert len(said) == 1 and "update 30 6% of the targets" in said[0]
