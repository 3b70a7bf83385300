"""What `benchmarks/peers.py` says of checkouts that are none.

The published code itself needs PyTorch, which no extra installs.
"""

import pathlib

import pytest


@pytest.fixture
def peer_code(monkeypatch):
  monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parents[1] / "benchmarks"))
  import peer_code  # pyright: ignore[reportMissingImports]

  return peer_code


@pytest.mark.parametrize(
  ("checkouts", "said"),
  [
    ({}, "cfcql, omiga: name the checkout of at least one"),
    ({"omiga": "."}, r"omiga: must have algos/OMIGA.py, got '\.'"),
    ({"cfcql": "no/such"}, "cfcql: must have continuous/.*, got 'no/such'"),
  ],
)
def test_checkouts_are_looked_at_first(peer_code, checkouts, said):
  with pytest.raises(ValueError, match=said):
    peer_code.learners(checkouts, 16)


def test_checkouts_for_smac_too(peer_code):
  import peer_episodes  # pyright: ignore[reportMissingImports]

  with pytest.raises(ValueError, match="cfcql: must have discrete/.*, got 'no/such'"):
    peer_episodes.learners("no/such")


def test_a_checkout_for_sequences_too(peer_code):
  import peer_sequences  # pyright: ignore[reportMissingImports]

  with pytest.raises(ValueError, match="og_marl: must have og_marl/b.*, got 'no/such'"):
    peer_sequences.learners("no/such")
