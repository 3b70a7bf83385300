"""What is said of a dataset when it is opened."""

import numpy as np
import pytest

from logo_jax.data import remarks
from logo_jax.types import EnvSpec, Rows
from tests import toys


def _stored(lengths, ended, **card):
  start = np.concatenate([[0], np.cumsum(np.array(lengths) + 1)])
  num = start[-1]
  discount = np.ones(num, np.float32)
  discount[start[1:] - 2] = 1 - np.array(ended, np.float32)
  rows = Rows(
    obs=np.zeros((num, 1, 1), np.float32),
    state=np.zeros((num, 1), np.float32),
    legal=np.ones((num, 1, 2), bool),
    action=np.zeros((num, 1), np.int32),
    reward=np.zeros(num, np.float32),
    discount=discount,
  )
  spec = EnvSpec("toy/x", 1, 1, 1, "discrete", 2, 9)
  stored = toys.stored(spec, rows, start)
  return stored._replace(card=stored.card | {"source": {}} | card)


@pytest.mark.parametrize(
  ("lengths", "ended", "said"),
  [
    ([4, 2, 5, 5, 5, 5], [1, 1, 1, 1, 1, 0], True),  # as some files call their limit
    ([4, 2, 5, 5, 5, 5], [1, 1, 0, 0, 0, 1], False),  # most are cut
    ([4, 2, 3, 4, 5, 6], [1] * 6, False),  # ends by themselves
    ([1, 1, 1, 1, 1, 1], [1] * 6, False),  # games of one step
  ],
)
def test_a_time_limit_that_is_called_an_end(lengths, ended, said):
  found = remarks.remarks(_stored(lengths, ended))
  assert bool(found) == said
  if said:
    assert found[0].startswith("3 of 6 episodes have 5 steps, the most there are, and")
    assert found[0].endswith("if 5 is the time limit, set data.time_limit to it")
  own = _stored(lengths, ended)
  del own.card["source"]  # our own data know what ended
  assert remarks.remarks(own) == []


def test_alterations_and_copies_are_one_line_each():
  done = {"actions_clipped": 0.5, "rewards_summed": 0.25, "steps_dropped": 3}
  card = {"altered": done, "identical_episodes": 0.5}
  assert remarks.remarks(_stored([2, 3], [1, 1], **card)) == [
    "reading altered the data: 50.00% of the action values clipped to [-1, 1]; agents' "
    "rewards, which differ in 25.00% of the steps, summed; 3 steps left out",
    "1 of 2 episodes repeat an earlier one; copies stay in one split",
  ]
