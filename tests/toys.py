"""Tiny problems with known optima, and datasets of random play on them."""

import jax
import jax.numpy as jnp
import numpy as np

from logo_jax.data import dataset
from logo_jax.data.store import StoredDataset
from logo_jax.types import Environment, EnvSpec, HostEnvironment, Rows, TimeStep

CELLS, MAX_STEPS = 4, 8


def long(function):
  """Compiled for hundreds of steps, better than what tests run once (`conftest.py`)."""
  return jax.jit(function, compiler_options={"xla_backend_optimization_level": 1})


def corridor() -> Environment:
  """Two agents on a line of four cells; both at the right end is a win.

  Actions: left, stay, right; moving off the line is illegal. An agent sees its own cell
  and whether the other one has arrived. The team earns 0.1 for each step to the right,
  loses as much for one to the left, and earns 1 for the win, which ends the episode; so
  does the limit of 8 steps, without termination. The best return is 1.6, in 3 steps.
  """
  spec = EnvSpec("toy/corridor", 2, CELLS + 1, 2 * CELLS, "discrete", 3, MAX_STEPS)

  def show(cells, step, reward) -> TimeStep:
    one_hot = jax.nn.one_hot(cells, CELLS)
    arrived = cells == CELLS - 1
    won = arrived.all()
    obs = jnp.concatenate([one_hot, arrived[::-1, None].astype(jnp.float32)], -1)
    legal = jnp.stack([cells > 0, jnp.ones(2, bool), ~arrived], -1)
    last = won | (step >= MAX_STEPS)
    return TimeStep(obs, one_hot.ravel(), legal, reward + won, 1.0 - won, last, won)

  def reset(key):
    del key
    cells = jnp.zeros(2, jnp.int32)
    state = (cells, jnp.int32(0))
    return state, show(cells, state[1], jnp.float32(0.0))

  def step(state, action, key):
    del key
    cells, count = state
    moved = jnp.clip(cells + action - 1, 0, CELLS - 1)
    reward = 0.1 * (moved - cells).sum()
    state = (moved, count + 1)
    return state, show(moved, count + 1, reward.astype(jnp.float32))

  return Environment(spec, reset, step)


def random_play(env: Environment, num_episodes: int, seed: int = 0) -> StoredDataset:
  """Episodes of uniform legal actions, as rows."""

  def episode(key):
    def step(carry, count):
      state, now = carry
      k_act, k_env = jax.random.split(jax.random.fold_in(k_steps, count))
      action = jax.random.categorical(k_act, jnp.where(now.legal, 0.0, -1e9))
      state, after = env.step(state, action, k_env)
      return (state, after), (now, action.astype(jnp.int32), after)

    k_reset, k_steps = jax.random.split(key)
    start = env.reset(k_reset)
    return jax.lax.scan(step, start, jnp.arange(env.spec.max_steps))[1]

  keys = jax.random.split(jax.random.key(seed), num_episodes)
  now, action, after = jax.device_get(jax.jit(jax.vmap(episode))(keys))
  rows, starts = [], [0]
  for e in range(num_episodes):
    length = int(np.argmax(after.last[e])) + 1

    def join(x, y, end=length, index=e):
      return np.concatenate([x[index, :end], y[index, end - 1 : end]])

    rows.append(
      Rows(
        obs=join(now.obs, after.obs),
        state=join(now.state, after.state),
        legal=join(now.legal, after.legal),
        action=join(action, np.zeros_like(action)),
        reward=join(after.reward, np.zeros_like(after.reward)),
        discount=join(after.discount, np.ones_like(after.discount)),
      )
    )
    starts.append(starts[-1] + length + 1)
  joined = jax.tree.map(lambda *x: np.concatenate(x), *rows)
  return stored(env.spec, joined, np.array(starts, np.int64))


def matrix_game(num: int = 2_000, seed: int = 0) -> StoredDataset:
  """One-step episodes of a 2-agent game: what most do is not what is best.

  Joint actions (0, 0): 60% of the data, reward 1; (1, 1): 20%, reward 3; (0, 1) and
  (1, 0): 10% each, reward 0. Imitation plays (0, 0); the best is (1, 1). The state is
  a coin that means nothing.
  """
  payoff = np.array([1.0, 0.0, 0.0, 3.0])
  return _one_step_game("toy/matrix", [0.6, 0.1, 0.1, 0.2], payoff, num, seed)


