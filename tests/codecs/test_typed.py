"""The codec of entities, kind by kind, with numbers by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from logo_jax.codecs import typed
from logo_jax.codecs.tokens import Tokens
from logo_jax.layout import Column, Table
from logo_jax.ops.standardise import Moments, moments

LN3 = float(np.log(3))  # the logit of 3/4
THERE, AWAY = -np.log(0.75), -np.log(0.25)  # its cross entropies
EVEN = 2.0  # a gate's output that mixes both halves
WIDE = 1e3  # the largest variance, e^0.5


def _moments(mean, scale, low, high):
  low, high, scale = (jnp.asarray(x, jnp.float32) for x in (low, high, scale))
  return Moments(jnp.asarray(mean, jnp.float32), scale, scale, low, high, high > low)


def _one(column, mean, scale, low, high, presence=()):
  """A codec of one entity with one feature; likelihoods are plain."""
  table = Table((column,), ((0,),), presence)
  return typed.make([table], _moments([mean], [scale], [low], [high]), None, 0.0)


def test_a_continuous_feature_goes_on_or_is_set_anew():
  """x = 1 is -0.5 in the box; half of 0, half of 0.5 is 0.25, which is x = 2.5."""
  codec = _one(Column("x"), 2.0, 1.0, 0.0, 4.0)
  assert codec.output_size == 4 and codec.token_size == 1
  now, after = codec.encode(jnp.array([1.0])), codec.encode(jnp.array([3.0]))
  np.testing.assert_allclose(now.values, [[-0.5]])
  output = jnp.array([[0.5, 0.5, EVEN, WIDE]])
  said = codec.decode(output, now)
  np.testing.assert_allclose(codec.vector(said), [2.5])
  np.testing.assert_allclose(codec.error(said, after), 0.25)  # one half, squared
  # (0.25 e^-0.5 + 0.5) / 2, in units of the scale.
  np.testing.assert_allclose(codec.loss(output, now, after), 0.325816, rtol=1e-4)
  np.testing.assert_allclose(codec.variance(output, now), [1.648721], rtol=1e-4)
  kept = codec.decode(jnp.array([[0.5, 0.5, -1e3, WIDE]]), now)
  anew = codec.decode(jnp.array([[0.5, 0.5, 1e3, WIDE]]), now)
  np.testing.assert_allclose(codec.vector(kept), [2.0])
  np.testing.assert_allclose(codec.vector(anew), [3.0])


@pytest.mark.parametrize(("shared", "values"), [(True, [-0.9, 0.0]), (False, [0, 0])])
def test_ranges_of_columns_that_entities_share_or_do_not(shared, values):
  """Ranges 0 to 1 and 0 to 10: 0.5 and 5 are in the middle of their own ones."""
  table = Table((Column("x", shared=shared),), ((0,), (1,)))
  ranges = _moments([0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1.0, 10.0])
  codec = typed.make([table], ranges, None, 0.0)
  x = jnp.array([0.5, 5.0])
  np.testing.assert_allclose(codec.encode(x).values[:, 0], values, atol=1e-6)
  np.testing.assert_allclose(codec.vector(codec.encode(x)), x, rtol=1e-6)


def test_a_binary_feature():
  codec = _one(Column("on", "binary"), 0.5, 0.5, 0.0, 1.0)
  output, now = jnp.array([[LN3]]), codec.encode(jnp.array([0.0]))
  for value, loss in ((1.0, THERE), (0.0, AWAY)):
    after = codec.encode(jnp.array([value]))
    np.testing.assert_allclose(codec.loss(output, now, after), loss, rtol=1e-5)
  np.testing.assert_allclose(codec.vector(codec.decode(output, now)), [0.75])
  # 3/4 of 1/4, in units of the scale's square.
  np.testing.assert_allclose(codec.variance(output, now), [0.1875 / 0.25], rtol=1e-5)


def test_a_categorical_feature():
  """Values 0, 1 and 3 have probabilities 1/4, 1/2 and 1/4: 1.25 and 2.75 - 1.25^2."""
  codec = _one(Column("c", "categorical", ((0.0, 1.0, 3.0),)), 1.0, 1.0, 0.0, 3.0)
  output = jnp.log(jnp.array([[1.0, 2.0, 1.0]]))
  now, after = codec.encode(jnp.array([0.0])), codec.encode(jnp.array([1.0]))
  np.testing.assert_array_equal(after.values, [[0, 1, 0]])
  np.testing.assert_allclose(codec.loss(output, now, after), np.log(2), rtol=1e-5)
  said = codec.decode(output, now)
  np.testing.assert_allclose(said.values, [[0.25, 0.5, 0.25]], rtol=1e-5)
  np.testing.assert_allclose(codec.vector(said), [1.25], rtol=1e-6)
  np.testing.assert_allclose(codec.variance(output, now), [1.1875], rtol=1e-5)


def test_an_entity_does_not_say_what_it_does_not_know():
  column = Column("c", "categorical", ((0.0, 1.0, 3.0), (0.0, 1.0)))
  table = Table((column,), ((0,), (1,)))
  codec = typed.make([table], _moments([1, 1], [1, 1], [0, 0], [3, 1]))
  now = codec.encode(jnp.zeros(2))
  said = codec.decode(jnp.log(jnp.array([[1.0, 2.0, 1.0]] * 2)), now)
  np.testing.assert_allclose(said.values[1], [1 / 3, 2 / 3, 0], atol=1e-6)
  assert np.isfinite(codec.variance(jnp.zeros((2, 3)), now)).all()
  assert np.isfinite(codec.loss(jnp.zeros((2, 3)), now, now))


# A unit: how it is, where it is, on whose side; that it never moves is a constant of
# the data. What varies is 0 when it is away.
UNIT = Table(
  (
    Column("health"),
    Column("x"),
    Column("team", "constant"),
    Column("size", "constant"),
  ),
  ((0, 1, 2, 3),),
  ("health",),
)
UNIT_MOMENTS = _moments(
  [0.5, 2, -0.5, 7], [0.5, 1, 0.5, 1], [0, 0, -1, 7], [1, 4, 0, 7]
)
ALIVE, DEAD = jnp.array([0.5, 3.0, -1.0, 7.0]), jnp.array([0.0, 0.0, 0.0, 7.0])


def _unit():
  return typed.make([UNIT], UNIT_MOMENTS, None, 0.0)


def _said(presence=LN3):
  """Health is set to 0.75 and x to 3: in the box both are 0.5. Variances are e^0.5."""
  return jnp.array([[presence, 0, 0, 0.5, 0.5, 1e3, 1e3, WIDE, WIDE]])


def test_rows_of_the_present_and_of_the_absent():
  codec = _unit()
  alive, dead = codec.encode(ALIVE), codec.encode(DEAD)
  np.testing.assert_array_equal(alive.present, [1])
  np.testing.assert_array_equal(dead.present, [0])
  np.testing.assert_array_equal(dead.values, [[0, 0]])
  for x, tokens in ((ALIVE, alive), (DEAD, dead)):
    np.testing.assert_allclose(codec.vector(tokens), x, rtol=1e-6)


def test_the_loss_of_presence_stands_for_all_that_varies_with_it():
  """Three features vary: 3 cross entropies, and likelihoods of those who are there."""
  codec, output = _unit(), _said()
  alive, dead = codec.encode(ALIVE), codec.encode(DEAD)
  np.testing.assert_allclose(codec.loss(output, alive, dead), AWAY, rtol=1e-5)
  # Health is half a deviation of 0.5 off, x is right.
  likelihoods = (0.25 * np.exp(-0.5) + 0.5) / 2 + 0.25
  wanted = THERE + likelihoods / 3
  np.testing.assert_allclose(codec.loss(output, dead, alive), wanted, rtol=1e-4)
  grad = jax.grad(lambda x: codec.loss(x, alive, dead))(output)
  np.testing.assert_allclose(grad[0, 0], 0.75, rtol=1e-5)
  np.testing.assert_array_equal(grad[0, 1:], 0)  # nothing is asked of the absent


def test_expectations_and_variances_count_in_that_it_may_be_away():
  """p var + p (1 - p) mean^2 with p = 3/4; in units of the scales' squares."""
  codec, output = _unit(), _said()
  now = codec.encode(ALIVE)
  said = codec.decode(output, now)
  np.testing.assert_allclose(said.values, [[0.5, 0.5]])
  np.testing.assert_allclose(said.present, [0.75], rtol=1e-6)
  np.testing.assert_allclose(codec.vector(said), [0.5625, 2.25, -0.75, 7], rtol=1e-6)
  var = np.exp(0.5)
  wanted = [
    0.75 * var + 0.1875 * 0.75**2 / 0.25,
    0.75 * var + 0.1875 * 3**2,
    0.1875 * 1 / 0.25,
    0.0,
  ]
  np.testing.assert_allclose(codec.variance(output, now), wanted, rtol=1e-4)
  # (0.5625 - 0.5) / 0.5, -0.75 and (-0.75 + 1) / 0.5, squared.
  error = (0.125**2 + 0.75**2 + 0.5**2) / 3
  np.testing.assert_allclose(codec.error(said, now), error, rtol=1e-5)


