"""The choices of the command line about interpolation and refinement."""

import numpy as np
import pytest

from flow.cli import main
from flow.edges.network import network_edges
from flow.synthetic import demo_scene
from patchbatch.data import read_flow, write_image
from patchbatch.data.images import load_image
from patchbatch.data.matches_io import write_edges


@pytest.fixture
def frames(tmp_path, monkeypatch):
    """Two small frames in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    scene = demo_scene(48, 64)
    write_image(tmp_path / "a.png", scene.image1)
    write_image(tmp_path / "b.png", scene.image2)
    return tmp_path


def flow_with(folder, *words):
    assert main(["a.png", "b.png", "-q", "-o", "out.flo", *words]) == 0
    return read_flow(folder / "out.flo")[0]


def test_edges_of_any_form_give_the_same_flow_and_another_than_none(frames):
    edges = np.zeros((48, 64), np.float32)
    edges[:, 30:32] = 1
    flows = []
    for name in ("edges.raw", "edges.npy", "edges.png"):
        write_edges(frames / name, edges)
        flows.append(flow_with(frames, "--edges", name, "--no-refine"))
    np.testing.assert_array_equal(flows[0], flows[1])
    np.testing.assert_array_equal(flows[0], flows[2])
    assert (flows[0] != flow_with(frames, "--no-refine")).any()


def test_edges_of_another_size_are_named(frames, capsys):
    write_edges(frames / "small.npy", np.zeros((4, 4), np.float32))
    assert main(["a.png", "b.png", "--edges", "small.npy"]) == 1
    message = capsys.readouterr().err
    assert "small.npy" in message and message.count("\n") == 1


def test_estimators_and_refinements_differ(frames):
    plain = flow_with(frames)
    for words in (("--estimator", "affine"), ("--refinement", "opencv")):
        assert (flow_with(frames, *words) != plain).any()


def test_the_shipped_edge_network_is_asked_by_name(frames):
    image = load_image(frames / "a.png")
    write_edges(frames / "found.npy", network_edges(image))
    by_name = flow_with(frames, "--edges", "network", "--no-refine")
    np.testing.assert_array_equal(by_name, flow_with(frames, "--edges", "found.npy", "--no-refine"))
