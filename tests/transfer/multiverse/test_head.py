"""The multiverse head against its formulas written out, and in the places where it has to work."""

import itertools
import re

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from patchbatch.errors import PatchBatchError
from patchbatch.transfer.multiverse.diagnostics import diagnose
from patchbatch.transfer.multiverse.head import MultiverseHead, MultiverseSettings, within_class_products

FEATURES, CLASSES = 7, 5


def make_head(copies=3, seed=0, **settings):
    torch.manual_seed(seed)
    return MultiverseHead(FEATURES, CLASSES, copies, MultiverseSettings(**settings)).double()


def make_batch(count=40, seed=1):
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(count, FEATURES, generator=random, dtype=torch.float64)
    return x, torch.randint(CLASSES, (count,), generator=random)


def written_out(head, x, labels, metric):
    """The loss of the talk, sample by sample, class by class and pair by pair."""
    settings, losses, norms, products = head.settings, [], 0.0, 0.0
    for weight, bias in zip(head.weight, head.bias, strict=True):
        scores = torch.stack([weight @ sample + bias for sample in x])
        own = torch.stack([scores[i, label] for i, label in enumerate(labels)])
        losses.append((scores.exp().sum(1).log() - own).mean())
        power = 2 if settings.squared else 1
        norms = norms + weight.norm() ** power + bias.norm() ** power
    for one, other in itertools.combinations(head.weight, 2):
        products = products + sum(abs(f @ metric @ g) for f, g in zip(one, other, strict=True))
    total = sum(losses) / (len(losses) if settings.reduction == "mean" else 1)
    return total + settings.weight_penalty * norms + settings.orthogonality * products


@pytest.mark.parametrize("copies", [1, 2, 3, 5])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("squared", [True, False])
def test_loss_is_the_talks(copies, reduction, squared):
    head = make_head(copies, reduction=reduction, squared=squared, weight_penalty=0.3, orthogonality=0.2)
    x, labels = make_batch()
    expected = written_out(head, x, labels, torch.eye(FEATURES, dtype=torch.float64))
    torch.testing.assert_close(head(x, labels), expected)


def test_within_loss_uses_the_running_scatter():
    head = make_head(inner_product="within", orthogonality=0.2)
    x, labels = make_batch()
    loss = head(x, labels)
    torch.testing.assert_close(loss, written_out(head, x, labels, head.within_scatter.double()))


def test_sum_is_copies_times_the_mean_with_smaller_weights():
    x, labels = make_batch()
    total = make_head(4, reduction="sum", weight_penalty=0.4, orthogonality=0.8)
    mean = make_head(4, reduction="mean", weight_penalty=0.1, orthogonality=0.2)
    torch.testing.assert_close(total(x, labels), 4 * mean(x, labels))


@pytest.mark.parametrize("inner_product", ["plain", "within"])
def test_gradients_are_those_of_differences(inner_product):
    head = make_head(inner_product=inner_product, orthogonality=0.2).eval()
    x, labels = make_batch(6)
    parameters = (x.requires_grad_(), head.weight, head.bias)

    def loss(values, weight, bias):
        arguments = (values, labels)
        return torch.func.functional_call(head, {"weight": weight, "bias": bias}, arguments)

    assert torch.autograd.gradcheck(loss, parameters)


def test_one_copy_is_softmax_regression_with_weight_decay():
    head = make_head(copies=1, weight_penalty=0.0)
    x, labels = make_batch()
    plain = nn.functional.cross_entropy(x @ head.weight[0].T + head.bias[0], labels)
    torch.testing.assert_close(head(x, labels), plain)


def test_logits_are_the_mean_of_the_copies_and_predict_gives_their_softmax():
    head = make_head()
    x, _ = make_batch()
    expected = torch.stack([x @ w.T + b for w, b in zip(head.weight, head.bias, strict=True)]).mean(0)
    torch.testing.assert_close(head.logits(x), expected)
    torch.testing.assert_close(head.predict(x), expected.softmax(dim=1))


def exact_scatter(x, labels):
    """S_w by its definition, scaled to trace d."""
    total = torch.zeros(FEATURES, FEATURES, dtype=x.dtype)
    for label in labels.unique():
        residual = x[labels == label] - x[labels == label].mean(0)
        total += residual.T @ residual
    return total * FEATURES / total.trace()


def test_scatter_without_memory_is_that_of_the_batch():
    x, labels = make_batch()
    head = make_head(inner_product="within", memory=0.0)
    assert torch.equal(head.within_scatter, torch.eye(FEATURES, dtype=torch.float64))
    head(x, labels)
    torch.testing.assert_close(head.within_scatter, exact_scatter(x, labels), rtol=1e-5, atol=1e-6)