def test_given_who_is_there_a_unit_is_whole_or_nothing():
  """As if it had been recorded, whatever the probability that it would be there."""
  codec = _unit()
  said = codec.decode(_said(), codec.encode(ALIVE))
  assert codec.given is not None
  for present, x in ((1.0, [0.75, 3.0, -1.0, 7.0]), (0.0, DEAD)):
    given = codec.given(said, jnp.array([present]))
    np.testing.assert_allclose(codec.vector(given), x, rtol=1e-6)
    again = codec.encode(codec.vector(given))
    for of_given, of_recorded in zip(given, again, strict=True):
      np.testing.assert_allclose(of_given, of_recorded, rtol=1e-6)


def test_observations_of_unlike_agents_and_padding():
  """The first agent sees both units, the second only its own; then comes padding."""
  columns = (Column("x"), Column("on", "binary"))
  tables = [
    Table(columns, ((0, 1), (2, -1))),
    Table(columns, ((-1, -1), (0, 1))),
  ]
  mask = np.array([[True] * 3, [True, True, False]])
  x = np.random.default_rng(0).uniform(0, 1, (50, 2, 3)).round(2)
  x[:, 0, 1] = x[:, 1, 1] = np.arange(50) % 2
  pooled = moments(x.reshape(-1, 3))
  codec = typed.make(tables, pooled, mask)
  x = jnp.asarray(x, jnp.float32)
  filled = x.at[:, 1, 2].set(100.0)
  tokens = codec.encode(filled)
  assert tokens.values.shape == (50, 2, 2, 2)
  np.testing.assert_array_equal(tokens.values[:, 0, 1, 1], 0)
  np.testing.assert_array_equal(tokens.values[:, 1, 0], 0)
  back = codec.vector(tokens)
  np.testing.assert_array_equal(back[:, 1, 2], 0)
  np.testing.assert_allclose(back[:, 0], x[:, 0], atol=1e-6)
  np.testing.assert_allclose(back[:, 1, :2], x[:, 1, :2], atol=1e-6)
  # A network may say what it likes of what is not there.
  output = jnp.zeros((50, 2, 2, codec.output_size))
  wild = output.at[:, 1, 0].set(5.0).at[:, 0, 1, 4].set(5.0)
  for f in (codec.loss, lambda out, now, _: codec.vector(codec.decode(out, now))):
    np.testing.assert_array_equal(f(output, tokens, tokens), f(wild, tokens, tokens))


