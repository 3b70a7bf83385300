"""Mistakes that the quick tests must notice, one by one.

Each takes the place of a piece of the source that occurs there once; `test_mutants.py`
says so when the source has moved on. Pieces are short, so that they seldom do.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
  """A mistake."""

  name: str
  file: str  # in the package
  old: str
  new: str
  breaks: str  # what would be wrong
  tests: tuple[str, ...]  # that notice it; below tests/, as pytest names them


CONSERVATIVE = "learners/test_conservative.py"
PROBES = "training/test_probes.py"
GRADIENTS = "world_models/test_gradients.py"

_SHARED_LOSSES = tuple(
  Mutant(name, "learners/parts/conservative.py", old, new, breaks, (CONSERVATIVE,))
  for name, old, new, breaks in (
    (
      "gap-sign",
      "conservative = jnp.mean(gap)",
      "conservative = -jnp.mean(gap)",
      "recorded actions are lowered, and others raised",
    ),
    (
      "target-legal",
      "head.sample(outputs, t.next_legal, key)",
      "head.sample(outputs, t.legal, key)",
      "the next action is chosen among those that are legal now",
    ),
    (
      "greedy-target-legal",
      "actions.greedy(utilities, t.next_legal)",
      "actions.greedy(utilities, t.legal)",
      "the same, of greedy targets",
    ),
    (
      "greedy-target-by-target",
      "utilities, _ = jax.lax.stop_gradient(next_context)",
      "utilities, _ = jax.lax.stop_gradient(next_target)",
      "no double Q-learning: the target chooses what it values",
    ),
    (
      "target-online",
      "_target(parts, target, contexts[1]",
      "_target(parts, params, contexts[1]",
      "targets are from the networks that are learned",
    ),
    (
      "target-max",
      "next_q = next_q.min(0)",
      "next_q = next_q.max(0)",
      "targets take the largest of the heads",
    ),
    (
      "ascent-max",
      "view.context, own).min(0)",
      "view.context, own).max(0)",
      "policies ascend the largest of the heads",
    ),
    (
      "real-share",
      "batch.real * batch.weight / batch.real_share",
      "batch.real * batch.weight",
      "terms on real rows shrink with their share",
    ),
    (
      "real-rows",
      "batch.real * batch.weight / batch.real_share",
      "batch.weight",
      "terms on real rows are on all rows",
    ),
    (
      "imitation-imagined",
      "weight = real_weight(batch) if config.bc_on",
      "weight = batch.weight if config.bc_on",
      "policies imitate their own imagined actions",
    ),
    (
      "bellman-weight",
      'row = {"batch": batch.weight,',
      'row = {"batch": jnp.ones_like(batch.weight),',
      "padding counts",
    ),
    (
      "policy-moves-value",
      "frozen = jax.lax.stop_gradient(view)",
      "frozen = view",
      "values rise because policies want them to",
    ),
    (
      "normalised-mean",
      "batch.weight * jnp.abs(q)) if config",
      "batch.weight * q) if config",
      "the unit of values is their mean, which may be 0",
    ),
  )
)

_LEARNERS = (
  Mutant(
    "push-down-illegal",
    "learners/macql.py",
    "head.uniform(legal, k)",
    "head.uniform(jnp.ones_like(legal), k)",
    "illegal joint actions are lowered",
    (CONSERVATIVE,),
  ),
  Mutant(
    "push-down-density",
    "learners/macql.py",
    "log_prob.sum(-1)",
    "0 * log_prob.sum(-1)",
    "samples are not weighed by how likely they were",
    (CONSERVATIVE,),
  ),
  Mutant(
    "cfcql-behaviour-rows",
    "learners/parts/clone.py",
    "conservative.real_weight(batch) * cost",
    "batch.weight * cost",
    "the behaviour model learns from imagined rows",
    ("learners/test_cfcql.py::test_behaviour_is_learned_from_real_rows_alone",),
  ),
  Mutant(
    "cfcql-others",
    "learners/cfcql.py",
    "is_agent[:, None], own, view.encoded",
    "is_agent[:, None], view.encoded, own",
    "the others deviate, and the agent itself does as recorded",
    ("learners/test_cfcql.py::test_continuous_agent_that_strays_weighs_more",),
  ),
  Mutant(
    "cfcql-soft-minimum",
    "ops/cql.py",
    "jax.nn.softmax(temperature * kl)",
    "jax.nn.softmax(-temperature * kl)",
    "who strays furthest is held back least",
    ("learners/test_cfcql.py::test_penalty_by_hand", "ops/test_cql.py"),
  ),
  Mutant(
    "cfcql-illegal",
    "ops/cql.py",
    "jax.nn.logsumexp(jnp.where(legal, q, _ILLEGAL))",
    "jax.nn.logsumexp(q)",
    "the soft maximum is over illegal actions, too",
    ("ops/test_cql.py",),
  ),
  Mutant(
    "omar-target-max",
    "learners/parts/local.py",
    "(next_q).min(0)",
    "(next_q).max(0)",
    "targets take the largest of the heads",
    ("learners/test_omar.py::test_losses_of_discrete_actions_by_hand",),
  ),
  Mutant(
    "omar-target-legal",
    "learners/parts/local.py",
    "head.mode(target_outputs, t.next_legal)",
    "head.mode(target_outputs, t.legal)",
    "the next action is chosen among those that are legal now",
    ("learners/test_omar.py::test_targets_take_legal_next_actions_from_the_target",),
  ),
  Mutant(
    "omar-target-online",
    "learners/parts/local.py",
    'parts.value.values(target["value"], t.next_obs, t.next_state), best',
    "parts.value.values(params, t.next_obs, t.next_state), best",
    "targets are from the networks that are learned",
    ("learners/test_omar.py::test_targets_take_legal_next_actions_from_the_target",),
  ),
  Mutant(
    "omar-gap-rows",
    "learners/omar.py",
    "gap = jnp.mean(real_weight(batch)[..., None]",
    "gap = jnp.mean(weight",
    "imagined actions are raised as if they were recorded",
    ("learners/test_omar.py::test_imagined_rows_enter_the_bellman_error_alone",),
  ),
  Mutant(
    "omar-policy-moves-value",
    "learners/omar.py",
    'frozen = jax.lax.stop_gradient(params["value"])',
    'frozen = params["value"]',
    "values rise because policies want them to",
    ("learners/test_omar.py::test_neither_loss_moves_the_others_networks",),
  ),
  Mutant(
    "omar-search-worse",
    "learners/parts/local.py",
    "better = found_q > q",
    "better = found_q < q",
    "policies imitate what is worse than they",
    ("learners/test_omar.py::test_the_search_improves_on_the_policy",),
  ),
  Mutant(
    "omiga-next-state",
    "learners/omiga.py",
    'target["mixer"], t.next_state)',
    'target["mixer"], t.state)',
    "the next value is mixed by the weights of now",
    ("learners/test_omiga.py::test_losses_by_hand",),
  ),
  Mutant(
    "omiga-target-online",
    "learners/omiga.py",
    '_v(parts, target["v"], t.next_obs)',
    '_v(parts, params["v"], t.next_obs)',
    "targets are from the networks that are learned",
    ("learners/test_omiga.py::test_losses_by_hand",),
  ),
  Mutant(
    "omiga-policy-moves-value",
    "learners/omiga.py",
    "jax.lax.stop_gradient(z), _LIMIT",
    "z, _LIMIT",
    "imitation moves the values by which it is weighed",
    ("learners/test_omiga.py::test_every_loss_moves_its_own_networks_alone",),
  ),
  Mutant(
    "omiga-imitation-imagined",
    "learners/omiga.py",
    "row = real_weight(batch) if",
    "row = batch.weight if",
    "policies imitate their own imagined actions",
    (
      "learners/test_omiga.py"
      "::test_policies_imitate_real_rows_and_values_learn_from_all",
    ),
  ),
  Mutant(
    "bc-padding",
    "learners/parts/common.py",
    "jnp.mean(batch.weight * cost.mean(-1))",
    "jnp.mean(cost.mean(-1))",
    "what weighs nothing is imitated",
    ("learners/test_macql.py::test_padding_changes_nothing",),
  ),
)

_TARGETS = (
  Mutant(
    "window-padding",
    "learners/parts/backup.py",
    "jnp.roll(batch.weight, -1, axis=-1) > 0",
    "batch.weight > -1",
    "returns along windows go on into padding",
    ("learners/test_backup.py",),
  ),
  Mutant(
    "window-clip",
    "learners/parts/backup.py",
    "return target if value_range is None else",
    "return target if True else",
    "returns along windows are not kept to the possible range",
    ("learners/test_backup.py",),
  ),
  Mutant(
    "target-period",
    "learners/parts/backup.py",
    "jnp.where(due, x, y), moved, target",
    "jnp.where(due, y, x), moved, target",
    "targets stand still when they are to move",
    ("learners/test_backup.py",),
  ),
  Mutant(
    "target-rate",
    "learners/parts/backup.py",
    "incremental_update(params, target,",
    "incremental_update(target, params,",
    "targets all but jump to the networks that are learned",
    ("learners/test_backup.py",),
  ),
  Mutant(
    "lambda-last",
    "ops/td.py",
    "lambda_t = lambda_t.at[-1].set(0)",
    "lambda_t = lambda_t + 0",
    "returns lose the value behind the last step",
    ("ops/test_td.py",),
  ),
  Mutant(
    "expectile-sides",
    "ops/expectile.py",
    "error < 0, 1 - tau, tau",
    "error < 0, tau, 1 - tau",
    "the expectile of the other side",
    ("ops/test_expectile.py",),
  ),
)

_TRAINING = tuple(
  Mutant(name, f"{file}.py", old, new, breaks, (PROBES,))
  for name, file, old, new, breaks in (
    (
      "first-mask",
      "imagination/rollout",
      "Observed(p.obs, p.state, p.legal,",
      "Observed(p.obs, p.state, now.legal,",
      "all steps of a rollout are under its first mask",
    ),
    (
      "first-obs",
      "imagination/rollout",
      "Observed(p.obs, p.state, p.legal,",
      "Observed(now.obs, p.state, p.legal,",
      "agents act on the first observation of a rollout",
    ),
    (
      "certain-ends",
      "imagination/acted",
      "t.discount > 0.5",
      "t.discount > 0.0",
      "rollouts end only where the model is certain",
    ),
    (
      "stored-raw",
      "imagination/acted",
      "calibrated = uncertainty.calibrate(uncertainty_params, score)",
      "calibrated = score",
      "what halts rollouts is in no unit",
    ),
    (
      "score-once",
      "imagination/acted",
      "score = uncertainty.accumulate(so_far, score)",
      "score = uncertainty.accumulate(0 * score, score)",
      "uncertainty is not accumulated along rollouts",
    ),
    (
      "weights-raw",
      "training/sources/mixed",
      "u = uncertainty.calibrate(acting.uncertainty, content.score)",
      "u = content.score",
      "confidence is in no unit",
    ),
    (
      "weights-of-invalid",
      "training/sources/mixed",
      "jnp.where(valid, weighting.log_weight(u), -jnp.inf)",
      "weighting.log_weight(u)",
      "what lies behind the end of a rollout is learned from",
    ),
    (
      "penalty-raw",
      "training/sources/mixed",
      "u = uncertainty.calibrate(uncertainty_params, content.score[index])",
      "u = content.score[index]",
      "penalties are in no unit",
    ),
    (
      "penalty-never",
      "training/sources/mixed",
      "weighting.on_sample(t, u)",
      "t",
      "nothing is charged for uncertainty",
    ),
    (
      "starts-of-test",
      "training/sources/mixed",
      "draw_starts(data.starts, self._num_starts",
      "draw_starts(data.test, self._num_starts",
      "rollouts start from the test split",
    ),
    (
      "batches-of-test",
      "training/sources/recorded",
      "segments.draw(data.starts,",
      "segments.draw(data.test,",
      "learners learn from the test split",
    ),
    (
      "calibrated-on-training",
      "training/step",
      "evenly_spaced(data.select, CALIBRATION_ROWS)",
      "evenly_spaced(data.train, CALIBRATION_ROWS)",
      "the unit of uncertainty is from what the model was fitted on",
    ),
    (
      "imagined-as-real",
      "training/sources/mixed",
      "weight, False, self._real_share)",
      "weight, True, self._real_share)",
      "learners take imagined rows for real ones",
    ),
    (
      "share-forgotten",
      "training/sources/recorded",
      "mixing.batch_of(t, weight, True, real_share)",
      "mixing.batch_of(t, weight, True, 1.0)",
      "learners do not know how many rows are real",
    ),
    (
      "fitted-on-all",
      "training/fit_model",
      "segments.draw(data.train,",
      "segments.draw(data.starts,",
      "models are fitted on what they are to be tested on",
    ),
    (
      "selected-on-test",
      "training/fit_model",
      "segments.draw(data.select,",
      "segments.draw(data.test,",
      "models are selected by what is reported of them",
    ),
    (
      "selected-on-training",
      "training/fit_model",
      "segments.draw(data.select,",
      "segments.draw(data.train,",
      "models are selected by how well they remember",
    ),
    (
      "seeds-share-episodes",
      "training/session",
      "key = jax.random.fold_in(key, seed)",
      "del seed",
      "intervals over seeds leave out the noise of episodes",
    ),
    (
      "seeds-share-episodes-on-host",
      "training/session",
      "(None, 0))(key, seeds)",
      "(None, 0))(key, 0 * seeds)",
      "the same, of environments on the host",
    ),
    (
      "final-episodes-are-the-curve-s",
      "training/session",
      "self._play(params, 1 + i)",
      "self._play(params, i)",
      "the checkpoint that is best on these episodes is reported on them",
    ),
  )
)

_MODELS = (
  *(
    Mutant(name, "world_models/logo.py", old, new, breaks, (GRADIENTS,))
    for name, old, new, breaks in (
      (
        "heads-move-state",
        "fixed_state = jax.lax.stop_gradient(state)",
        "fixed_state = state",
        "the ends of episodes shape predicted states",
      ),
      (
        "heads-move-obs",
        "fixed_obs = jax.lax.stop_gradient(obs)",
        "fixed_obs = obs",
        "legal actions shape predicted observations",
      ),
      (
        "reward-moves-deduction",
        "state = jax.lax.stop_gradient(self.point.decode(output, now.state))",
        "state = self.point.decode(output, now.state)",
        "the reward shapes deduced states",
      ),
      (
        "encoder-cut-off",
        "encoded, now, after, fixed=False)",
        "encoded, now, after, fixed=True)",
        "Eq. 3's second term does not reach E_d",
      ),
      (
        "eq-4-moves-predictions",
        "fixed = not self.config.deduce_gradient",
        "fixed = False",
        "predicted observations become a code for states",
      ),
    )
  ),
  Mutant(
    "direct-heads-move-states",
    "world_models/parts/direct.py",
    "jax.lax.stop_gradient((state, obs))",
    "(state, obs)",
    "rewards and ends shape predicted states",
    (GRADIENTS,),
  ),
  Mutant(
    "later-steps-move-earlier",
    "world_models/parts/dynamics.py",
    "obs, state = jax.lax.stop_gradient(self._frame.bound(said))",
    "obs, state = self._frame.bound(said)",
    "what is said of a step hedges against later ones",
    ("world_models/test_dynamics.py",),
  ),
  Mutant(
    "class-weight-kept",
    "world_models/parts/frame.py",
    "jax.nn.sigmoid(said.termination - shift)",
    "jax.nn.sigmoid(said.termination)",
    "episodes seem to end too often",
    ("world_models/test_dynamics.py",),
  ),
  Mutant(
    "unit-of-uncertainty",
    "uncertainty/path_discrepancy.py",
    "raw / jnp.maximum(scale.unit, 1e-8)",
    "raw + 0 * scale.unit",
    "uncertainty is in no unit",
    ("uncertainty/test_path_discrepancy.py",),
  ),
  Mutant(
    "confidence-sign",
    "weighting/confidence.py",
    "jnp.clip(clip - u, 0.0, clip)",
    "jnp.clip(u, 0.0, clip)",
    "the less sure, the more often a row is drawn",
    ("weighting/test_confidence.py",),
  ),
  Mutant(
    "halt-goes-on",
    "weighting/halt.py",
    "jnp.where(halts, 0.0, t.discount)",
    "jnp.where(halts, t.discount, t.discount)",
    "values look past where a rollout was halted",
    ("weighting/test_halt.py",),
  ),
)

_RSSM = "world_models/test_rssm.py"

_MEMORY = tuple(
  Mutant(name, file, old, new, breaks, (test,))
  for name, file, old, new, breaks, test in (
    (
      "rssm-reward-before-action",
      "world_models/rssm.py",
      "change = found.change()[:, :-1]",
      "change = found.belief.features()[:, :-1]",
      "the reward is told without the action that brings it",
      _RSSM,
    ),
    (
      "rssm-action-shifted",
      "world_models/rssm.py",
      "actions.encode(seen.action[:, :-1]",
      "actions.encode(seen.action[:, 1:]",
      "an observation is to tell the action that comes after it",
      _RSSM,
    ),
    (
      "rssm-padding-remembered",
      "world_models/parts/histories.py",
      "t.time[:, 1:] != t.time[:, :-1] + 1",
      "t.time[:, 1:] < t.time[:, :-1]",
      "a first row repeated in front is remembered as often",
      _RSSM,
    ),
    (
      "rssm-never-fresh",
      "networks/rssm.py",
      "jnp.where(fresh[:, None, None], first, memory)",
      "jnp.where(fresh[:, None, None], memory, memory)",
      "an episode begins with the memory of another one",
      "networks/test_rssm_networks.py",
    ),
    (
      "kl-sides",
      "ops/latents.py",
      "balance * to_prior + (1.0 - balance) * to_posterior",
      "balance * to_posterior + (1.0 - balance) * to_prior",
      "the posterior is drawn to the prior, more than the prior to it",
      "ops/test_latents.py",
    ),
    (
      "history-backwards",
      "replay/windows.py",
      "back = jnp.arange(length)[::-1]\n  return",
      "back = jnp.arange(length)\n  return",
      "histories run backwards in time",
      "replay/test_windows.py",
    ),
    (
      "history-of-the-first",
      "imagination/rollout.py",
      "lambda x: x[:, -1], starts",
      "lambda x: x[:, 0], starts",
      "rollouts are said to start where their histories begin",
      "training/test_histories.py",
    ),
  )
)

_DATA = (
  Mutant(
    "statistics-of-all",
    "data/dataset.py",
    "_statistics(stored.rows, episodes, train, by_agent)",
    "_statistics(stored.rows, episodes, np.arange(len(episodes.first)), by_agent)",
    "what is standardised knows the test split",
    ("data/test_dataset.py",),
  ),
  Mutant(
    "final-rows-have-rewards",
    "data/dataset.py",
    "is_start[episodes.last] = False",
    "is_start[episodes.last] = True",
    "the zeros of final rows are taken for rewards",
    ("data/test_dataset.py",),
  ),
  Mutant(
    "splits-overlap",
    "data/dataset.py",
    "[num_select, num_select + num_test]",
    "[num_select, num_select]",
    "there is no test split of its own",
    ("data/test_dataset.py",),
  ),
  Mutant(
    "errors-of-selection",
    "evaluation/open_loop.py",
    'split: str = "test"',
    'split: str = "select"',
    "models are reported on what they were selected by",
    ("evaluation/test_model_error.py::test_windows_of_all_episodes",),
  ),
  Mutant(
    "ring-forgets-its-place",
    "replay/ring.py",
    "first = (ring.count % num_blocks) * size",
    "first = 0 * ring.count * size",
    "one collection is kept of many",
    ("replay/test_ring.py",),
  ),
  Mutant(
    "end-one-row-late",
    "data/formats/episodes.py",
    "discount[plan.final[plan.terminal] - 1] = 0",
    "discount[plan.final[plan.terminal]] = 0",
    "no transition ends its episode",
    ("data/formats/test_read_cfcql.py",),
  ),
  Mutant(
    "final-reward",
    "data/formats/episodes.py",
    "reward[plan.final] = 0",
    "reward[plan.final] += 0",
    "final rows, where nobody acts, have rewards",
    ("data/formats/test_read_cfcql.py",),
  ),
  Mutant(
    "cfcql-final-observation",
    "data/formats/cfcql.py",
    "np.minimum(steps + 1, count), count)",
    "np.minimum(steps, count), count)",
    "episodes lose their last transition",
    ("data/formats/test_read_cfcql.py",),
  ),
  Mutant(
    "omar-limit-is-an-end",
    "data/formats/omar.py",
    "done[last] & ~full[last]",
    "done[last]",
    "values do not look past the time limit",
    ("data/formats/test_read_omar.py",),
  ),
  Mutant(
    "omar-final-observation",
    "data/formats/omar.py",
    '_stack([agent["next_obs"][last]',
    '_stack([agent["obs"][last]',
    "the last step of an episode leads nowhere",
    ("data/formats/test_read_omar.py",),
  ),
  Mutant(
    "omiga-limit-is-an-end",
    "data/formats/omiga.py",
    "terminal &= lengths != TIME_LIMIT",
    "terminal &= lengths > 0",
    "values do not look past the time limit",
    ("data/formats/test_read_omiga.py::test_a_time_limit_is_no_end",),
  ),
  Mutant(
    "omiga-scale",
    "data/formats/omiga.py",
    "(z - cold.mean(-1)[..., None]) / scale",
    "(z - cold.mean(-1)[..., None]) * scale",
    "states do not come back from their standardised form",
    ("data/formats/test_read_omiga.py::test_raw_states_come_back",),
  ),
)

_ROLLOUTS = "imagination/test_rollouts.py"
_MAPPO = "learners/test_mappo.py"

_IN_THE_MODEL = tuple(
  Mutant(name, file, old, new, breaks, (tests,))
  for name, file, old, new, breaks, tests in (
    (
      "rollout-no-limit",
      "imagination/acted.py",
      "jnp.where(over, 0.0, t.discount)",
      "jnp.where(over, t.discount, t.discount)",
      "imagined battles go on behind the time limit",
      _ROLLOUTS,
    ),
    (
      "rollout-time-stands",
      "imagination/rollout.py",
      "jax.tree.map(lambda t: t + 1, now.time)",
      "jax.tree.map(lambda t: t, now.time)",
      "rollouts do not know their time",
      _ROLLOUTS,
    ),
    (
      "rollout-behind-halt",
      "imagination/rollouts.py",
      "jnp.pad(weight[:, 1:] > 0,",
      "jnp.pad(weight[:, 1:] >= 0,",
      "returns go on behind a halt",
      _ROLLOUTS,
    ),
    (
      "rollout-free-of-charge",
      "imagination/rollouts.py",
      "weighting.on_sample(step.transition, u)",
      "step.transition",
      "rollouts do not pay for uncertainty",
      _ROLLOUTS,
    ),
    (
      "mappo-lambda-everywhere",
      "learners/parts/on_policy.py",
      "config.gae_lambda * rollouts.goes_on",
      "config.gae_lambda * jnp.ones_like(t.reward)",
      "returns run on behind the end of a rollout",
      _MAPPO + "::test_targets_by_hand",
    ),
    (
      "mappo-value-of-now",
      "learners/parts/on_policy.py",
      'parts.value.apply(params["value"], t.next_state, t.time + 1)',
      'parts.value.apply(params["value"], t.state, t.time)',
      "returns bootstrap from where the step began",
      _MAPPO + "::test_targets_by_hand",
    ),
    (
      "mappo-average-of-a-fixed-few",
      "learners/mappo.py",
      "config.average_share * step)",
      "config.average_share * 2)",
      "policies that play do not average over a share of the updates",
      _MAPPO + "::test_what_is_played_averages",
    ),
    (
      "ppo-unclipped",
      "ops/ppo.py",
      "jnp.minimum(ratio * advantage, clipped * advantage)",
      "ratio * advantage",
      "ratios are not clipped",
      "ops/test_clipped_gain.py",
    ),
    (
      "mappo-gain-sign",
      "learners/parts/on_policy.py",
      "- (weight * gain).sum()",
      "+ (weight * gain).sum()",
      "policies learn what is worse",
      _MAPPO
      + "::test_a_matrix_game_is_solved_at_the_defaults_where_cloning_is_not_enough",
    ),
  )
)

_MPC = "planning/test_mpc.py"

_PLANS = tuple(
  Mutant(name, file, old, new, breaks, (tests,))
  for name, file, old, new, breaks, tests in (
    (
      "plan-worst",
      "planning/mpc.py",
      "index = jnp.argmax(self.scores, 0)",
      "index = jnp.argmin(self.scores, 0)",
      "the worst joint action is planned",
      _MPC,
    ),
    (
      "plan-without-ends",
      "planning/mpc.py",
      "gamma * steps.discount * goes_on",
      "gamma * goes_on",
      "plans count what is earned after likely ends",
      _MPC,
    ),
    (
      "plan-not-tried",
      "planning/mpc.py",
      "jnp.where(begins, first, action)",
      "jnp.where(begins, action, action)",
      "candidates are scored by what policies do anyway",
      _MPC,
    ),
    (
      "advice-away",
      "learners/parts/conservative.py",
      "loss += config.advice_weight * advice",
      "loss -= config.advice_weight * advice",
      "policies are driven away from the plan, as the paper prints it",
      "training/test_planned.py::test_policies_move_to_what_the_model_knows_to_be_better",
    ),
  )
)

MAZERO = "learners/test_mazero.py"

_SEARCHED = tuple(
  Mutant(name, file, old, new, breaks, (tests,))
  for name, file, old, new, breaks, tests in (
    (
      "two-hot-integers",
      "ops/two_hot.py",
      "(1 - above) * at + above * next_to",
      "above * (at + next_to) / 2",
      "nothing is learned of numbers that are whole",
      "ops/test_two_hot.py",
    ),
    (
      "os-lambda-worst",
      "ops/os_lambda.py",
      "own(returns) < other(returns)",
      "own(returns) > other(returns)",
      "nodes are worth the worst that was found below them",
      "ops/test_os_lambda.py",
    ),
    (
      "search-repeats",
      "search/sampled.py",
      "score = jnp.where(share > 0, score, -jnp.inf)",
      "score = score + 0 * share",
      "joint actions that were drawn twice are tried twice",
      "search/test_search.py",
    ),
    (
      "unrolled-whole",
      "networks/latent_model.py",
      "0.5 * after + 0.5 * jax.lax.stop_gradient(after), after",
      "after, after",
      "gradients are not halved from step to step",
      MAZERO,
    ),
    (
      "unrolled-beyond",
      "learners/parts/unrolled.py",
      "jnp.mean(behind * cost)",
      "jnp.mean(cost)",
      "the model learns what lies beyond the end of an episode",
      MAZERO,
    ),
  )
)

_OWN = tuple(
  Mutant(*mutant, (test,))
  for *mutant, test in (
    (
      "own-final",
      "data/formats/arrays.py",
      "append = terminal & (not has_final)",
      "append = terminal & False",
      "an episode that ended gives up its last step, too",
      "data/formats/test_arrays.py",
    ),
    (
      "own-final-rows",
      "data/formats/arrays.py",
      "out[layout.is_step] = x",
      "out[: len(x)] = x",
      "actions and rewards move away from what was seen",
      "data/formats/test_arrays.py",
    ),
    (
      "own-spec-name",
      "envs/base.py",
      "if env.spec.name != name:",
      "if False:",
      "a game's data are those of another name",
      "io/test_plugins.py::test_a_game",
    ),
    (
      "own-missing-plugin",
      "io/plugins.py",
      "for name in names if name not in known",
      "for name in names if name in known",
      "what a run lacks is not told",
      "io/test_plugins.py::test_a_run_remembers_by_what_it_was_made",
    ),
    (
      "own-minari-end",
      "data/formats/minari.py",
      'out["discount"][-2] = 1 - (get',
      'out["discount"][-1] = 1 - (get',
      "ends are taken for cuts",
      "data/formats/test_minari.py",
    ),
  )
)

_LOGGERS = tuple(
  Mutant(name, file, old, new, breaks, ("io/test_loggers.py",))
  for name, file, old, new, breaks in (
    (
      "loggers-again",
      "io/loggers.py",
      "if step <= self._sent.last.get(phase, -1):",
      "if False:",
      "W&B gets what is done again twice",
    ),
    (
      "loggers-rows",
      "io/loggers.py",
      "row + 1, self._sent.last",
      "row, self._sent.last",
      "W&B takes later rows for one row",
    ),
    (
      "loggers-bound",
      "io/run_folder.py",
      '_FREE = ("loggers",)',
      "_FREE = ()",
      "runs of before there was a choice do not resume",
    ),
    (
      "loggers-finished",
      "io/run_folder.py",
      "if not run.finished():",
      "if True:",
      "looking at a finished run begins another one of W&B",
    ),
  )
)

_DRAWN = tuple(
  Mutant(*mutant, (test,))
  for *mutant, test in (
    (
      "drawn-everywhere",
      "world_models/parts/frame.py",
      "(uniform < said.state.present)",
      "(uniform < 0.9)",
      "who lives does not depend on what was said",
      "world_models/test_entity_models.py",
    ),
    (
      "drawn-apart",
      "world_models/parts/frame.py",
      "(seen * (lives > 0), there)",
      "(seen, there)",
      "who is gone still sees",
      "world_models/test_entity_models.py",
    ),
    (
      "drawn-never",
      "imagination/acted.py",
      "if model.draw is not None:",
      "if False:",
      "rollouts go on from expectations",
      "imagination/test_rollouts.py",
    ),
    (
      "windows-expect",
      "world_models/parts/dynamics.py",
      "return came, losses",
      "return said, losses",
      "windows go on from units that are half there, which rollouts never do",
      "world_models/test_entity_models.py",
    ),
  )
)

_DECODED = tuple(
  Mutant(name, file, old, new, breaks, ("world_models/test_value_equivalent.py",))
  for name, file, old, new, breaks in (
    (
      "decoded-beyond",
      "world_models/value_equivalent.py",
      "jnp.roll(weight, -1, axis=1) > 0",
      "jnp.roll(weight, -1, axis=1) > -1",
      "returns go on beyond the end of an episode",
    ),
    (
      "decoded-before",
      "world_models/value_equivalent.py",
      "return after, self._frame.prediction(self._said(params, after, encoded))",
      "return after, self._frame.prediction(self._said(params, latent, encoded))",
      "rollouts say what was before a step, not what comes of it",
    ),
  )
)

_BELIEVED = tuple(
  Mutant(name, file, old, new, breaks, ("imagination/test_believed.py",))
  for name, file, old, new, breaks in (
    (
      "belief-hindsight",
      "imagination/believed.py",
      "now, after = features[:, :-1], features[:, 1:]",
      "now, after = features[:, 1:], features[:, 1:]",
      "clones know what their actions have led to",
    ),
    (
      "belief-forgets",
      "imagination/believed.py",
      "return (beliefs.acted(features, action), memory), action",
      "return (before, memory), action",
      "in a game each step is the first",
    ),
    (
      "belief-without-actions",
      "world_models/rssm.py",
      "(belief(features), self._encode(action))",
      "(belief(features), 0.0 * self._encode(action))",
      "what was done does not count in a game",
    ),
  )
)

_RESUMED = tuple(
  Mutant(name, "envs/smax.py", old, new, breaks, ("envs/test_smax.py",))
  for name, old, new, breaks in (
    (
      "resumed-health",
      "unit_health=jnp.round(share * whole)",
      "unit_health=share * whole",
      "a unit lives on by what rounding has left of it",
    ),
    (
      "resumed-target",
      "last_attacked_enemy=target",
      "last_attacked_enemy=0 * target - 1",
      "enemies forget whom they attack",
    ),
  )
)

MUTANTS = (*_SHARED_LOSSES, *_LEARNERS, *_TARGETS, *_TRAINING, *_MODELS, *_DATA)
MUTANTS += (*_IN_THE_MODEL, *_MEMORY, *_PLANS, *_SEARCHED)
MUTANTS += (*_OWN, *_LOGGERS)
MUTANTS += (*_DRAWN, *_BELIEVED, *_DECODED, *_RESUMED)
