"""Teaching: it learns, it repeats itself, and it goes on where it stopped."""

import copy

import pytest
import torch
from made_choices import made_sample

from flow.completion.network import ChoiceNetwork, load_choice_network, save_choice_network
from flow.completion.train.losses import choice_loss, chosen_error
from flow.completion.train.samples import read_sample, write_sample
from flow.completion.train.settings import ChoiceTraining
from flow.completion.train.teach import Teacher, rate_at, teach
from patchbatch.errors import PatchBatchError

SMALL = {
    "rows": 8, "columns": 9, "least_open": 5, "least_known": 5, "rounds": 1, "learning_rate": 4e-2,
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two made samples and a real one."""
    folder = tmp_path_factory.mktemp("samples")
    names = [folder / f"{name}.npz" for name in ("made0", "made1", "real")]
    for seed, name in enumerate(names):
        write_sample(name, made_sample(seed=seed, most=6, visible=seed < 2))
    return names[:2], names[2:]


def weights_of(teacher):
    return torch.cat([weights.flatten() for weights in teacher.averaged.parameters()]).detach()


def test_rate_rises_then_falls_to_nothing():
    assert rate_at(0, 0, 1) == pytest.approx(0.01)
    assert rate_at(99, 0, 2) == 2
    assert rate_at(500, 0.5, 2) == pytest.approx(1)
    assert rate_at(1000, 1, 2) == 0 == rate_at(1000, 1.5, 2)


def test_steps_lower_the_loss_and_the_wrong_share(files):
    teacher = Teacher(ChoiceTraining(steps=40, **SMALL))
    sample = read_sample(files[0][0])
    choices, truth = sample.choices(), sample.answers()
    figures = []
    for network in (copy.deepcopy(teacher.network), teacher.network):
        while network is teacher.network and teacher.progress < 1:
            assert len(teacher.visit(*files)) == 4
        with torch.no_grad():
            verdict = network(choices, 1)
            wrong = chosen_error(verdict, choices, truth) > 3
            figures.append((float(choice_loss(verdict, choices, truth)), float(wrong.float().mean())))
    (loss, wrong_share), (less, fewer) = figures
    assert less < 0.8 * loss and fewer < 0.6 * wrong_share


def test_a_stopped_run_ends_with_the_same_weights(files, tmp_path):
    training, checkpoint = ChoiceTraining(steps=10, **SMALL), tmp_path / "w.checkpoint.pt"
    whole = Teacher(training)
    teach(whole, *files, checkpoint, "record")
    assert whole.step == 10 and whole.progress == 1
    checkpoint.unlink()
    stopped = Teacher(training)
    stopped.visit(*files)
    stopped.save(checkpoint, "record")
    again = Teacher(training)
    again.resume(checkpoint, "record")
    assert again.step == stopped.step == 4
    teach(again, *files, checkpoint, "record")
    assert torch.equal(weights_of(again), weights_of(whole))
    assert not torch.equal(weights_of(whole), torch.cat([w.flatten() for w in whole.network.parameters()]))
    done = Teacher(training)
    done.resume(checkpoint, "record")
    assert done.progress == 1 and torch.equal(weights_of(done), weights_of(whole))


def test_checkpoints_of_other_runs_and_damaged_ones_are_refused(tmp_path):
    checkpoint, teacher = tmp_path / "w.checkpoint.pt", Teacher(ChoiceTraining(**SMALL))
    teacher.resume(checkpoint, "record")  # there is none
    teacher.save(checkpoint, "record")
    with pytest.raises(PatchBatchError, match="other settings"):
        teacher.resume(checkpoint, "another")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(PatchBatchError, match="delete it"):
        teacher.resume(checkpoint, "record")


def test_earlier_weights_are_started_from_and_others_refused(tmp_path):
    torch.manual_seed(5)
    save_choice_network(ChoiceNetwork(), tmp_path / "w.safetensors")
    teacher = Teacher(ChoiceTraining(), start=tmp_path / "w.safetensors")
    shared = load_choice_network(str(tmp_path / "w.safetensors"))
    for mine, theirs in zip(teacher.network.parameters(), shared.parameters(), strict=True):
        assert torch.equal(mine, theirs) and mine is not theirs
    from flow.edges.network import EdgeNetwork, save_edge_network  # noqa: PLC0415

    save_edge_network(EdgeNetwork(), tmp_path / "edges.safetensors")
    with pytest.raises(PatchBatchError, match="choice network"):
        Teacher(ChoiceTraining(), start=tmp_path / "edges.safetensors")


def test_minutes_end_a_run_too(files, tmp_path):
    teacher = Teacher(ChoiceTraining(steps=10_000, minutes=1e-4, **SMALL))
    teach(teacher, *files, tmp_path / "w.pt", "record")
    assert 1 <= teacher.step < 100


def test_samples_without_windows_are_told(files, tmp_path, monkeypatch):
    monkeypatch.setattr("flow.completion.train.teach._MOST_IDLE", 3)
    teacher = Teacher(ChoiceTraining(steps=2, **{**SMALL, "least_open": 500}))
    with pytest.raises(PatchBatchError, match="500 open nodes"):
        teach(teacher, *files, tmp_path / "w.pt", "record")
