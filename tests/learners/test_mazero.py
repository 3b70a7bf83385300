"""MAZero: what it learns in games, and what its losses may and may not look at."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.data import dataset
from logo_jax.learners import mazero
from logo_jax.learners.parts import lookahead, unrolled
from logo_jax.types import Observed
from tests import toys
from tests.learners import problems

SMALL = mazero.Config(
  hidden_size=16,
  num_layers=1,
  num_heads=2,
  window=2,
  unroll=1,
  num_samples=6,
  num_simulations=12,
  max_depth=4,
  learning_rate=1e-2,
  target_period=10,
)


def _make(loaded, **fields):
  config = dataclasses.replace(SMALL, **fields)
  return mazero.make(config, problems.context(loaded))


def _learned(loaded, clone, updates, size=64, **fields):
  """The learner, and its states after cloning and after learning from searches."""
  learner = _make(loaded, **fields)
  (prelude,) = learner.preludes
  cloning = learner._replace(update=prelude.update)
  cloned, _ = problems.train(cloning, loaded, clone, size)
  learner = learner._replace(init=lambda key: cloned)
  state, metrics = problems.train(learner, loaded, updates, size)
  return learner, cloned, state, metrics


def test_a_matrix_game_is_solved_where_cloning_is_not_enough():
  game = dataset.load(toys.matrix_game())
  learner, cloned, state, metrics = _learned(game, 60, 100, size=32)
  assert problems.plays(learner, cloned) == (0, 0)
  assert problems.plays(learner, state) == (1, 1)
  # Rewards 1 and 3, times 10: the network's own value stays the data's mean, 12, and
  # what searches prefer gains on it.
  np.testing.assert_allclose(metrics["learner/value_target"].mean(), 12.0, atol=1.0)
  assert metrics["learner/search_gain"][-20:].mean() > 10.0


@pytest.mark.slow
@pytest.mark.parametrize("search", ["tree", "gumbel"])
def test_other_searches_solve_it_as_well(search):
  if search == "gumbel":
    pytest.importorskip("mctx")
  game = dataset.load(toys.matrix_game())
  with jax.debug_key_reuse(search != "gumbel"):  # mctx's own
    learner, _, state, _ = _learned(game, 80, 120, search=search, root_noise=0.25)
  assert problems.plays(learner, state) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("search", ["one_step", "tree"])
def test_wins_the_corridor_in_the_least_number_of_steps(search):
  loaded = toys.load_corridor()
  learner, _, state, _ = _learned(
    loaded, 300, 600, search=search, window=4, unroll=2, learning_rate=3e-3
  )
  assert problems.wins_the_corridor(learner, state) == pytest.approx(1.6)
  searching = _make(loaded, play="search", window=4, unroll=2)
  assert searching.actor.centralised and not learner.actor.centralised
  assert problems.wins_the_corridor(searching, state) == pytest.approx(1.6)


@pytest.mark.slow
def test_continuous_actions_come_nearer_to_the_best_gain():
  # With little noise, of which next to nothing is clipped: else clones are steeper.
  loaded = dataset.load(toys.linear_quadratic(noise=0.2))
  learner, cloned, state, _ = _learned(
    loaded, 300, 600, window=4, unroll=2, discount=0.9, learning_rate=3e-3
  )
  before, after = (problems.lq_gains(learner, s).mean() for s in (cloned, state))
  # The data: 0.5, the best: 0.98; found: 0.58 and 0.65.
  assert before < 0.65 and after > before + 0.04


@pytest.fixture(scope="module")
def windows():
  """Windows of the corridor, some of them cut to fewer steps, and a network."""
  loaded = toys.load_corridor(60)
  learner = _make(loaded, window=4, unroll=2)
  parts = mazero.make_parts(learner.config, problems.context(loaded))
  batch = problems.draw_batch(loaded, 16, jax.random.key(1), 4)
  assert (batch.weight[:, 1] == 0).any() and (batch.weight[:, 2] == 0).any()
  return parts, jax.jit(parts.net.init)(jax.random.key(0)), batch


def _perturbed(params):
  leaves, tree = jax.tree.flatten(params)
  keys = jax.random.split(jax.random.key(5), len(leaves))
  return tree.unflatten(
    [x + 0.1 * jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)]
  )


def test_what_lies_beyond_an_episode_counts_for_nothing(windows):
  parts, params, batch = windows
  params = _perturbed(params)
  t = batch.transition
  drawn = jax.random.uniform(jax.random.key(2), (16, 3, 5))
  found = unrolled.Preferred(jnp.repeat(t.action[:, :3, None], 5, 2), drawn)

  @jax.jit
  def both(batch):
    value = unrolled.values(parts, params, batch)
    return unrolled.loss(parts, params, batch, value, found)

  inside = batch.weight > 0

  def spoil(x):
    mask = inside.reshape(*inside.shape, *[1] * (x.ndim - 2))
    return jnp.where(mask, x, jnp.ones_like(x))

  spoilt = batch._replace(transition=jax.tree.map(spoil, t))
  total, terms = both(batch)
  total_2, terms_2 = both(spoilt)
  np.testing.assert_allclose(total, total_2, rtol=1e-5)
  for name, term in terms.items():
    np.testing.assert_allclose(term, terms_2[name], rtol=1e-5)
    assert term != 0


def test_every_step_halves_the_gradient(windows):
  parts, params, batch = windows
  encoded = jax.nn.one_hot(batch.transition.action[:, :2], 3)
  first = jax.random.normal(jax.random.key(3), (16, 2, 16))

  def last(first, which):
    return parts.net.unroll(params, first, encoded)[:, which].sum()

  # The last layer of a step begins at 0: latents stay what they are.
  np.testing.assert_allclose(jax.grad(last)(first, 0), jnp.ones(first.shape))
  np.testing.assert_allclose(jax.grad(last)(first, 1), jnp.full(first.shape, 0.5))


def test_policies_are_decentralised_and_a_step_is_not(windows):
  parts, params, batch = windows
  net, params = parts.net, _perturbed(params)
  obs = batch.transition.obs[:, 0]
  other = obs.at[:, 1].set(1.0 - obs[:, 1])
  h, h_other = net.encode(params, obs), net.encode(params, other)
  outputs, outputs_other = net.policy(params, h), net.policy(params, h_other)
  np.testing.assert_array_equal(outputs[:, 0], outputs_other[:, 0])
  assert (outputs[:, 1] != outputs_other[:, 1]).any()
  encoded = jax.nn.one_hot(batch.transition.action[:, 0], 3)
  moved = [net.move(params, x, encoded)[:, 0] for x in (h, h_other)]
  assert (moved[0] != moved[1]).any()


@pytest.mark.slow
@pytest.mark.parametrize("search", ["one_step", "tree"])
def test_a_search_plays_what_is_allowed(windows, search):
  parts, params, batch = windows
  config = dataclasses.replace(parts.config, search=search, play="search")
  actor = mazero._actor(parts._replace(config=config))
  assert actor.centralised
  t = jax.tree.map(lambda x: x[:, 0], batch.transition)
  now = Observed(t.obs, t.state, t.legal)
  act = jax.jit(actor.act, static_argnames="greedy")
  for greedy in (False, True):
    _, action = act(params, (), now, jax.random.key(0), greedy=greedy)
    assert action.shape == t.action.shape and action.dtype == t.action.dtype
    assert np.take_along_axis(np.asarray(t.legal), action[..., None], -1).all()


def test_noise_at_roots_stays_within_what_is_allowed():
  logits, legal = jnp.zeros((2, 4)), jnp.array([[True] * 4, [True, True, False, False]])
  noised = lookahead._noised(logits, legal, 0.25, jax.random.key(0))
  share = jnp.exp(noised) - 1e-4
  np.testing.assert_allclose(share.sum(-1), 1.0, rtol=1e-3)
  np.testing.assert_allclose(share[1, 2:], 0.0, atol=1e-6)
  assert (share[1, :2] > 0.75 * 0.5 - 1e-6).all()


def test_what_values_can_say_follows_from_the_returns():
  loaded = dataset.load(toys.matrix_game())  # returns up to 3, which are scaled to 30
  assert mazero.make_parts(SMALL, problems.context(loaded)).config.support == 5
  # sqrt(900 + 1) - 1 + 0.9 = 29.9.
  large = dataclasses.replace(SMALL, reward_scale=300.0)
  assert mazero.make_parts(large, problems.context(loaded)).config.support == 30


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"window": 1}, "window: must be at least 2 with learner.unroll=1, got 1"),
    ({"num_samples": 20}, "num_simulations: must be at least 20 with learner.num_s"),
    ({"num_heads": 3}, r"num_heads: must divide learner.hidden_size \(16\), got 3"),
    ({"os_lambda": 1.5}, "os_lambda: must be above 0 and at most 1, got 1.5"),
    ({"rho": -0.5}, "rho: must be at least 0 and at most 1, got -0.5"),
  ],
)
def test_numbers_that_do_not_fit_are_refused(fields, message):
  with pytest.raises(ValueError, match=message):
    _make(toys.load_corridor(10), **fields)