def test_structure_says_what_points_where():
  columns = (
    Column("x", axis=0),
    Column("team", "constant"),
    Column("target", "categorical", ((0.0, 1.0),), ((-1, 1), (-1, 0))),
  )
  table = Table(columns, ((0, 1, 2), (3, 4, 5)))
  low, high = [0, 1, 0, 0, -2, 0], [1, 1, 1, 1, -2, 1]
  codec = typed.make([table], _moments([0.5, 1, 0.5, 0.5, -2, 0.5], [1] * 6, low, high))
  s = codec.structure
  np.testing.assert_array_equal(s.positions, [0])
  np.testing.assert_array_equal(s.static, [[0.5], [-1.0]])  # shares of the largest
  np.testing.assert_array_equal(s.has, np.ones((2, 3)))
  (pointer,) = s.pointers
  # Of a token: x, then the target's two values; of an output: four numbers of x first.
  assert (pointer.first, pointer.output) == (1, 4)
  np.testing.assert_array_equal(pointer.points, [[-1, 1], [-1, 0]])
  tokens = codec.encode(jnp.array([0.5, 1, 1, 0.25, -2, 0]))
  assert isinstance(tokens, Tokens)
  np.testing.assert_allclose(tokens.values, [[0, 0, 1], [-0.5, 1, 0]])


@pytest.mark.parametrize("logit", [-30.0, 30.0])
def test_sure_predictions_have_finite_gradients(logit):
  codec = _unit()
  alive, dead = codec.encode(ALIVE), codec.encode(DEAD)
  for after in (alive, dead):
    grad = jax.grad(lambda x, a=after: codec.loss(x, alive, a))(_said(logit))
    assert np.isfinite(grad).all()
