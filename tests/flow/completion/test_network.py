"""The network that chooses: what must not matter to it, and files of its weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from completion_scenes import random_nodes, random_scene

from flow.completion import network as module
from flow.completion.agreement import agreement, consensus, flow_from
from flow.completion.choices import Choices, choices_of
from flow.completion.evidence import gather_evidence
from flow.completion.network import SHIPPED, ChoiceNetwork, load_choice_network, save_choice_network
from patchbatch.data.tensor_files import write_tensors
from patchbatch.errors import PatchBatchError


@pytest.fixture(scope="module")
def nodes():
    return random_nodes(random_scene(5), 5)


@pytest.fixture(scope="module")
def choices(nodes):
    return choices_of(nodes, gather_evidence(random_scene(5), nodes))


@pytest.fixture(scope="module")
def network():
    """Untaught, with scores that tell candidates apart."""
    torch.manual_seed(0)
    network = ChoiceNetwork(16, 8).eval()
    for layer in (network.first_score, network.round_score):
        layer.weight.data *= 10
    return network


@torch.inference_mode()
def judge(network, choices, rounds=3):
    return network(choices, rounds)


def same(verdict, other, tolerance=1e-4):
    for name in ("models", "right", "hidden"):
        torch.testing.assert_close(
            getattr(verdict, name), getattr(other, name), atol=tolerance, rtol=tolerance
        )


def rearranged(choices, order):
    """Return choices with each node's candidates in an order `(N, K')` of their old places; -1 is none."""
    numbers = torch.zeros(choices.there.shape, dtype=torch.long)
    numbers[choices.there] = torch.arange(int(choices.there.sum()))
    at = order.clamp(min=0)
    there = torch.gather(choices.there, 1, at) & (order >= 0)
    which = torch.gather(numbers, 1, at)[there]
    flows = torch.gather(choices.flows, 1, at[..., None].expand(-1, -1, 2)) * (order >= 0)[..., None]
    return replace(
        choices, there=there, flows=flows, candidates=choices.candidates[which], motion=choices.motion[which]
    )


def places(choices):
    count, most = choices.there.shape
    return torch.arange(most).expand(count, most).clone()


def test_choices_are_nodes_and_evidence(nodes, choices):
    evidence = gather_evidence(random_scene(5), nodes)
    assert choices.grid == nodes.open.shape
    assert choices.index.tolist() == np.flatnonzero(nodes.open).tolist()
    row, column = choices.there.nonzero(as_tuple=True)
    np.testing.assert_array_equal(choices.candidates, evidence.candidates[row, column])
    np.testing.assert_array_equal(choices.motion, nodes.ids[row, column])
    np.testing.assert_array_equal(choices.motions[:, :2], nodes.motions.centres)
    np.testing.assert_array_equal(choices.motions[:, 2:], nodes.motions.models)
    np.testing.assert_array_equal(choices.places[choices.index], nodes.points)
    np.testing.assert_array_equal(choices.trust, evidence.nodes[3].ravel())
    np.testing.assert_array_equal(choices.models, nodes.models.reshape(-1, 10))


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_verdict_is_about_all_nodes_and_chooses_what_there_is(network, choices, rounds):
    verdict = judge(network, choices, rounds)
    count, nodes = len(choices.index), len(choices.models)
    assert verdict.models.shape == (nodes, 10) and verdict.right.shape == verdict.hidden.shape == (nodes,)
    assert len(verdict.scores) == len(verdict.flows) == 1 + max(rounds, 1)
    assert verdict.scores[0].shape == choices.there.shape and verdict.scores[-1].shape == (count, 16)
    assert torch.isfinite(verdict.right).all() and torch.isfinite(verdict.hidden).all()
    candidates = torch.full(choices.there.shape, -1)
    candidates[choices.there] = choices.motion
    for n, node in enumerate(choices.index.tolist()):
        own = choices.motions[candidates[n][choices.there[n]]]
        assert (own == verdict.models[node]).all(1).any()
    closed = torch.ones(nodes, dtype=torch.bool)
    closed[choices.index] = False
    assert closed.any()
    torch.testing.assert_close(verdict.models[closed], choices.models[closed], atol=0, rtol=0)


@pytest.mark.parametrize("rounds", [0, 3])
def test_candidates_that_are_not_there_do_not_matter(network, choices, rounds):
    """Whatever stands in their place, and however many they are; also where fewer than 16 are there."""
    few = rearranged(choices, places(choices)[:, :5])
    for given in (choices, few):
        count, most = given.there.shape
        padding = torch.full((count, 7), -1)
        padded = rearranged(given, torch.cat([places(given), padding], 1))
        assert padded.there.shape == (count, most + 7)
        padded.flows[~padded.there] = 77
        same(judge(network, padded, rounds), judge(network, given, rounds))


def test_the_order_of_candidates_does_not_matter(network, choices):
    order = torch.stack([torch.randperm(choices.there.shape[1]) for _ in choices.index])
    expected, found = judge(network, choices), judge(network, rearranged(choices, order))
    same(found, expected)
    scores = torch.gather(expected.scores[0], 1, order)
    torch.testing.assert_close(found.scores[0], scores, atol=1e-4, rtol=1e-4)


def test_a_node_without_a_choice_takes_what_it_has(network, choices):
    single = rearranged(choices, places(choices)[:, :1])
    verdict = judge(network, single)
    expected = single.motions[single.motion]
    torch.testing.assert_close(verdict.models[single.index], expected, atol=0, rtol=0)


def test_no_open_node(network, choices):
    none = replace(
        choices, index=choices.index[:0], there=choices.there[:0], candidates=choices.candidates[:0],
        flows=choices.flows[:0], motion=choices.motion[:0],
    )  # fmt: skip
    for rounds in (0, 3):
        verdict = judge(network, none, rounds)
        torch.testing.assert_close(verdict.models, choices.models, atol=0, rtol=0)
        assert torch.isfinite(verdict.right).all()


def test_a_grid_of_one_node(network, choices):
    cells = {"motions": choices.motions, "motion": choices.motion[:1], "candidates": choices.candidates[:1]}
    one = Choices(
        index=torch.zeros(1, dtype=torch.long), there=choices.there[:1, :1], flows=choices.flows[:1, :1],
        numbers=choices.numbers[:, :1, :1], models=choices.models[:1], places=choices.places[:1], **cells,
    )  # fmt: skip
    verdict = judge(network, one)
    assert verdict.best.tolist() == [0] and torch.isfinite(verdict.right).all()
    torch.testing.assert_close(verdict.models[0], choices.motions[choices.motion[0]], atol=0, rtol=0)


def test_the_same_again(network, choices):
    first, second = judge(network, choices), judge(network, choices)
    for name in ("best", "models", "right", "hidden"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_rounds_and_neighbours_matter(network, choices):
    """Not after none; in each, what others chose is seen, however far the colours are from a node's own."""
    scores = judge(network, choices, 2).scores
    assert not torch.equal(scores[1], scores[2])
    moved = replace(choices, models=choices.models + torch.tensor([0.0] * 6 + [30, 30, 0, 0]))
    assert torch.equal(judge(network, moved, 0).right, judge(network, choices, 0).right)
    closed = len(choices.models) > len(choices.index)
    assert closed and not torch.equal(judge(network, moved, 2).scores[2], scores[2])


def test_in_each_round_nodes_see_what_the_others_chose_last(network, choices, monkeypatch):
    seen = []

    def spy(given, index, models, trust, flows):
        seen.append((models, trust, flows))
        assert torch.equal(index, given.index)  # so few nodes are looked at in one part
        return agreement(given, index, models, trust, flows)

    monkeypatch.setattr(module, "agreement", spy)
    scores = judge(network, choices, 3).scores
    columns = scores[0].topk(16, -1).indices
    there = torch.gather(choices.there, 1, columns)
    before = [torch.gather(scores[0], 1, columns), *scores[1:-1]]
    open_nodes = torch.zeros(len(choices.models), dtype=torch.bool)
    open_nodes[choices.index] = True
    assert len(seen) == 3
    for (models, trust, flows), score in zip(seen, before, strict=True):
        share = score.softmax(-1)
        best = consensus(share, flows, there)
        for n, node in enumerate(choices.index.tolist()):
            chosen = flows[n, best[n]]
            torch.testing.assert_close(flow_from(models[node], choices.places[node]), chosen)
            near = (flows[n] - chosen).norm(dim=-1) < 3
            assert trust[node] == pytest.approx(0.7 * share[n][near].sum().item(), abs=1e-5)
        assert torch.equal(models[~open_nodes], choices.models[~open_nodes])
        assert torch.equal(trust[~open_nodes], choices.trust[~open_nodes])


def test_what_speaks_for_a_candidate_matters(network, choices):
    """Each of its numbers, to itself and to its rivals."""
    scores = judge(network, choices, 0).scores[0]
    row = choices.there.nonzero(as_tuple=True)[0]
    node = int(choices.there.sum(1).argmax())
    for number in range(choices.candidates.shape[1]):
        candidates = choices.candidates.clone()
        candidates[int((row == node).nonzero()[0]), number] += 1
        changed = judge(network, replace(choices, candidates=candidates), 0).scores[0] != scores
        assert changed[node, 0] and changed[node].sum() > 1
        assert not changed[:node].any() and not changed[node + 1 :].any()


def test_gradients_reach_every_weight(choices):
    torch.manual_seed(1)
    network = ChoiceNetwork(16, 8)
    verdict = network(choices, 2)
    loss = sum(score[flows.isfinite().all(-1)].clamp(-50, 50).square().mean()
               for score, flows in zip(verdict.scores, verdict.flows, strict=True))  # fmt: skip
    (loss + verdict.right.square().mean() + verdict.hidden.square().mean()).backward()
    unmoved = [name for name, weight in network.named_parameters() if weight.grad is None]
    assert not unmoved


def test_weights_are_read_as_they_were_written(tmp_path, choices):
    torch.manual_seed(2)
    written = ChoiceNetwork().eval()
    path = tmp_path / "weights.safetensors"
    save_choice_network(written, path)
    read = load_choice_network(str(path))
    assert not read.training
    for name, value in written.state_dict().items():
        assert torch.equal(read.state_dict()[name], value.half().float())
    same(judge(read, choices), judge(written.half().float(), choices), 0)
    assert load_choice_network(str(path)) is read


def test_weights_first_read_while_completing_can_be_taught(tmp_path):
    """What is made in inference mode has no gradients ever after, and the network is kept."""
    path = tmp_path / "weights.safetensors"
    save_choice_network(ChoiceNetwork(), path)
    with torch.inference_mode():
        network = load_choice_network(str(path))
    assert not any(weight.is_inference() for weight in network.parameters())


@pytest.mark.parametrize("content", [None, b"", b"no weights", "other"])
def test_a_wrong_file_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "weights.safetensors"
    if content == "other":
        write_tensors(path, {"first": np.zeros(3, np.float32)})
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(PatchBatchError, match=r"weights\.safetensors") as caught:
        load_choice_network(str(path))
    assert "\n" not in str(caught.value)


def test_weights_of_another_width_are_refused(tmp_path):
    path = tmp_path / "wide.safetensors"
    save_choice_network(ChoiceNetwork(32, 16), path)
    with pytest.raises(PatchBatchError, match="holds no weights of a choice network") as caught:
        load_choice_network(str(path))
    assert "\n" not in str(caught.value)


def test_weights_ship():
    network = load_choice_network()
    assert SHIPPED.stat().st_size < 1_000_000
    assert all(torch.isfinite(weight).all() for weight in network.parameters())
