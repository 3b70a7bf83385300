"""Hyper-parameters of conservative Q-learning, shared by MACQL and CFCQL."""

import dataclasses
from typing import Any, Literal

from logo_jax.checks import ranges
from logo_jax.learners.parts import common


@dataclasses.dataclass(frozen=True)
class Config:
  """Hyper-parameters; "measured" marks values chosen in trials on SMAX 2s3z."""

  hidden_size: int = 256  # units; Table 8
  learning_rate: float = 3e-4  # Adam, of value and policy; Table 8 has 1e-3
  discount: float = 0.99  # gamma, per step
  # alpha of Eq. 10; None: 1. Of discrete actions because at 10 the value is little but
  # the log-density of the behaviour (`learner/q_is_behaviour`; measured); of continuous
  # ones by the published code of CFCQL, medium data: 1 as well, but beside a squared
  # error that is not halved, which is 0.5 here.
  cql_weight: float | None = None
  push_down_on: Literal["batch", "real"] = "real"
  push_up_on: Literal["real", "batch"] = "real"
  bellman_on: Literal["batch", "real"] = "batch"
  # "greedy": no policy network, agents play their best utilities; discrete only.
  policy: Literal["network", "greedy"] = "network"
  exploration: float = 0.1  # share of random actions when a greedy policy imagines
  # Next joint action: the policy's, or each agent's best utility (double Q-learning).
  backup: Literal["policy", "greedy"] = "policy"
  # lambda of Eq. 12; None: 0.1 if actions are discrete, 1 (Table 8) if continuous.
  bc_weight: float | None = None
  bc_on: Literal["real", "batch"] = "real"
  # What imitating planned actions counts for in Eq. 12 where a planner gives them, as
  # a cost like the line above's; 1 in Section 5.2. At 0 no plans are made.
  advice_weight: float = 1.0
  # What the others do while an agent's policy ascends the value: Eq. 12 says what their
  # policies do; the published continuous code of CFCQL takes the recorded actions.
  ascend_with: Literal["policy", "data"] = "policy"
  # Divide Eq. 12's first term by mean |Q|, of each device's share of the batch.
  normalise_q: bool = True
  action_noise: float = 0.2  # deviation of sampled continuous actions; CFCQL's code
  target_noise: float = 0.05  # the same in targets; CFCQL's code
  # Values are in scaled rewards; None: see `parts.common.reward_scale`.
  reward_scale: float | None = None
  clip_target: bool = True  # to the range of returns that the data allow
  td_lambda: float = 0.0  # of TD(lambda) targets along windows; 0: one step
  num_heads: int = 2  # values, of which targets take the least
  target_rate: float = 0.005  # Polyak step
  target_period: int = 1  # updates between such steps
  share_agents: bool = True  # one network for all agents with an agent identity
  recurrent: bool = False  # GRU policies, and utilities where there are; needs a window
  window: int = 1  # consecutive steps per sample
  compute_dtype: Literal["float32", "bfloat16"] = "float32"  # of matrix products


def check(config: Any, action_kind: str) -> Any:
  """The configuration with its None filled in.

  Raises:
    ValueError: a number is out of range, or a choice does not fit the actions.
  """
  if action_kind != "discrete":
    for name in ("policy", "backup"):
      if getattr(config, name) == "greedy":
        raise ValueError(
          f"learner.{name}: 'greedy' needs discrete actions, got {action_kind!r}"
        )
  if config.policy == "greedy" and config.backup != "greedy":
    raise ValueError(
      f"learner.backup: must be 'greedy' with learner.policy='greedy', got "
      f"{config.backup!r}"
    )
  common.check_td_lambda(config)
  config = common.resolve(
    config,
    action_kind,
    cql_weight={"discrete": 1.0, "continuous": 1.0},
    bc_weight={"discrete": 0.1, "continuous": 1.0},
  )
  ranges.check(
    "learner.",
    config,
    cql_weight="[0",
    reward_scale="(0",
    discount="[0,1]",
    exploration="[0,1]",
    bc_weight="[0",
    advice_weight="[0",
    action_noise="(0",
    target_noise="[0",
    td_lambda="[0,1]",
    num_heads="[1",
    target_rate="(0,1]",
    target_period="[1",
  )
  return config
