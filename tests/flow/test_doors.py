"""Other people's parts in place of ours: descriptors, matchers, settings, matches, edges, a flow."""

import re

import numpy as np
import pytest
import torch

from flow.cli import main
from flow.matching.matches import Matches
from flow.matching.settings import ConfidenceWeights, MatchingSettings
from flow.matching.table import MATCHERS
from flow.pipeline import estimate_flow
from flow.settings import FlowSettings, flow_settings, read_settings, settings_text, with_methods
from flow.synthetic import demo_scene
from patchbatch import load_descriptor, load_model
from patchbatch.data import read_flow, write_edges, write_flow, write_image
from patchbatch.descriptors import DenseDescriptor, Descriptor, save_weights
from patchbatch.descriptors.description import halvings
from patchbatch.errors import PatchBatchError

EXAMPLES = "examples.own_descriptors"


@pytest.fixture(scope="module")
def scene():
    return demo_scene(64, 80)


@pytest.fixture
def frames(tmp_path, monkeypatch, scene):
    monkeypatch.chdir(tmp_path)
    write_image("a.png", scene.image1)
    write_image("b.png", scene.image2)
    return tmp_path


def run(*words):
    return main(["a.png", "b.png", "-q", *words])


def flow_of(*words):
    assert run("-o", "out.npz", *words) == 0
    return read_flow("out.npz")[0]


@pytest.mark.parametrize(
    "name",
    [
        "dense_sift",
        "root_sift",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("tfeat", "hardnet")),
    ],
)
def test_descriptors_of_the_examples_give_a_whole_flow(name, scene, monkeypatch, request):
    if name == "tfeat":
        weights = request.getfixturevalue("real_data") / "tfeat" / "tfeat-liberty.safetensors"
        monkeypatch.setenv("TFEAT_WEIGHTS", str(weights))
    descriptor = load_descriptor(f"{EXAMPLES}:{name}")
    assert isinstance(descriptor, Descriptor)
    result = estimate_flow(scene.image1, scene.image2, descriptor)
    assert result.valid.all()
    assert np.isfinite(result.flow).all()
    assert not result.calibrated
    found = np.linalg.norm(result.flow - scene.flow, axis=2)
    still = np.linalg.norm(scene.flow, axis=2)
    assert np.median(found) < 0.25 * np.median(still), "the flow follows the scene"


def test_only_what_was_fitted_is_called_calibrated(scene):
    small = scene.image1[:48, :48], scene.image2[:48, :48]
    assert estimate_flow(*small, refine=False, interpolate=False).calibrated
    by_patchmatch = FlowSettings(MatchingSettings("patchmatch"))
    assert not estimate_flow(*small, settings=by_patchmatch, interpolate=False).calibrated
    by_hand = FlowSettings(MatchingSettings("patchmatch", confidence=ConfidenceWeights(bias=-20.0)))
    result = estimate_flow(*small, settings=by_hand, interpolate=False)
    assert result.calibrated
    assert result.matches.confidence.max() < 1e-3, "the weights that were given are used"


def test_a_weights_file_is_not_taken_for_the_model_of_its_name(tmp_path, scene):
    save_weights(load_model("compact"), tmp_path / "compact.safetensors")
    result = estimate_flow(scene.image1, scene.image2, tmp_path / "compact.safetensors", interpolate=False)
    assert not result.calibrated
    same = estimate_flow(scene.image1, scene.image2, "compact", interpolate=False)
    np.testing.assert_array_equal(result.flow, same.flow)


def test_a_module_and_its_factory_give_the_same_flow(frames, scene):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(81, 16, bias=False)).requires_grad_(
        False
    )
    torch.manual_seed(3)
    torch.nn.init.normal_(module[1].weight)
    module.patch_size = 9
    (frames / "patches_of_nine.py").write_text(
        "import torch\n\ndef make():\n"
        "    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(81, 16, bias=False))\n"
        "    torch.manual_seed(3)\n    torch.nn.init.normal_(net[1].weight)\n    net.patch_size = 9\n"
        "    return net.requires_grad_(False)\n"
    )
    write_flow("direct.npz", estimate_flow("a.png", "b.png", module).flow)
    np.testing.assert_array_equal(flow_of("--model", "patches_of_nine:make"), read_flow("direct.npz")[0])


@pytest.mark.parametrize("matcher", list(MATCHERS))
def test_every_matcher_finds_the_motion(frames, scene, matcher):
    error = np.linalg.norm(flow_of("--matcher", matcher) - scene.flow, axis=2)
    assert np.median(error) < 1


def test_matches_that_were_written_give_the_same_flow_again(frames):
    """Interpolated, that is: to choose takes descriptors and the matches that were dropped."""
    for extra in ((), ("--preset", "kitti"), ("--estimator", "affine")):
        whole = flow_of("--matches", "m.txt", "--dense", "interpolated", *extra)
        np.testing.assert_array_equal(flow_of("--matches-in", "m.txt", *extra), whole)


