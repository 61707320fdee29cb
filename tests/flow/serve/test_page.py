"""The page in a real browser: two images in, flow out, a slider between them."""

import shutil
import threading

import pytest

from flow.serve.server import FlowServer
from flow.serve.work import Estimates
from flow.synthetic import demo_scene
from patchbatch.data import write_image

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
WAIT_MS = 240_000  # the first pair may have to compile loops


@pytest.fixture(scope="module")
def address():
    with FlowServer(0, Estimates("compact", "default", "cpu")) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running.address
        running.shutdown()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as client:
        # The sandbox needs rights that containers withhold; the page is our own.
        started = client.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser, address):
    opened = browser.new_page(viewport={"width": 900, "height": 900})
    complaints, asked = [], []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    yield opened
    elsewhere = [url for url in asked if not url.startswith((address, "blob:", "data:"))]
    opened.close()
    assert not elsewhere
    # A refused pair is an answer with status 400, which the browser notes as well.
    assert not [text for text in complaints if "status of 400" not in text]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder, scene = tmp_path_factory.mktemp("pair"), demo_scene(64, 96)
    write_image(folder / "a.png", scene.image1)
    write_image(folder / "b.png", scene.image2)
    write_image(folder / "small.png", scene.image2[:50])
    return folder


def choose(page, first, second):
    page.get_by_role("button", name="First image").set_input_files(first)
    page.get_by_role("button", name="Second image").set_input_files(second)
    page.get_by_role("button", name="Estimate").click()


def test_two_images_become_flow_and_the_slider_moves(page, images):
    expect(page.locator("#result")).to_be_hidden()
    choose(page, images / "a.png", images / "b.png")
    expect(page.get_by_role("status")).to_contain_text("matches", timeout=WAIT_MS)
    for picture in ("left picture", "right picture"):
        shown = page.get_by_alt_text(picture)
        expect(shown).to_be_visible()
        assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96
    over = page.get_by_alt_text("right picture")
    assert "50%" in over.evaluate("image => getComputedStyle(image).clipPath")
    page.get_by_role("slider").press("ArrowRight")
    assert "51%" in over.evaluate("image => getComputedStyle(image).clipPath")
    box = page.locator("#view").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + 5)
    assert "25%" in over.evaluate("image => getComputedStyle(image).clipPath")
    page.get_by_label("Right", exact=True).select_option(label="second image")
    assert over.get_attribute("src").endswith("frame2.png")


@pytest.mark.slow
def test_a_result_can_be_saved(page, images):
    choose(page, images / "a.png", images / "b.png")
    expect(page.locator("#result")).to_be_visible(timeout=WAIT_MS)
    with page.expect_download() as saving:
        page.get_by_role("link", name="Middlebury").click()
    assert saving.value.suggested_filename == "flow.flo"


def test_images_that_do_not_fit_are_told(page, images):
    choose(page, images / "a.png", images / "small.png")
    expect(page.get_by_role("status")).to_contain_text("96x50", timeout=WAIT_MS)
    expect(page.locator("#result")).to_be_hidden()
