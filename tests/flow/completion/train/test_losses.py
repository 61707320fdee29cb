"""The losses, by closed form."""

import math

import pytest
import torch
from made_choices import made_sample

from flow.completion.network import ChoiceNetwork, Verdict
from flow.completion.train.losses import choice_loss, chosen_error, scores_loss


def test_scores_loss_is_its_formula():
    flows = torch.tensor([[[3.0, 4.0], [0.0, 0.0]], [[900.0, 0.0], [0.0, 0.0]]])
    scores = torch.tensor([[math.log(0.25), math.log(0.75)]] * 2)
    truth, both = torch.zeros(2, 2), torch.tensor([True, True])
    near = 0.25 / (1 + (5 / 1.5) ** 2) + 0.75
    first = 0.25 * (math.log(6) + 0.1) - 0.3 * math.log(near + 1e-3)
    far = 0.25 / (1 + 600**2) + 0.75
    second = 0.25 * (math.log(901) + 2) - 0.3 * math.log(far + 1e-3)
    assert float(scores_loss(scores, flows, truth, both)) == pytest.approx((first + second) / 2, rel=1e-5)
    one = torch.tensor([True, False])
    assert float(scores_loss(scores, flows, truth, one)) == pytest.approx(first, rel=1e-5)
    assert float(scores_loss(scores, flows, truth, ~both)) == 0


def verdict_of(sample, right_scores, rounds=2):
    """Return a verdict that is as sure as the scores of the right candidates, and its choices and truth."""
    choices, truth = sample.choices(), sample.answers()
    told = torch.zeros(choices.there.shape)
    told[choices.there] = choices.candidates[:, 4]
    scores = torch.where(choices.there, (1 - 2 * told) * right_scores, -1e4)
    best = scores.argmax(-1)
    kept = ((truth.today - truth.flow).norm(dim=-1) <= 3).float()
    right = kept.index_fill(0, choices.index, 1)
    hidden = torch.zeros_like(right) if truth.visible is None else 1 - truth.visible.float()
    logits = [(2 * each - 1) * abs(right_scores) for each in (right, hidden, torch.stack([kept, hidden], -1))]
    return (
        Verdict([scores] * (rounds + 1), [choices.flows] * (rounds + 1), best, choices.models, *logits),
        choices,
        truth,
    )


@pytest.mark.parametrize("visible", [True, False])
def test_a_perfect_verdict_costs_next_to_nothing(visible):
    sample = made_sample(visible=visible)
    perfect = verdict_of(sample, 30.0)
    assert chosen_error(*perfect).max() == 0
    # The mass near the truth is 1, and log(1 + 0.001) of it comes off in each round.
    assert float(choice_loss(*perfect)) == pytest.approx(-0.3 * 2 * math.log(1.001), abs=1e-4)
    assert float(choice_loss(*verdict_of(sample, 0.0))) > 1


def test_what_is_said_of_settled_and_open_nodes_counts_apart():
    sample = made_sample()
    verdict, choices, truth = verdict_of(sample, 30.0)
    base = float(choice_loss(verdict, choices, truth))
    is_open = torch.zeros_like(truth.valid).index_fill(0, choices.index, 1)
    kept, said = choices.trust >= 0.45, verdict.as_interpolated
    assert (kept & is_open).any() and (~kept).any()
    for logits, nodes, weight in [
        (verdict.right, is_open & truth.valid, 0.5), (said[:, 0], kept & truth.valid, 0.3),
        (verdict.hidden, is_open, 0.3), (said[:, 1], kept, 0.3),
    ]:  # fmt: skip
        kept = logits.clone()
        logits[nodes] = 0  # undecided: log 2 each
        assert float(choice_loss(verdict, choices, truth)) - base == pytest.approx(
            weight * math.log(2), abs=1e-4
        )
        logits.copy_(kept)


def test_unknown_truth_counts_nowhere():
    sample = made_sample(visible=False)
    verdict, choices, truth = verdict_of(sample, 2.0)
    base = choice_loss(verdict, choices, truth)
    truth.flow[~truth.valid] = 1e3
    torch.testing.assert_close(choice_loss(verdict, choices, truth), base)


def test_gradients_reach_every_weight():
    torch.manual_seed(0)
    network, sample = ChoiceNetwork(), made_sample()
    choices, truth = sample.choices(), sample.answers()
    choice_loss(network(choices, 2), choices, truth).backward()
    for name, weights in network.named_parameters():
        assert weights.grad is not None and torch.isfinite(weights.grad).all(), name
        # What attention adds to all alike cancels in the softmax, and so does it in scores.
        if name not in ("attention.bias", "round_attention.bias", "first_score.bias", "round_score.bias"):
            assert weights.grad.abs().max() > 0, name
