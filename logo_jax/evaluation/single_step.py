"""What a world model says of the step after a recorded one: rewards, ends, actions."""

from typing import Any, NamedTuple

import numpy as np

from logo_jax.data.dataset import LoadedDataset
from logo_jax.evaluation import open_loop
from logo_jax.evaluation.open_loop import Windows
from logo_jax.types import Metrics, Params, Prediction, Rows, Transition, WorldModel

MAX_STEPS = 16_384  # evenly spaced, at the end of a run; a study takes all


class SingleSteps(NamedTuple):
  """What a model says of what follows recorded steps; axes seeds S and windows W."""

  reward: np.ndarray  # [S, W]
  true_reward: np.ndarray  # [W]
  said_ended: np.ndarray  # bool [S, W]
  ended: np.ndarray  # bool [W]
  legal_right: np.ndarray  # bool [S, W, N, A]
  contingent: np.ndarray  # bool [W, N, A], see `contingent_actions`


def predict(
  model: WorldModel, params: Params, loaded: LoadedDataset, windows: Windows
) -> SingleSteps:
  """Predicts one step from all windows.

  Args:
    model: the world model.
    params: with a leading axis of seeds.
    loaded: the dataset.
    windows: from `open_loop.take_windows`.
  """

  def look(t: Transition, p: Prediction, true: Transition) -> dict[str, Any]:
    return {
      "reward": p.reward,
      "true_reward": true.reward,
      "said_ended": p.discount < 0.5,
      "ended": true.discount == 0,
      "legal_right": p.legal == true.next_legal,
      "contingent": true.next_legal,
    }

  def one_seed(params: Params, rows: Rows, windows: Windows) -> Metrics:
    return open_loop.imagine(model, params, rows, windows, 1, look)

  memory = model.window
  found = open_loop.in_chunks(one_seed, params, loaded, windows, memory=memory)
  found = {name: x[:, 0] for name, x in found.items()}
  for name in ("true_reward", "ended", "contingent"):
    found[name] = found[name][0]  # the same for all seeds
  found["contingent"] = contingent_actions(found["contingent"])
  return SingleSteps(**found)


def contingent_actions(legal: np.ndarray) -> np.ndarray:
  """Which entries of masks of legal actions say something.

  An agent's action is contingent where it is allowed at some times and forbidden at
  others, though the agent may do something: attacks whose target may be out of range.
  What is always allowed does not count, nor do masks that leave an agent no choice (of
  the dead, in battles).

  Args:
    legal: bool [W, N, A].

  Returns:
    bool [W, N, A].
  """
  choice = legal.sum(-1, keepdims=True) > 1
  sometimes, always = (legal & choice).any(0), (legal | ~choice).all(0)
  return choice & sometimes & ~always
