"""What a run keeps of its dataset, so that its policies can be played without the data.

A dict that JSON can hold: the card, and the statistics that networks were built with.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from logo_jax.data import store
from logo_jax.data.dataset import LoadedDataset
from logo_jax.ops.standardise import Moments
from logo_jax.types import EnvSpec, Statistics


class Carried(NamedTuple):
  """A dataset without its rows."""

  spec: EnvSpec
  card: dict[str, Any]
  statistics: Statistics
  learner_statistics: Statistics  # other ones where the learner comes from another run


def of(loaded: LoadedDataset, learner: Statistics | None = None) -> dict[str, Any]:
  """What is to be kept of a dataset.

  Args:
    loaded: the dataset.
    learner: what the learner was built with, if that is not the dataset's.
  """
  kept = {"card": loaded.card, "statistics": _plain_fields(loaded.statistics)}
  if learner is not None:
    kept["learner_statistics"] = _plain_fields(learner)
  return kept


def read(values: Any, where: str) -> Carried:
  """The inverse of `of`, float for float.

  Args:
    values: what `of` gave, as JSON has kept it.
    where: what to call it in an error.

  Raises:
    ValueError: something is missing, or of another kind.
  """
  try:
    card = dict(values["card"])
    statistics = learner = _restored_fields(values["statistics"])
    if "learner_statistics" in values:
      learner = _restored_fields(values["learner_statistics"])
  except (TypeError, KeyError, ValueError) as error:
    raise ValueError(f"{where} is damaged: {error}") from None
  return Carried(store.spec_of(card, where), card, statistics, learner)


def check_same(known: Carried, card: dict[str, Any], run_dir: str) -> None:
  """Says why data that were made anew are not those that a run was trained on.

  Args:
    known: what the run has kept.
    card: of the data at hand; if nobody asked for the same, nothing is said here.
    run_dir: the run's folder.

  Raises:
    ValueError: the same was asked for, and something else came.
  """
  asked = known.card.get("request_hash")
  same = known.card.get("content_hash") == card["content_hash"]
  if not same and asked is not None and asked == card.get("request_hash"):
    raise ValueError(
      f"dataset: {card['name']} was asked for as it was for {run_dir}, but this "
      "machine has computed other bytes, with which the run cannot go on bit for bit; "
      "evaluate.py plays it without data, or choose another folder"
    )


def _plain_fields(statistics: Statistics) -> dict[str, Any]:
  return {k: _plain(v) for k, v in statistics._asdict().items()}


def _restored_fields(fields: Any) -> Statistics:
  return Statistics(**{k: _restored(v) for k, v in dict(fields).items()})


def _plain(value: Any) -> Any:
  if isinstance(value, Moments):
    return {name: np.asarray(x).tolist() for name, x in value._asdict().items()}
  return value


def _restored(value: Any) -> Any:
  if isinstance(value, Mapping):
    arrays = {name: np.asarray(x) for name, x in value.items()}
    # As they were: in float32, bools apart.
    return Moments(
      **{
        name: jnp.asarray(x if x.dtype == bool else x.astype(np.float32))
        for name, x in arrays.items()
      }
    )
  return tuple(value) if isinstance(value, list) else value