def test_scatter_forgets_as_told_and_keeps_its_trace():
    head = make_head(inner_product="within", memory=0.8)
    expected = torch.eye(FEATURES, dtype=torch.float64)
    for seed in range(3):
        x, labels = make_batch(seed=seed)
        head(x, labels)
        expected = 0.8 * expected + 0.2 * exact_scatter(x, labels)
    torch.testing.assert_close(head.within_scatter, expected, rtol=1e-5, atol=1e-6)
    assert float(head.within_scatter.trace()) == pytest.approx(FEATURES)


def test_scatter_rests_without_labels_in_evaluation_and_without_pairs_of_a_class():
    head = make_head(inner_product="within")
    x, labels = make_batch()
    head(x)
    head(x[:CLASSES], torch.arange(CLASSES))
    head.eval()(x, labels)
    assert torch.equal(head.within_scatter, torch.eye(FEATURES, dtype=torch.float64))


def test_no_gradient_flows_through_the_scatter():
    head = make_head(inner_product="within", memory=0.0, weight_penalty=0.0)
    x, labels = make_batch()
    (through_both,) = torch.autograd.grad(head(x.requires_grad_(), labels), x)
    head.eval()
    head.settings = MultiverseSettings(weight_penalty=0.0, orthogonality=0.0, inner_product="within")
    (through_entropy,) = torch.autograd.grad(head(x, labels), x)
    torch.testing.assert_close(through_both, through_entropy)


def test_products_of_classes_far_more_than_samples():
    x, _ = make_batch(3)
    got = within_class_products(x, torch.tensor([10_000_000, 7, 10_000_000]))
    half = (x[0] - x[2])[:, None] / 2**0.5
    torch.testing.assert_close(got, half @ half.T)


def train_head(steps=250, **settings):
    head = make_head(inner_product=settings.pop("inner_product", "plain"), **settings)
    x, labels = make_batch(200)
    optimizer = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        head(x, labels).backward()
        optimizer.step()
        schedule.step()
    return head, x


@pytest.mark.parametrize("inner_product", ["plain", "within"])
def test_training_makes_the_copies_orthogonal(inner_product):
    head, x = train_head(orthogonality=0.1, inner_product=inner_product, memory=0.5)
    assert diagnose(head, x).cosine < 0.02


def test_diagnostics_of_copies_that_differ_by_the_shift_of_lemma_1():
    head = make_head(copies=2)
    x, _ = make_batch()
    with torch.no_grad():
        head.weight[1] = head.weight[0] + torch.randn(FEATURES, dtype=torch.float64)
        head.bias[1] = head.bias[0] + 7.3
    found = diagnose(head, x)
    assert found.agreement == 1
    assert found.total_variation == pytest.approx(0, abs=1e-12)
    assert found.logit_gap == pytest.approx(0, abs=1e-12)
    cosines = nn.functional.cosine_similarity(head.weight[0], head.weight[1], dim=1)
    assert found.cosine == pytest.approx(float(cosines.detach().abs().mean()))


def test_diagnostics_of_opposite_copies():
    head = make_head(copies=2)
    x, _ = make_batch()
    with torch.no_grad():
        head.weight[1], head.bias[1] = -head.weight[0], -head.bias[0]
        p, q = head(x).softmax(-1).unbind(1)
    found = diagnose(head, x)
    assert found.cosine == pytest.approx(1)
    assert found.logit_gap == pytest.approx(2)
    assert found.agreement == pytest.approx(float((p.argmax(1) == q.argmax(1)).double().mean()))
    assert found.total_variation == pytest.approx(float((p - q).abs().sum(1).mean() / 2))


def test_diagnostics_of_one_copy():
    found = diagnose(make_head(copies=1), make_batch()[0])
    assert (found.cosine, found.agreement, found.total_variation, found.logit_gap) == (0, 1, 0, 0)


@pytest.mark.parametrize("inner_product", ["plain", "within"])
def test_autocast_keeps_the_penalty_and_the_loss_in_single_precision(inner_product):
    head = make_head(inner_product=inner_product).float()
    x, labels = make_batch()
    x = x.float()
    with torch.autocast("cpu", torch.bfloat16):
        logits, penalty, loss = head(x), head.penalty(), head(x.bfloat16(), labels)
    assert logits.dtype == torch.bfloat16
    assert penalty.dtype == loss.dtype == torch.float32
    assert float(loss.detach()) == pytest.approx(float(head(x, labels).detach()), rel=0.01)
    loss.backward()
    assert head.weight.grad.dtype == torch.float32
    assert torch.isfinite(head.weight.grad).all()


def test_half_precision_throughout():
    head = make_head(inner_product="within").bfloat16()
    x, labels = make_batch()
    assert head(x.bfloat16(), labels).dtype == torch.float32


