"""The server: what it takes, what it refuses, and from whom."""

import http.client
import io
import json
import threading
from urllib.parse import urlencode

import numpy as np
import pytest

from flow.serve import server as serving
from flow.serve.command import build_parser, main
from flow.serve.server import FlowServer
from flow.serve.work import FILES, LAYERS, Estimates
from flow.synthetic import demo_scene
from patchbatch.data.codecs import decode_image, encode_image


def png(image):
    return encode_image(np.rint(255 * image).astype(np.uint8), ".png")


SCENE = demo_scene(64, 96)
PAIR = png(SCENE.image1), png(SCENE.image2)


@pytest.fixture(scope="module")
def server():
    with FlowServer(0, Estimates("compact", "default", "cpu")) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def ask(server, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=300)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, dict(answer.getheaders())


def send(server, images, names=("a.png", "b.png"), first=None, **headers):
    size = len(images[0]) if first is None else first
    query = urlencode({"first": size, "name1": names[0], "name2": names[1]})
    return ask(server, "POST", f"/flow?{query}", b"".join(images), headers)


@pytest.fixture(scope="module")
def made(server):
    status, content, _ = send(server, PAIR)
    assert status == 200, content
    return json.loads(content)


def test_the_page_is_whole_and_names_what_there_is(server):
    status, content, headers = ask(server, "GET", "/")
    assert status == 200
    assert headers["Content-Type"].startswith("text/html")
    for name in (*LAYERS, *FILES):
        assert name.encode() in content
    for name in ("page.css", "page.js"):
        assert name.encode() in content
        assert ask(server, "GET", f"/{name}")[0] == 200


def test_two_images_become_flow(server, made):
    assert "matches" in made["said"][-1]
    for name in (*LAYERS, *FILES):
        status, content, _ = ask(server, "GET", f"/result/{made['key']}/{name}")
        assert status == 200, name
        if name in LAYERS:
            assert decode_image(content, name).shape == (64, 96, 3), name
    flow = np.load(io.BytesIO(ask(server, "GET", f"/result/{made['key']}/flow.npz")[1]))["flow"]
    assert np.median(np.linalg.norm(flow - SCENE.flow, axis=2)) < 0.5


def test_the_second_image_is_pulled_back_onto_the_first(server, made):
    first, second, back = (
        decode_image(ask(server, "GET", f"/result/{made['key']}/{name}")[1], name).astype(float)
        for name in ("frame1.png", "frame2.png", "back.png")
    )
    assert np.median(np.abs(back - first)) < 0.5 * np.median(np.abs(second - first))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ((b"", PAIR[1]), "a.png"),
        ((PAIR[0], b"no image"), "b.png"),
        ((PAIR[0], png(SCENE.image2[:50])), "96x50"),
    ],
)
def test_bad_images_are_told_in_one_line_by_name(server, images, says):
    status, content, _ = send(server, images)
    assert status == 400
    error = json.loads(content)["error"]
    assert says in error
    assert "\n" not in error


def test_other_requests_are_refused(server):
    assert ask(server, "GET", "/../pyproject.toml")[0] == 404
    assert ask(server, "GET", "/result/guess/flow.png")[0] == 404
    assert ask(server, "POST", "/flow", b"xx")[0] == 400
    assert ask(server, "POST", "/elsewhere?first=1", b"xx")[0] == 400


def test_too_much_is_refused_before_it_is_read(server, monkeypatch):
    monkeypatch.setattr(serving, "MOST_BYTES", 1000)
    status, content, _ = send(server, (b"x" * 600, b"y" * 600))
    assert status == 413
    assert "give smaller" in json.loads(content)["error"]


@pytest.mark.parametrize("headers", [{"Origin": "http://elsewhere.example"}, {"Host": "elsewhere.example"}])
def test_other_sites_are_refused(server, headers):
    assert send(server, PAIR, **headers)[0] == 403
    assert ask(server, "GET", "/", headers=headers)[0] == 403


def test_only_the_last_results_are_kept(monkeypatch):
    monkeypatch.setattr("flow.serve.work.KEPT", 2)
    monkeypatch.setattr("flow.serve.work.load_descriptor", lambda *_: object())
    monkeypatch.setattr("flow.serve.work.estimate_flow", lambda *_, **__: None)
    monkeypatch.setattr("flow.serve.work._said", lambda *_: ())
    monkeypatch.setattr("flow.serve.work._files", lambda *_: {})
    estimates = Estimates("compact", "default", "cpu")
    keys = [estimates.make(PAIR, ("a", "b")).key for _ in range(3)]
    assert [estimates.get(key) is not None for key in keys] == [False, True, True]


def test_a_port_that_is_taken_is_one_line(server, capsys):
    assert main(["--no-browser", "--port", str(server.server_port)]) == 1
    assert f"port {server.server_port} cannot be had" in capsys.readouterr().err


def test_words(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--port", "70000"])
    assert "'70000' is no port" in capsys.readouterr().err
    assert main(["--model", "nothing-such"]) == 1
    assert "nothing-such" in capsys.readouterr().err
