"""World models that read entities, on a battle where all but the start is certain."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.configs.config import FitConfig
from logo_jax.data.dataset import transitions
from logo_jax.ops.standardise import standardise
from logo_jax.training.fit_model import make_fit
from logo_jax.world_models import direct, ensemble, logo
from tests import skirmish, toys

# LOGO in its preset's reading.
LOGO = logo.Config(
  network="entity", hidden_size=32, auxiliary_share=0.5, encode_weight=0.0
)
CONFIGS = {
  "logo": (logo, LOGO),
  "direct": (direct, direct.Config(network="entity", hidden_size=32)),
}


@pytest.fixture(scope="module")
def loaded():
  return skirmish.load(400)


def _ratio(said, now, after, m):
  """Squared error by that of "nothing changes", over the features that vary."""
  said, now, after = (standardise(x, m) for x in (said, now, after))
  errors = [jnp.square(x - after)[..., m.varies].mean() for x in (said, now)]
  return float(jnp.sqrt(errors[0] / errors[1]))


# LOGO has all networks of a direct model.
@pytest.mark.parametrize(
  "name", ["logo", pytest.param("direct", marks=pytest.mark.slow)]
)
def test_learns_who_hits_whom(loaded, name):
  module, config = CONFIGS[name]
  model = module.make(config, loaded.spec, loaded.statistics)
  fit = make_fit(model, FitConfig(600, 64, learning_rate=3e-3, interval=600))
  state = jax.jit(fit.init)(jax.random.key(0), loaded.data)
  params = jax.jit(fit.chunk)(state, loaded.data)[0].best_params

  @jax.jit
  def step(t, key):
    k_start, k_step = jax.random.split(key)
    latent = model.start(params, t, k_start)
    return model.step(params, latent, t.action, k_step)[1]

  t = transitions(loaded.data.rows, loaded.data.test)
  p, s = step(t, jax.random.key(1)), loaded.statistics
  assert _ratio(p.state, t.state, t.next_state, s.state) < 0.3
  assert _ratio(p.obs, t.obs, t.next_obs, s.obs) < 0.25
  assert jnp.mean((p.reward - t.reward) ** 2) < 0.1 * jnp.var(t.reward)
  assert (p.legal == t.next_legal).mean() > 0.98
  over = t.discount == 0
  assert p.discount[over].mean() < 0.2 and p.discount[~over].mean() > 0.95
  # The first agent, on the left, stays; the second one hits either enemy. Both hit at
  # who is further to the right, who has lost half of its health by now and dies.
  env = skirmish.skirmish()
  x = jnp.array([0.25, 0.5, 0.75, 0.0])
  start = (jnp.ones(4), x, jnp.zeros(4), jnp.int32(0))
  actions = jnp.array([[0, 2], [0, 3]])
  _, now = env.step(start, jnp.array([0, 0]), jax.random.key(2))
  now = jax.tree.map(lambda x: jnp.stack([x] * len(t.reward)), now)
  two = t._replace(
    obs=now.obs,
    state=now.state,
    legal=now.legal,
    action=t.action.at[:2].set(actions),
  )
  said = step(two, jax.random.key(3)).state[:2, :4]
  np.testing.assert_allclose(said, [[1, 0, 0.5, 1], [1, 0, 1, 0.5]], atol=0.15)


@pytest.mark.parametrize(
  "gradient", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_gradient_of_eq_4_into_the_predictive_encoder(loaded, gradient):
  config = dataclasses.replace(
    LOGO, hidden_size=8, deduce_gradient=gradient, auxiliary_share=0.0
  )
  model = logo.make(config, loaded.spec, loaded.statistics)
  params = jax.jit(model.init)(jax.random.key(0))
  t = transitions(loaded.data.rows, loaded.data.train[:16])

  def eq_4(params):
    _, metrics = model.loss(params, t, jnp.ones(16), jax.random.key(0))
    return metrics["model/deduce_predicted_loss"]

  grads = jax.jit(jax.grad(eq_4))(params)
  sizes = {
    k: sum(jnp.abs(x).sum() for x in jax.tree.leaves(v)) for k, v in grads.items()
  }
  for name in ("trunk", "obs", "pointed"):
    assert (sizes[name] > 0) == gradient, name
  for name in ("deduce", "deduced", "reward"):
    assert sizes[name] > 0, name
  for name in ("state", "termination", "legal"):  # have losses of their own
    assert sizes[name] == 0, name


DRAWN = CONFIGS | {
  "ensemble": (
    ensemble,
    ensemble.Config(network="entity", hidden_size=32, num_members=2, next="mean"),
  )
}


# An ensemble's members are direct models.
@pytest.mark.parametrize(
  "name", ["logo", "ensemble", pytest.param("direct", marks=pytest.mark.slow)]
)
def test_who_is_there_is_drawn_and_the_rest_is_expected(loaded, name):
  """Untrained, units live with about one half; 2,048 draws, within 5 deviations."""
  module, config = DRAWN[name]
  model = module.make(config, loaded.spec, loaded.statistics)
  params = jax.jit(model.init)(jax.random.key(0))
  t = transitions(loaded.data.rows, loaded.data.test[:1].repeat(2_048))

  @jax.jit
  def both(t, key):
    k_start, k_step, k_draw = jax.random.split(key, 3)
    latent = model.start(params, t, k_start)
    expected, said = model.step(params, latent, t.action, k_step)
    return expected, said, *model.draw(params, latent, t.action, k_draw)

  expected, said, latent, drawn = both(t, jax.random.key(1))
  for tokens in (latent.state, latent.obs):
    assert set(np.unique(tokens.present)) == {0.0, 1.0}
  lives = latent.state.present.mean(0)
  np.testing.assert_allclose(lives, expected.state.present[0], atol=0.056)
  wanted, found = said.state[0], drawn.state
  error = 5 * np.asarray(found).std(0) / np.sqrt(2_048) + 1e-5
  assert (np.abs(found.mean(0) - wanted) <= error).all()
  # Who is gone is so for everybody, and sees nothing.
  owners = loaded.spec.layout.owners  # [N, E]
  own = np.einsum("be,ne->bn", latent.state.present, owners)
  assert not np.asarray(latent.obs.present)[own == 0].any()
  assert (latent.obs.present <= latent.state.present[:, None]).all()
  np.testing.assert_array_equal((latent.obs.present * owners).sum(-1), own)
  # What follows is of the draw.
  assert np.ptp(drawn.discount) > 0
  assert np.ptp(drawn.reward) > 0


def test_windows_go_on_with_those_who_were_there(loaded):
  """A second step's loss does not ask who was likely to be there, but who was."""
  model = logo.make(LOGO, loaded.spec, loaded.statistics)
  params = jax.jit(model.init)(jax.random.key(0))
  index = loaded.data.train[:1]
  first = transitions(loaded.data.rows, index)
  # Of the first step everybody is gone, as recorded; the second is as recorded anyway.
  gone = first._replace(
    next_state=jnp.zeros_like(first.next_state), next_obs=jnp.zeros_like(first.next_obs)
  )

  def latter(t):
    """Losses of the second step alone."""
    window = jax.tree.map(lambda x, y: jnp.stack([x, y], 1), t, first)
    weight = jnp.array([[0.0, 1.0]])
    return model.loss(params, window, weight, jax.random.key(0))[1]

  there, away = jax.jit(latter)(first), jax.jit(latter)(gone)
  name = "model/auxiliary_loss"
  assert abs(float(there[name]) - float(away[name])) > 1e-4


@pytest.mark.parametrize("module", [logo, direct, ensemble])
def test_entities_need_a_layout(module):
  loaded = toys.load_corridor(10)
  with pytest.raises(
    ValueError, match=r"model\.network: .*'toy/corridor' is not, allow"
  ):
    module.make(module.Config(network="entity"), loaded.spec, loaded.statistics)


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("deduce_input", "obs"),
    ("local_action", "own"),
    ("share_local", True),
    ("reconstruct_weight", 1.0),
  ],
)
def test_entities_have_one_reading(loaded, field, value):
  config = logo.Config(network="entity", **{field: value})
  with pytest.raises(
    ValueError, match=rf"model\.{field}: with model\.network 'entity'"
  ):
    logo.make(config, loaded.spec, loaded.statistics)
