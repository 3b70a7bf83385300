"""Recorded rows beside imagined ones: phases 2 and 3 of Algorithm 1 (LOGO, AAMAS 2026).

A chunk begins with a collection of imagined rollouts, which goes into a ring; from
there rows are drawn by weight.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from logo_jax.configs.config import ExperimentConfig
from logo_jax.data.dataset import transitions, window_transitions
from logo_jax.imagination.acted import Imagination
from logo_jax.imagination.rows import imagine_rows
from logo_jax.replay import ring as ring_lib
from logo_jax.replay import sampling, windows
from logo_jax.replay.ring import Collection, Ring
from logo_jax.replay.sampling import BlockWeights
from logo_jax.training import mixing, segments
from logo_jax.training.compose import System, batch_shares, imagine_after
from logo_jax.training.shards import relative_mass
from logo_jax.training.sources import Acting, Source, UpdateKeys, recorded
from logo_jax.types import Batch, Dataset, Metrics, Params, Rows, Transition


class _Ready(NamedTuple):
  """The ring, ready to draw from until the next collection."""

  ring: Ring
  blocks: BlockWeights
  mass: jax.Array  # weight of drawn rows; this device's relative to the others'
  runs: windows.Runs | tuple[()]  # rollouts' rows, where windows are learned from
  ready: jax.Array  # bool [], imagined rows are learned from


def make(system: System, config: ExperimentConfig, axis_name: str | None) -> Source:
  """Builds the source of a model-based system with an off-policy learner.

  Args:
    system: its components.
    config: horizon, ring and mixing.
    axis_name: mapped axis over the devices that share a batch, if any.
  """
  mixed = _Mixed(system, config, axis_name)
  return Source(
    mixed.init, mixed.plan_chunk, mixed.real.plan_update, mixed.refresh, mixed.draw
  )


class _Mixed:
  def __init__(self, system: System, config: ExperimentConfig, axis_name: str | None):
    assert system.imagination is not None
    self._imagination: Imagination = system.imagination
    self._learner, self._config, self._axis = system.learner, config, axis_name
    num_real, num_imagined = batch_shares(config)
    by_coin = config.mix == "bernoulli"
    share = config.real_share if by_coin else num_real / (num_real + num_imagined)
    self._real_share = share
    self._window = window = self._learner.window
    self.real = recorded.make(num_real, window, share)
    self._num_imagined = num_imagined // window
    self._num_starts = config.num_starts // config.data_parallel
    self._imagine_after = imagine_after(config)

  def init(self, acting: Acting, starts: Transition, key: jax.Array) -> Ring:
    starts = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct((self._num_starts, *x.shape[1:]), x.dtype), starts
    )
    shapes = jax.eval_shape(self._collect, acting, starts, key)
    return ring_lib.init(shapes, self._config.replay_collections)

  def plan_chunk(self, data: Dataset, key: jax.Array) -> jax.Array:
    window = self._imagination.model.window
    return segments.draw_starts(data.starts, self._num_starts, window, key)

  def _collect(self, acting: Acting, starts: Transition, key: jax.Array) -> Collection:
    horizon, actor = self._config.horizon, self._learner.actor
    return imagine_rows(self._imagination, actor, acting, starts, horizon, key)

  def refresh(
    self,
    ring: Ring,
    acting: Acting,
    rows: Rows,
    index: jax.Array,
    key: jax.Array,
    step: jax.Array,
  ) -> tuple[Ring, _Ready, Metrics]:
    # What policies imagine that have hardly begun to learn is forgotten at once.
    ready = step >= self._imagine_after
    before = step - self._config.collect_interval
    old = ring.content.valid & (before >= self._imagine_after)
    ring = ring._replace(content=ring.content._replace(valid=old))
    ring = ring_lib.write(ring, self._collect(acting, transitions(rows, index), key))
    _, uncertainty, weighting, eventful, _ = self._imagination
    content = ring.content
    u = uncertainty.calibrate(acting.uncertainty, content.score)
    valid = content.valid
    log_weight = jnp.where(valid, weighting.log_weight(u), -jnp.inf)
    blocks = sampling.block_weights(log_weight)
    mass = relative_mass(jax.nn.logsumexp(log_weight), self._axis)
    mass = jnp.where(valid.any(), mass, 0.0)  # no row is there to be drawn
    runs = windows.runs_of(valid) if self._window > 1 else ()
    num = jnp.maximum(valid.sum(), 1)
    events = valid & eventful(content.rows.reward, content.rows.discount)
    # At the floor, P_u = 0; nothing is clipped where all weigh the same.
    clipped = valid & (log_weight <= 0) & (log_weight < log_weight.max())
    metrics = {
      "imagination/uncertainty": jnp.where(valid, u, 0).sum() / num,
      "imagination/effective_sample_size": sampling.effective_sample_size(log_weight),
      "imagination/share_clipped": clipped.sum() / num,
      "imagination/share_eventful": events.sum() / num,
      "imagination/share_eventful_drawn": sampling.share(log_weight, events),
      # Times the devices: metrics are means over them, but each has rows of its own.
      "imagination/rows": num * float(self._config.data_parallel),
    }
    return ring, _Ready(ring, blocks, mass, runs, ready), metrics

  def draw(
    self, source: _Ready, acting: Acting, rows: Rows, index: Any, keys: UpdateKeys
  ) -> tuple[Batch, Metrics]:
    """Real and imagined rows as `config.mix` says."""
    real, _ = self.real.draw((), acting, rows, index, keys)
    imagined = self._imagined(source, acting.uncertainty, keys.imagined)
    if self._config.mix == "bernoulli":
      coin = jax.random.uniform(keys.coin)
      return mixing.by_coin(real, imagined, coin, source.ready), {}
    return mixing.side_by_side(real, imagined, source.ready), {}

  def _imagined(
    self, source: _Ready, uncertainty_params: Params, key: jax.Array
  ) -> Batch:
    """The imagined part, drawn by weight; windows lie around the rows drawn."""
    _, uncertainty, weighting, *_ = self._imagination
    content, weight = source.ring.content, source.mass
    num, length = self._num_imagined, self._window
    if length == 1:
      index = sampling.sample(source.blocks, num, key)
      t = transitions(content.rows, index)
    else:
      assert isinstance(source.runs, windows.Runs)
      k_anchor, k_place = jax.random.split(key)
      anchor = sampling.sample(source.blocks, num, k_anchor)
      place = windows.draw_places(num, length, k_place)
      index = windows.in_runs(source.runs, anchor, place, length)
      t = window_transitions(content.rows, index)
      weight = weight * windows.weights(index)
      index = index[..., :-1]
    u = uncertainty.calibrate(uncertainty_params, content.score[index])
    t = weighting.on_sample(t, u)
    return mixing.batch_of(t, weight, False, self._real_share)
