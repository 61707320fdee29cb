"""Each frame is described once, and the flow is that of single pairs to the last bit."""

import numpy as np
import pytest
from made_sequences import moving, write_frames

from flow.pipeline import estimate_flow
from flow.sequences.settings import SequenceSettings
from flow.sequences.sources import find_files
from flow.sequences.work import Worker, write_results
from flow.settings import flow_settings
from patchbatch.data import read_flow
from patchbatch.descriptors.remembered import remembering
from patchbatch.models import load_descriptor


@pytest.fixture(scope="module")
def net():
    return load_descriptor("compact")


@pytest.fixture
def described(net, monkeypatch):
    """Collect the sizes of what is described."""
    seen, describe = [], type(net).describe_pyramid

    def counted(self, image, *arguments):
        seen.append(image.shape)
        return describe(self, image, *arguments)

    monkeypatch.setattr(type(net), "describe_pyramid", counted)
    return seen


def test_frames_are_described_once_and_the_flow_is_that_of_pairs(tmp_path, net, described):
    write_frames(tmp_path / "frames", 4)
    pairs = list(find_files([str(tmp_path / "frames")], 1).pairs())
    with remembering() as memory:
        worker = Worker(net, flow_settings(), SequenceSettings(both_ways=True), memory)
        found = [worker.results(pair, ahead) for pair, ahead in zip(pairs, [*pairs[1:], None], strict=True)]
    assert described == [(48, 64)] * 4
    assert [result[""].costs["describe"].gflop > 0 for result in found] == [True, False, False]
    images = moving(4)
    for number, result in enumerate(found):
        alone = estimate_flow(images[number], images[number + 1], net)
        np.testing.assert_array_equal(result[""].flow, alone.flow)
        np.testing.assert_array_equal(result[""].occluded, alone.occluded)
    back = estimate_flow(images[1], images[0], net)
    np.testing.assert_array_equal(found[0]["backward"].flow, back.flow)


def test_a_frame_between_is_the_one_that_was_left_out(tmp_path, net):
    write_frames(tmp_path / "frames", 3, height=64, width=96)
    (pair,) = find_files([str(tmp_path / "frames")], 2).pairs()
    settings = SequenceSettings(step=2, between=1)
    paths = {key: tmp_path / file.replace("/", "-") for key, file in settings.files(pair.name).items()}
    with remembering() as memory:
        write_results(pair, Worker(net, flow_settings(), settings, memory).results(pair), paths)
    from patchbatch.data import read_image  # noqa: PLC0415

    made = read_image(paths["between", "1"]).astype(int)
    assert np.abs(made - moving(3, height=64, width=96)[1])[8:-8, 8:-8].mean() < 3
    assert read_flow(paths["", "flow"])[0].shape == (64, 96, 2)
