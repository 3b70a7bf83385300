"""Plans beside recorded rows: what learners are told, and what they make of it."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs import presets
from logo_jax.configs.config import ExperimentConfig
from logo_jax.configs.registry import Component, component
from logo_jax.data.dataset import load
from logo_jax.evaluation.rollout import play
from logo_jax.planning import mpc
from logo_jax.training import compose, mixing, plans
from logo_jax.training.compose import System
from logo_jax.training.sources import UpdateKeys, keep_nothing, planned
from logo_jax.training.step import make_train
from logo_jax.types import (
  EnvSpec,
  Learner,
  Observed,
  Planner,
  Prediction,
  Rows,
  WorldModel,
)
from tests import toys
from tests.learners import problems
from tests.training import systems

PLANNER = mpc.Config()
START, GOOD, BAD = jnp.eye(3)


def _fork_data(num: int = 1_000) -> toys.StoredDataset:
  """Two steps of two agents: what pays at once leads away from what pays more.

  At the start (0, 0) pays 0.5 and (1, 1) nothing, but only (1, 1) leads to where the
  second step pays 2, whatever is done there. In the data (0, 0) is played in 85% of
  cases, (1, 1) in 5%.
  """
  rng = np.random.default_rng(0)
  joint = rng.choice(4, size=num, p=[0.85, 0.05, 0.05, 0.05])
  first = np.stack([joint // 2, joint % 2], -1)
  places = np.where((joint == 3)[:, None], GOOD, BAD)
  final = np.zeros((num, 3))
  state = np.stack([np.broadcast_to(START, (num, 3)), places, final], 1)
  second = rng.integers(2, size=(num, 2))
  reward = np.stack([0.5 * (joint == 0), 2.0 * (joint == 3), np.zeros(num)], 1)
  rows = Rows(
    obs=np.repeat(state[:, :, None], 2, 2),
    state=state,
    legal=np.ones((num, 3, 2, 2), bool),
    action=np.stack([first, second, np.zeros((num, 2))], 1).astype(np.int32),
    reward=reward,
    discount=np.broadcast_to([1.0, 0.0, 1.0], (num, 3)),
  )
  rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows)
  rows = jax.tree.map(
    lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, rows
  )
  spec = EnvSpec("toy/fork", 2, 3, 3, "discrete", 2, 2)
  return toys.stored(spec, rows, np.arange(0, 3 * num + 1, 3))


def _fork() -> WorldModel:
  """What the data were made by."""

  def step(params, state, action, key):
    both = (action == 1).all(-1)
    begins = (state == START).all(-1)
    after = jnp.where(both[:, None], GOOD, BAD) * begins[:, None]
    now = jnp.where(begins, 0.5 * (action == 0).all(-1), 2.0 * (state == GOOD).all(-1))
    return after, _seen(after, now, begins.astype(jnp.float32), 2)

  return WorldModel(1, 1, None, None, None, _state, step, None)  # type: ignore


def _push() -> WorldModel:
  """The linear-quadratic task."""

  def step(params, x, action, key):
    cost = toys.LQ_COST * (action**2).sum((1, 2))
    after = x + toys.LQ_PUSH * action.sum(1)
    return after, _seen(after, -(x[:, 0] ** 2) - cost, jnp.ones(len(x)), 1)

  return WorldModel(1, 1, None, None, None, _state, step, None)  # type: ignore


def _state(params, t, key):
  return t.state


def _seen(state, reward, discount, num_actions) -> Prediction:
  num = len(state)
  obs = jnp.repeat(state[:, None], 2, 1)
  nothing = jnp.zeros((num, 1, 1, 1))
  legal = jnp.ones((num, 2, num_actions), bool)
  return Prediction(obs, state, reward, discount, legal, nothing, nothing)


def _config(
  weight: float, planner=PLANNER, actor: Any = "policy", **learner: Any
) -> ExperimentConfig:
  fields = {"hidden_size": 16, "num_samples": 2, "advice_weight": weight} | learner
  return ExperimentConfig(
    "logo_mpc",
    component("learner", "macql", **fields),
    planner=Component("mpc", planner),
    actor=actor,
    collect_interval=50,
    batch_size=32,
    real_share=1.0,
  )


def _system(config, model, loaded) -> System:
  """With an exact model."""
  plain = dataclasses.replace(config, planner=None, actor="policy")
  system = compose.compose(plain, loaded.spec, loaded.statistics)
  imagination = systems.trusting(model)
  planner = plans.make_planner(config, imagination, system.learner)
  return system._replace(imagination=imagination, planner=planner)


def _trained(config, model, loaded, chunks=2) -> tuple[Learner, Any, dict]:
  system = _system(config, model, loaded)
  train = make_train(system, config)
  state = jax.jit(train.init)(jax.random.key(3), (), loaded.data)
  chunk = jax.jit(train.chunk, donate_argnums=0)
  for _ in range(chunks):
    state, metrics = chunk(state, loaded.data)
  return system.learner, *jax.device_get((state.learner, metrics))


@pytest.fixture(scope="module")
def lq():
  return load(toys.linear_quadratic())


@pytest.fixture(scope="module")
def fork():
  return load(_fork_data())


# Held to the data: what most do.
HELD = {"bc_weight": 0.3, "cql_weight": 1.0, "learning_rate": 3e-3}
TRIES = mpc.Config(num_candidates=32, horizon=2)


def _plays(learner: Learner, state) -> list[int]:
  at_start = jnp.broadcast_to(START, (2, 3))
  return problems.greedy(learner, state, at_start, jnp.ones((2, 2), bool)).tolist()


def _equal(a, b) -> bool:
  return all(jax.tree.leaves(jax.tree.map(lambda x, y: (x == y).all(), a, b)))


def test_policies_move_to_what_the_model_knows_to_be_better(fork):
  """Alone MACQL does what most do; advice of no weight is MACQL, bit for bit."""
  learner, state, metrics = _trained(_config(2.0, TRIES, **HELD), _fork(), fork)
  assert _plays(learner, state) == [1, 1]
  assert metrics["learner/advice_loss"] > 0 and metrics["plan/gain"] >= 0
  assert all(np.isfinite(x) for x in metrics.values())
  learner, state, metrics = _trained(_config(0.0, TRIES, **HELD), _fork(), fork)
  assert _plays(learner, state) == [0, 0]
  assert not any("advice" in name or "plan" in name for name in metrics)
  plain = dataclasses.replace(_config(0.0, **HELD), planner=None)
  assert _equal(_trained(plain, _fork(), fork)[1], state)


@pytest.mark.parametrize(("share", "rows"), [(1.0, 4), (0.4, 2), (0.01, 1)])
def test_advice_is_on_the_first_rows_of_windows(share, rows):
  """Windows of 3 steps; the plan is what an agent sees, times the state."""
  obs = jnp.arange(24.0).reshape(4, 3, 2, 1)
  state = jnp.arange(12.0).reshape(4, 3, 1)
  seen = Observed(obs, state, jnp.ones((4, 3, 2, 1), bool))
  batch = mixing.batch_of(seen.standing(obs), 1.0, True, 1.0)
  base = keep_nothing(lambda *args: (), lambda *args: (batch, {"base": 1}))

  def plan(params, now, key):
    assert now.obs.shape == (3 * rows, 2, 1)
    return now.obs * now.state[:, None], {"plan/made": 2}

  source = planned.make(base, Planner(plan, None, share))  # type: ignore
  keys = UpdateKeys(*jax.random.split(jax.random.key(0), 4))
  got, metrics = source.draw((), None, None, (), keys)  # type: ignore
  expected = obs * state[..., None]
  np.testing.assert_array_equal(got.advice, expected[:rows])
  assert metrics == {"base": 1, "plan/made": 2}
  assert got.transition is batch.transition


@pytest.mark.slow
def test_gains_move_to_what_the_model_knows_to_be_better(lq):
  """The data's gain is 0.5, the best is 0.98; MACQL alone imitates too much."""
  held = {"bc_weight": 3.0, "discount": toys.LQ_DISCOUNT, "learning_rate": 3e-3}
  alone, advised = (
    problems.lq_gains(*trained[:2])
    for trained in (_trained(_config(w, **held), _push(), lq, 10) for w in (0.0, 10.0))
  )
  assert alone.mean() < 0.75
  problems.assert_gains(advised, toys.lq_gain())


