"""Recorded windows as a model with a memory comes to believe them.

Each step is told by what the window up to there has come to. Windows are drawn anew for
every batch, and so are the beliefs.
"""

from logo_jax.imagination.believed import told
from logo_jax.training.sources import Acting, Source, UpdateKeys
from logo_jax.types import Batch, Beliefs, Metrics, Rows


def make(base: Source, beliefs: Beliefs) -> Source:
  """Builds the source.

  Args:
    base: whose batches are of windows [W, T].
    beliefs: the model's.
  """

  def draw(
    ready: object, acting: Acting, rows: Rows, index: object, keys: UpdateKeys
  ) -> tuple[Batch, Metrics]:
    batch, metrics = base.draw(ready, acting, rows, index, keys)
    t = told(beliefs, acting.model, batch.transition, keys.imagined)
    return batch._replace(transition=t), metrics

  return base._replace(draw=draw)