def test_matches_as_an_array_or_a_list_of_scores_of_unknown_scale(scene):
    found = estimate_flow(scene.image1, scene.image2).matches
    table = np.column_stack([found.points1, found.points2, found.confidence])
    with_scores = estimate_flow(scene.image1, scene.image2, matches=table)
    np.testing.assert_array_equal(with_scores.matches.confidence, found.confidence)
    assert not with_scores.calibrated
    table[:, 4] *= 40  # DeepMatching's scores
    equal = estimate_flow(scene.image1, scene.image2, matches=table)
    assert (equal.matches.confidence == 1).all()
    with pytest.raises(PatchBatchError, match=r"\(N, 4\) or \(N, 5\)"):
        estimate_flow(scene.image1, scene.image2, matches=table[:, :3])


def test_settings_that_were_printed_give_the_same_flow(frames, capsys):
    words = ["--preset", "kitti", "--matcher", "semi-global", "--estimator", "affine", "--seed", "3"]
    assert main([*words, "--print-settings"]) == 0
    (frames / "mine.toml").write_text(capsys.readouterr().out)
    np.testing.assert_array_equal(flow_of("--settings", "mine.toml"), flow_of(*words))


@pytest.mark.parametrize("preset", ["default", "kitti", "sintel", "middlebury"])
@pytest.mark.parametrize("matcher", list(MATCHERS))
def test_settings_come_back_from_their_text(tmp_path, preset, matcher):
    settings = flow_settings(preset, matcher=matcher)
    file = tmp_path / "s.toml"
    file.write_text(settings_text(settings))
    assert read_settings(file) == settings


def test_a_file_changes_what_it_names_and_options_change_the_file(frames):
    (frames / "s.toml").write_text('[matching]\nmethod = "exact"\n[matching.search]\nstep = 5\n')
    settings = read_settings(frames / "s.toml", "kitti")
    assert settings.matching.search.step == 5
    assert settings.interpolation == flow_settings("kitti").interpolation
    kept = with_methods(settings, "kitti", matcher="exact", refinement="variational")
    assert kept.matching.search.step == 5
    assert kept.refinement.method == "variational"
    other = with_methods(settings, "kitti", matcher="patchmatch", seed=7)
    assert other.matching.search.seed == 7


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[matching]\nchek_threshold = 1",
            "chek_threshold.*did you mean 'matching.check_threshold'",
        ),
        ("[matching.search]\nstep = 0", "matching.search.step is 0; give a whole number, 1 or more"),
        ('[matching.search]\nstep = "3"', "matching.search.step is '3'; give a whole number"),
        ('[matching]\nmethod = "exakt"', "did you mean 'exact'"),
        ("[matching]\nmethod = 3", "unknown matcher '3'"),
        (
            "[interpolation]\nmotion_edges = 1.5",
            "motion_edges is 1.5; give a number, at least 0 and",
        ),
        ("[refinement]\nomega = 2.0", "refinement.omega is 2.0; give a number, above 0 and below 2"),
        ('[refinement]\nmethod = "cv"', "unknown refinement 'cv'"),
        ("[interpolaton]\nsaliency = 0", "did you mean 'interpolation'"),
        ("matching = 3", "matching is 3; give a table of settings"),
        ("[matching", "not a TOML file"),
    ],
)
def test_a_wrong_settings_file_is_said_in_one_line(frames, capsys, text, says):
    (frames / "s.toml").write_text(text)
    assert run("--settings", "s.toml") == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "s.toml" in said
    assert re.search(says, said), said


def test_an_initial_flow_is_refined_and_nothing_else(frames, scene):
    start = scene.flow + np.float32(0.4)
    write_flow("start.flo", start)
    refined = flow_of("--initial-flow", "start.flo")
    again = estimate_flow("a.png", "b.png", initial_flow=start)
    np.testing.assert_array_equal(refined, again.flow)
    assert list(again.seconds) == ["refine", "total"]
    error, before = (np.linalg.norm(flow - scene.flow, axis=2).mean() for flow in (refined, start))
    assert error < before
    with pytest.raises(PatchBatchError, match="fill them"):
        write_flow("holes.png", start, np.zeros(start.shape[:2], np.bool_))
        estimate_flow("a.png", "b.png", initial_flow="holes.png")


def test_own_edges_from_a_file_and_as_an_array(frames, scene):
    edges = np.zeros(scene.flow.shape[:2], np.float32)
    edges[:, 40] = 1
    write_edges("edges.npy", edges)
    direct = estimate_flow("a.png", "b.png", edges=edges).flow
    np.testing.assert_array_equal(flow_of("--edges", "edges.npy"), direct)
    assert (direct != estimate_flow("a.png", "b.png").flow).any()


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("nowhere:make", "cannot import nowhere"),
        ("math:nothing", "module math has no 'nothing'"),
        ("math:pi", "not callable"),
        ("builtins:dict", "is a dict, no descriptor; give a Descriptor"),
        ("compakt", "unknown model"),
    ],
)
def test_a_model_that_is_none_is_said_in_one_line(frames, capsys, model, says):
    assert run("--model", model) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert says in said


