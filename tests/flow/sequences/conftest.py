"""What the tests of sequences share."""

import pytest
from made_sequences import pretended, write_frames


@pytest.fixture
def films():
    """Let videos be made, which takes a second each."""
    pytest.importorskip("av")


@pytest.fixture
def quick(request, monkeypatch):
    """Let the command pretend to estimate flows, so that its words and files can be tried in no time."""
    if "films" not in request.fixturenames:
        monkeypatch.setattr("flow.sequences.video.can_videos", lambda: False)
    monkeypatch.setattr("flow.sequences.work.estimate_flow", pretended)
    monkeypatch.setattr("flow.sequences.run.load_descriptor", lambda name, device: name)


@pytest.fixture
def frames(tmp_path, monkeypatch):
    """Twelve frames in the folder `frames` of an empty working folder."""
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / "frames", 12)
    return tmp_path