def _one_step_game(name, shares, payoff, num: int, seed: int) -> StoredDataset:
  """Shares and payoffs of the joint actions (0, 0), (0, 1), (1, 0) and (1, 1)."""
  spec = EnvSpec(name, 2, 1, 1, "discrete", 2, 1)
  rng = np.random.default_rng(seed)
  joint = rng.choice(4, size=num, p=shares)
  is_start = np.arange(2 * num) % 2 == 0
  chosen = np.repeat(joint, 2)
  coin = rng.choice([-1.0, 1.0], size=(2 * num, 1)).astype(np.float32)
  action = np.stack([chosen // 2, chosen % 2], -1) * is_start[:, None]
  rows = Rows(
    obs=np.repeat(coin[:, None], 2, 1),
    state=coin,
    legal=np.ones((2 * num, 2, 2), bool),
    action=action.astype(np.int32),
    reward=np.where(is_start, payoff[chosen], 0.0).astype(np.float32),
    discount=np.where(is_start, 0.0, 1.0).astype(np.float32),
  )
  return stored(spec, rows, np.arange(0, 2 * num + 1, 2))


def stored(spec: EnvSpec, rows: Rows, episode_start: np.ndarray) -> StoredDataset:
  """A dataset as `data.store.read` would return it."""
  card = {"spec": spec.stored(), "content_hash": "toy"}
  return StoredDataset(rows, episode_start, card)


def load_corridor(num_episodes: int = 400, seed: int = 0) -> dataset.LoadedDataset:
  return dataset.load(random_play(corridor(), num_episodes, seed))


def targets() -> HostEnvironment:
  """On the host: two agents are to do a fortieth of what they see, 4 times.

  A step pays 1 less the mean distance, so that 4 is the best return. The deviations of
  observations are far from 1, to be learned from standardised ones.
  """
  spec = EnvSpec("toy/targets", 2, 1, 2, "continuous", 1, 4)
  scale = 40.0

  def show(state, reward):
    time, target, _ = state
    return TimeStep(
      obs=scale * target[..., None].astype(np.float32),
      state=scale * target.astype(np.float32),
      legal=np.ones((len(time), 2, 1), bool),
      reward=reward.astype(np.float32),
      discount=np.ones(len(time), np.float32),
      last=time >= 4,
      won=np.zeros(len(time), bool),
    )

  def reset(rng, num):
    targets = rng.uniform(-0.8, 0.8, (num, 5, 2))
    state = np.zeros(num, int), targets[:, 0], targets
    return state, show(state, np.zeros(num))

  def step(state, action):
    time, target, targets = state
    reward = 1 - np.abs(action[..., 0] - target).mean(-1)
    state = time + 1, targets[np.arange(len(time)), (time + 1) % 5], targets
    return state, show(state, reward)

  return HostEnvironment(spec, reset, step)


def confounded_game(num: int = 2_000, seed: int = 0) -> StoredDataset:
  """One-step episodes of a 2-agent game whose data miscoordinate.

  The team earns the first agent's action plus three times the second's, each 0 or 1, so
  that (1, 1) is best and earns 4. In the data exactly one of them acts in 90% of cases
  (45% each), (1, 1) and (0, 0) make up 5% each. What an agent earns on average by its
  own action misleads: the first agent's 1 earns 1.3 and its 0 earns 2.7.
  """
  payoff = np.array([0.0, 3.0, 1.0, 4.0])
  return _one_step_game("toy/confounded", [0.05, 0.45, 0.45, 0.05], payoff, num, seed)


def cut_short(num: int = 80, length: int = 25, seed: int = 0) -> StoredDataset:
  """What goes on for ever, recorded in short pieces that end by time alone.

  Two agents have three actions that bring 1, 2 and 3; the team earns the mean. In the
  data they play at random. The state is a coin that means nothing.
  """
  spec = EnvSpec("toy/cut_short", 2, 1, 1, "discrete", 3, length)
  rng = np.random.default_rng(seed)
  size = num * (length + 1)
  last = np.arange(size) % (length + 1) == length
  action = rng.integers(3, size=(size, 2)) * ~last[:, None]
  coin = rng.choice([-1.0, 1.0], size=(size, 1)).astype(np.float32)
  rows = Rows(
    obs=np.repeat(coin[:, None], 2, 1),
    state=coin,
    legal=np.ones((size, 2, 3), bool),
    action=action.astype(np.int32),
    reward=((1 + action.mean(-1)) * ~last).astype(np.float32),
    discount=np.ones(size, np.float32),
  )
  return stored(spec, rows, np.arange(0, size + 1, length + 1))


LQ_PUSH, LQ_COST, LQ_DISCOUNT = 0.4, 0.1, 0.9


def linear_quadratic(
  num: int = 400, seed: int = 0, noise: float = 0.5
) -> StoredDataset:
  """Two agents push a number towards 0: x' = x + 0.4 (a1 + a2).

  A step pays -(x^2 + 0.1 (a1^2 + a2^2)); episodes of 8 steps end by time alone. The
  data do half of what is right, a = -0.5 x, with much noise; what it takes beyond -1 or
  1 is clipped. At a discount of 0.9 the best policy is a = -0.977 x for both
  (`lq_gain`).
  """
  spec = EnvSpec("toy/lq", 2, 1, 1, "continuous", 1, 8)
  rng = np.random.default_rng(seed)
  x = rng.uniform(-1, 1, (num, 1)).astype(np.float32)
  steps = []
  for step in range(9):
    added = noise * rng.standard_normal((num, 2))
    action = np.clip(added - 0.5 * x, -1, 1).astype(np.float32) * (step < 8)
    reward = -(x[:, 0] ** 2 + LQ_COST * (action**2).sum(-1)) * (step < 8)
    steps.append(
      Rows(
        obs=np.repeat(x[:, None], 2, 1),
        state=x,
        legal=np.ones((num, 2, 1), bool),
        action=action[..., None],
        reward=reward,
        discount=np.ones(num, np.float32),
      )
    )
    x = x + LQ_PUSH * action.sum(-1, keepdims=True)
  rows = jax.tree.map(lambda *y: np.stack(y, 1).reshape(-1, *y[0].shape[1:]), *steps)
  return stored(spec, rows, np.arange(0, 9 * num + 1, 9))


def lq_gain() -> float:
  """k of the best policy a = -k x, from the discounted Riccati equation.

  With u = a1 + a2 and equal shares the cost of u is LQ_COST / 2 u^2, hence
  P = 1 + g P - (g b P)^2 / (c/2 + g b^2 P) and k = g b P / (c/2 + g b^2 P) / 2.
  """
  g, b, c, p = LQ_DISCOUNT, LQ_PUSH, LQ_COST / 2, 1.0
  for _ in range(100):
    p = 1 + g * p - (g * b * p) ** 2 / (c + g * b**2 * p)
  return g * b * p / (c + g * b**2 * p) / 2


def delayed(num: int = 200, length: int = 8, seed: int = 0) -> StoredDataset:
  """Agents see what they did two steps ago, and are paid for it.

  Two agents act 0 or 1 at random. At step t they observe 2 a - 1 of their own action a
  at t - 2, at first 0; the step to there has paid the mean of both. What comes next is
  no function of what is seen and done now, and one of what was done before.
  """
  spec = EnvSpec("toy/delayed", 2, 1, 2, "discrete", 2, length)
  rng = np.random.default_rng(seed)
  action = rng.integers(2, size=(num, length, 2))
  seen = np.zeros((num, length + 1, 2))
  seen[:, 2:] = 2 * action[:, :-1] - 1
  last = np.arange(length + 1) == length
  reward = np.pad(seen[:, 1:].mean(-1), ((0, 0), (0, 1)))
  rows = Rows(
    obs=seen[..., None].astype(np.float32),
    state=seen.astype(np.float32),
    legal=np.ones((num, length + 1, 2, 2), bool),
    action=np.pad(action, ((0, 0), (0, 1), (0, 0))).astype(np.int32),
    reward=reward.astype(np.float32),
    discount=np.broadcast_to(np.ones_like(last, np.float32), (num, length + 1)),
  )
  rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows)
  return stored(spec, rows, np.arange(0, num * (length + 1) + 1, length + 1))


def relay() -> Environment:
  """Two agents see a bit each, and are then to say the other one's.

  At the first step an agent sees its own bit, -1 or 1, and a number that means nothing,
  by which episodes differ; at the second one nothing. The second action pays the share
  of agents that say the other's bit, and ends the episode. Without a memory, or without
  messages, 0.5 is the best return; with both it is 1.
  """
  spec = EnvSpec("toy/relay", 2, 3, 2, "discrete", 2, 2)

  def show(bits, noise, count, reward) -> TimeStep:
    seen = (count == 0) * (2.0 * bits - 1)
    obs = jnp.stack([seen, jnp.full(2, 1.0 * count), noise], -1)
    last, legal = count >= 2, jnp.ones((2, 2), bool)
    return TimeStep(obs, seen, legal, reward, 1.0 - last, last, jnp.bool_(False))

  def reset(key):
    k_bits, k_noise = jax.random.split(key)
    bits = jax.random.bernoulli(k_bits, shape=(2,)).astype(jnp.int32)
    noise = jax.random.uniform(k_noise, (2,))
    return (bits, jnp.int32(0)), show(bits, noise, jnp.int32(0), jnp.float32(0))

  def step(state, action, key):
    del key
    bits, count = state
    said = jnp.where(count == 1, (action == bits[::-1]).mean(), 0.0)
    return (bits, count + 1), show(bits, jnp.zeros(2), count + 1, said)

  return Environment(spec, reset, step)