def test_a_descriptor_of_another_shape_is_refused(scene):
    flat = DenseDescriptor("flat", lambda image: image[..., None], dimension=2, reach=0)
    with pytest.raises(PatchBatchError, match="flat describes an image of"):
        estimate_flow(scene.image1, scene.image2, flat)


def test_words_that_leave_each_other_nothing_to_do_are_refused(frames, capsys):
    for words in (
        ("--matches-in", "m.txt", "--matcher", "exact"),
        ("--initial-flow", "a.flo", "--no-refine"),
        ("--no-interpolate", "--estimator", "affine"),
    ):
        with pytest.raises(SystemExit) as stopped:
            run(*words)
        assert stopped.value.code == 2
        assert "leave one of them out" in capsys.readouterr().err


class Foreign:
    """A Descriptor that makes of images whatever a test wants."""

    name, dimension, reach, device = "foreign", 9, 1, torch.device("cpu")

    def __init__(self, make, **changes):
        self.make = make
        self.__dict__ |= changes

    def describe_pyramid(self, image, levels, precision="auto"):
        return [self.make(level) for level in halvings(image, levels)]

    def flop(self, shape, levels):
        return None


def nine(image):
    around = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return torch.from_numpy(np.stack([np.roll(image, shift, (0, 1)) for shift in around], axis=-1))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda image: nine(image)[1:], "for level 0 of an image of"),
        (lambda image: nine(image).transpose(0, 1), "for level 0 of an image of"),
        (lambda image: nine(image)[..., :3], "give a floating tensor"),
        (lambda image: nine(image).numpy(), "gives ndarray for level 0"),
        (lambda image: nine(image) * torch.nan, "not finite"),
        (lambda image: {}["nothing"], "descriptor foreign fails with KeyError"),
    ],
)
@pytest.mark.parametrize("matcher", ["coarse-to-fine", "exact"])
def test_what_a_foreign_descriptor_makes_is_checked(scene, make, says, matcher):
    with pytest.raises(PatchBatchError, match=says) as refused:
        estimate_flow(scene.image1, scene.image2, Foreign(make), settings=flow_settings(matcher=matcher))
    assert "\n" not in str(refused.value)


def test_a_borrowed_name_does_not_borrow_the_fitted_confidence(scene):
    small = scene.image1[:40, :48], scene.image2[:40, :48]
    assert not estimate_flow(*small, Foreign(nine, name="compact"), interpolate=False).calibrated


def test_no_matches_are_matches_too(frames, scene):
    (frames / "none.txt").write_text("")
    assert (flow_of("--matches-in", "none.txt") == 0).all()
    for none in ([], np.zeros((0, 4))):
        result = estimate_flow(scene.image1, scene.image2, matches=none)
        assert (result.flow == 0).all() and result.warning.startswith("there are no matches")


def test_matches_that_start_outside_keep_their_motion(scene):
    table = np.float32([[-4, 7, 6, 9], [5, 6, 8, 8]])
    found = estimate_flow(scene.image1, scene.image2, matches=table, interpolate=False).matches
    np.testing.assert_array_equal(found.points1, [[0, 7], [5, 6]])
    np.testing.assert_array_equal(found.vectors, [[10, 2], [3, 2]])


@pytest.mark.parametrize(
    ("matches", "says"),
    [
        ([[1, 1, 2, np.nan]], "not finite or beyond 1e9"),
        ([[1, 1, 2, 2, np.nan]], "not finite or beyond 1e9"),
        ([[1, 1, 1e30, 2]], "not finite or beyond 1e9"),
        ([[1, 1, 2j, 2]], "give an array of numbers"),
        ([["a", "b", "c", "d"]], "give an array of numbers"),
        (torch.ones(2, 4, device="meta"), "device meta"),
        (Matches(np.zeros((2, 2)), np.zeros((3, 2)), np.zeros(2), np.ones(2)), "fit them"),
    ],
)
def test_matches_that_are_none_are_refused(scene, matches, says):
    with pytest.raises(PatchBatchError, match=says):
        estimate_flow(scene.image1, scene.image2, matches=matches)


@pytest.mark.parametrize("bad", [{"edges": "x"}, {"edges": [["a"]]}, {"initial_flow": {}}, {"model": 3}])
def test_parts_of_the_wrong_kind_are_refused(scene, bad):
    with pytest.raises(PatchBatchError):
        estimate_flow(scene.image1, scene.image2, **bad)
    with pytest.raises(PatchBatchError, match="image 1"):
        estimate_flow(None, scene.image2)


def test_settings_with_a_mark_of_the_editor_are_read(frames):
    (frames / "bom.toml").write_text("[refinement]\nsigma = 2.0\n", encoding="utf-8-sig")
    assert read_settings(frames / "bom.toml").refinement.sigma == 2.0