def test_who_plans_at_play_wins_with_untrained_policies():
  """It tries nearly all that can be done, and every step to the right pays at once."""
  loaded = systems.load()
  planner = mpc.Config(num_candidates=40, horizon=1, terminal_value=False)
  config = _config(0.0, planner, actor="planner")
  system = _system(config, systems.simulator(), loaded)
  init = jax.jit(make_train(system, config).init)
  state = init(jax.random.key(0), (), loaded.data)
  actor, params = plans.actor_of(config, system), plans.params_of(config, state)
  played = jax.jit(lambda key: play(toys.corridor(), actor, params, 4, key))
  result = played(jax.random.key(1))
  assert result.won.all() and (result.length <= 5).all()
  assert plans.who(config, system) == {"actor": "planner", "centralised": True}
  alone = dataclasses.replace(config, actor="policy")
  assert plans.actor_of(alone, system) is system.learner.actor
  assert plans.params_of(alone, state) is state.learner.params
  assert plans.who(alone, system) == {"actor": "policy", "centralised": False}


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"planner": None, "actor": "planner"}, "actor: 'planner' needs a planner, one of"),
    (
      {"model": None, "uncertainty": None, "weighting": None},
      "planner.name: 'mpc' needs a model, but model is None",
    ),
    (
      {"learner": component("learner", "omar")},
      "planner.name: 'mpc' is of no use: learner.name 'omar' as configured takes no ad",
    ),
    (
      {"learner": component("learner", "bc"), "actor": "planner"},
      "planner.terminal_value: must be False with a learner without a value",
    ),
    (
      {"learner": component("learner", "macql", recurrent=True, window=2)},
      "learner.recurrent: must be False with planner.name='mpc'",
    ),
    (
      {"planner": component("planner", "mpc", share=0.5), "real_share": 0.5},
      "planner.share: must be 1 where real_share is below 1 .0.5.",
    ),
    (
      {"learner": component("learner", "macql", advice_weight=-1.0)},
      "learner.advice_weight: must be 0 or more, got -1.0",
    ),
  ],
)
def test_misfits_are_refused_by_name(changes, message):
  config = dataclasses.replace(presets.get("logo_mpc"), **changes)
  with pytest.raises(ValueError, match=message):
    compose.check_components(config, toys.corridor().spec)
