"""Batches of another source, with planned joint actions as advice (Section 5.2, LOGO).

The plan is made anew for every batch, with the learner as it then is. Learners so need
to know nothing of models. Rows are drawn anew as well, so that advice on the first of
them alone differs from advice on all in its noise, and in its cost.
"""

import jax

from logo_jax.training.sources import Acting, Source, UpdateKeys
from logo_jax.types import Batch, Metrics, Observed, Planner, Rows


def make(base: Source, planner: Planner) -> Source:
  """Builds the source.

  Args:
    base: whose batches are of transitions.
    planner: gives the advice, on its share of the rows.
  """

  def draw(
    ready: object, acting: Acting, rows: Rows, index: object, keys: UpdateKeys
  ) -> tuple[Batch, Metrics]:
    k_imagined, k_plan = jax.random.split(keys.imagined)
    keys = keys._replace(imagined=k_imagined)
    batch, metrics = base.draw(ready, acting, rows, index, keys)
    t = batch.transition
    # [B], or [W, T] of windows
    shape = max(1, round(planner.share * len(t.reward))), *t.reward.shape[1:]

    def flat(x: jax.Array) -> jax.Array:
      return x[: shape[0]].reshape(-1, *x.shape[len(shape) :])

    now = jax.tree.map(flat, Observed(t.obs, t.state, t.legal, t.time))
    action, planned = planner.plan(acting, now, k_plan)
    advice = action.reshape(*shape, *action.shape[1:])
    return batch._replace(advice=advice), metrics | planned

  return base._replace(draw=draw)