@pytest.mark.parametrize("inner_product", ["plain", "within"])
def test_state_round_trip(inner_product, tmp_path):
    head, (x, labels) = make_head(inner_product=inner_product), make_batch()
    head(x, labels)
    torch.save(head.state_dict(), tmp_path / "head.pt")
    other = make_head(inner_product=inner_product, seed=9)
    other.load_state_dict(torch.load(tmp_path / "head.pt", weights_only=True))
    assert torch.equal(other.eval()(x, labels), head.eval()(x, labels))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"features": 0, "classes": 3}, "features is 0"),
        ({"features": 3, "classes": 1}, "classes is 1"),
        ({"features": 3, "classes": 3, "copies": 0}, "copies is 0"),
    ],
)
def test_sizes_too_small(arguments, message):
    with pytest.raises(PatchBatchError, match=message):
        MultiverseHead(**arguments)


@pytest.mark.parametrize(
    "settings",
    [
        {"reduction": "max"}, {"inner_product": "cosine"}, {"memory": 1.0},
        {"weight_penalty": -1.0}, {"orthogonality": float("nan")},
    ],
)  # fmt: skip
def test_settings_out_of_range(settings):
    with pytest.raises(PatchBatchError, match=re.escape(next(iter(settings)))):
        MultiverseSettings(**settings)


@pytest.mark.parametrize(
    ("x", "labels", "message"),
    [
        (torch.zeros(4, 6), None, "made for"),
        (torch.zeros(FEATURES), None, "made for"),
        (torch.zeros(2, FEATURES), torch.zeros(2), "as integers"),
        (torch.zeros(2, FEATURES), torch.zeros(2, dtype=torch.bool), "as integers"),
        (torch.zeros(2, FEATURES), torch.zeros(3, dtype=torch.long), "one each"),
        (torch.zeros(0, FEATURES), torch.zeros(0, dtype=torch.long), "one each"),
        (torch.zeros(2, FEATURES), torch.tensor([0, CLASSES]), "labels from 0 to 5"),
        (torch.zeros(2, FEATURES), torch.tensor([-100, 0]), "labels from -100"),
    ],
)
def test_input_that_does_not_fit_is_one_line(x, labels, message):
    with pytest.raises(PatchBatchError, match=message) as raised:
        make_head().float()(x, labels)
    assert "\n" not in str(raised.value)


def test_labels_of_any_integer_type():
    head, (x, labels) = make_head(), make_batch()
    assert torch.equal(head(x, labels), head(x, labels.to(torch.int32)))
    assert torch.equal(head(x, labels), head(x, labels.to(torch.uint8)))


def one_of_two(rank, port, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    head = DistributedDataParallel(make_head(inner_product="within", memory=0.0))
    x, labels = make_batch()
    half = slice(20 * rank, 20 * (rank + 1))
    head(x[half], labels[half]).backward()
    torch.save((head.module.weight.grad, head.module.within_scatter), folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_have_one_scatter_and_one_gradient(free_port, tmp_path):
    mp.spawn(one_of_two, (free_port, tmp_path), nprocs=2)
    (gradient, scatter), (other_gradient, other_scatter) = (torch.load(tmp_path / f"{r}.pt") for r in (0, 1))
    assert torch.equal(gradient, other_gradient)
    assert torch.equal(scatter, other_scatter)
    x, labels = make_batch()
    # Class means are those of each process's half.
    halves = torch.cat([labels[:20], labels[20:] + CLASSES])
    torch.testing.assert_close(scatter, exact_scatter(x, halves), rtol=1e-5, atol=1e-6)
    alone = make_head(inner_product="within", memory=0.0)
    alone.within_scatter.copy_(scatter)
    alone.eval()(x, labels).backward()
    torch.testing.assert_close(gradient, alone.weight.grad, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("inner_product", ["plain", "within"])
def test_compiled_in_one_graph_it_is_the_same(inner_product):
    head, other = (make_head(inner_product=inner_product).float() for _ in range(2))
    x, labels = make_batch()
    x = x.float()
    compiled = torch.compile(head, fullgraph=True)
    try:
        loss = compiled(x, labels)
    except torch._inductor.exc.InductorError as error:
        pytest.skip(f"torch cannot compile here: {str(error).splitlines()[0]}")
    expected = other(x, labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(head.weight.grad, other.weight.grad)
    if inner_product == "within":
        torch.testing.assert_close(head.within_scatter, other.within_scatter)


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_a_batch_that_is_not_finite_does_not_poison_the_scatter(bad):
    head, x = make_head(inner_product="within", memory=0.5), make_batch()[0]
    labels = torch.arange(len(x)) % CLASSES
    head(x, labels)
    before = head.within_scatter.clone()
    spoilt = x.clone()
    spoilt[3, 2] = bad
    head(spoilt, labels)
    assert torch.equal(head.within_scatter, before)
    head(x, labels)
    assert torch.isfinite(head.within_scatter).all() and not torch.equal(head.within_scatter, before)
