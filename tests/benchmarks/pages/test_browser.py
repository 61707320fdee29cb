"""The page in a real browser: headless Chromium, from `file://`, with the network watched."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from made_reports import NAMES, ODD_METHOD, made_report

from benchmarks.pages.folder import key_of
from benchmarks.pages.page import write_page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ODD = NAMES[1]
STILL = key_of(ODD_METHOD, None)
WIDTHS = (400, 900, 1600)
# Makers of names for the tree that screen readers see, and the roles that need one.
NEED_NAMES = (
    "button",
    "combobox",
    "searchbox",
    "spinbutton",
    "checkbox",
    "radio",
    "slider",
    "link",
    "dialog",
)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as client:
        # The sandbox needs rights that containers withhold; the page is our own.
        started = client.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = started.new_context(viewport={"width": 1000, "height": 800})
        yield context
        started.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "data").mkdir()
    return write_page(*made_report(folder / "a report", folder / "data"))


@pytest.fixture
def page(browser, site: Path) -> Iterator:
    """Open pages that may neither complain nor ask for anything but the files of the report."""
    opened = browser.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    base = site.parent.as_uri()
    opened.on("request", lambda request: complaints.append(f"fetched: {request.url}")
              if not request.url.startswith((base, "data:")) else None)  # fmt: skip
    opened.goto(site.as_uri())
    yield opened
    opened.close()
    assert not complaints


def go(page, address: str) -> None:
    page.evaluate("address => { location.hash = address }", address)


def shown(page) -> list[str]:
    return page.eval_on_selector_all(
        "#list tbody tr", "rows => rows.filter((row) => !row.hidden).map((row) => row.dataset.name)"
    )


def loaded(page, side: str) -> str:
    """Return the address of the picture on a side, once it is there."""
    page.wait_for_function(f"document.querySelector('#pane-{side} img').naturalWidth === 64")
    return page.locator(f"#pane-{side} img").get_attribute("src")


def sort_by(page, key: str) -> None:
    page.locator(f'button[data-sort="{key}"]').click()


def test_sorting_sorts(page) -> None:
    assert shown(page) == list(NAMES)
    sort_by(page, "near@net")
    assert shown(page) == [NAMES[i] for i in (1, 2, 0, 3)]  # 8, 4, 2 and 0.5 px
    header = page.locator("th", has=page.locator('button[data-sort="near@net"]'))
    assert header.get_attribute("aria-sort") == "descending"
    sort_by(page, "near@net")
    assert shown(page) == [NAMES[i] for i in (3, 0, 2, 1)]
    assert header.get_attribute("aria-sort") == "ascending"
    sort_by(page, "name")
    assert shown(page) == [NAMES[i] for i in (0, 3, 2, 1)]  # 9 comes before 10
    assert header.get_attribute("aria-sort") == "none"
    sort_by(page, "spread")
    assert shown(page)[0] == NAMES[3]


def test_filters_filter(page) -> None:
    page.get_by_label("Name has").fill("CAVE")
    assert shown(page) == list(NAMES[2:])
    expect(page.locator("#count")).to_have_text("2 of 4")
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("document.getElementById('count').value === '4 of 4'")
    page.get_by_label("of method").select_option("near")
    page.get_by_label("at least").fill("1")
    page.get_by_label("at most").fill("4")
    assert shown(page) == [NAMES[0], NAMES[2]]
    page.get_by_label("Figure").select_option("Fl, %")
    assert shown(page) == []
    expect(page.get_by_text("No pair is like that.")).to_be_visible()
    page.get_by_label("at most").fill("100")
    assert shown(page) == [NAMES[1], NAMES[2]]  # more than 3 px and 5 % off everywhere
    cell = page.locator(f'tr[data-name="{NAMES[2]}"] td[data-key="near@net"]')
    expect(cell).to_have_text("100.00")


def test_links_open_the_pair(page) -> None:
    page.locator(f'tr[data-name="{NAMES[2]}"] td[data-key="near@net"] a').click()
    expect(page.locator("#viewer-title")).to_have_text(NAMES[2])
    assert loaded(page, "left") == "pairs/cave_2/frame_0010/near%40net/flow.png"
    assert loaded(page, "right").endswith("/near%40net/error.png")
    expect(page.locator("#viewer-figures")).to_contain_text("near 4.00 px, Fl 100.00 %")


def test_a_deep_link_opens_odd_names(browser, site: Path) -> None:
    page = browser.new_page()
    layers = f"left=near%40net/matches&right={quote(STILL)}/flow"
    page.goto(f"{site.as_uri()}#pair={quote(ODD, safe='')}&{layers}&mode=beside")
    expect(page.locator("#viewer-title")).to_have_text(ODD)
    assert loaded(page, "left").endswith("/near%40net/matches.png")
    assert loaded(page, "right").endswith(f"/{STILL}/flow.png")
    boxes = [page.locator(f"#pane-{side}").bounding_box() for side in ("left", "right")]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"] and boxes[0]["y"] == boxes[1]["y"]
    # What is written into the address opens the same again.
    page.get_by_label("Left", exact=True).select_option("true flow")
    again = browser.new_page()
    again.goto(page.url)
    expect(again.locator("#viewer-title")).to_have_text(ODD)
    assert loaded(again, "left").endswith("/truth.png")
    assert again.get_by_role("radio", name="beside").is_checked()
    page.close()
    again.close()


def test_a_link_to_nothing_opens_nothing(page) -> None:
    go(page, "#pair=none")
    expect(page.locator("#viewer")).to_be_hidden()
    go(page, f"#pair={NAMES[0]}&left=none/flow&mode=none")
    assert loaded(page, "left").endswith("/frame1.jpg")
    assert page.get_by_label("slide", exact=True).is_checked()


def side_at(page, share: float) -> str:
    """Return which picture is seen at a share of the width."""
    script = """share => {
      const box = document.getElementById("stage").getBoundingClientRect();
      const hit = document.elementsFromPoint(box.left + share * box.width, box.top + 0.8 * box.height);
      return hit.find((element) => element.matches(".pane img")).closest(".pane").id;
    }"""
    return page.evaluate(script, share)


def test_the_slider_moves(page) -> None:
    go(page, f"#pair={NAMES[0]}&left=frame1&right=frame2")
    assert [side_at(page, share) for share in (0.1, 0.4, 0.6, 0.9)] == ["pane-left"] * 2 + ["pane-right"] * 2
    slider = page.get_by_role("slider")
    slider.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("80")
    assert (side_at(page, 0.6), side_at(page, 0.9)) == ("pane-left", "pane-right")
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 20, steps=4)
    page.mouse.up()
    expect(slider).to_have_value("20")
    assert (side_at(page, 0.1), side_at(page, 0.4)) == ("pane-left", "pane-right")
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 20)
    expect(slider).to_have_value("20")  # let go is let go


def test_the_keyboard_does_all(page) -> None:
    sort_by(page, "near@net")
    page.locator(f'tr[data-name="{NAMES[0]}"] th a').focus()
    page.keyboard.press("Enter")
    title = page.locator("#viewer-title")
    expect(title).to_have_text(NAMES[0])
    page.keyboard.press("n")
    expect(title).to_have_text(NAMES[3])  # the next in the order of the list
    page.keyboard.press("n")
    expect(title).to_have_text(NAMES[1])  # round to the first
    page.keyboard.press("p")
    page.keyboard.press("p")
    expect(title).to_have_text(NAMES[0])
    left, right = loaded(page, "left"), loaded(page, "right")
    page.keyboard.press("s")
    assert (loaded(page, "left"), loaded(page, "right")) == (right, left)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("slider")).to_have_value("48")
    page.keyboard.press("z")
    assert page.locator("#pane-left img").evaluate("image => image.clientWidth") == 64
    page.keyboard.press("f")
    assert (loaded(page, "left"), loaded(page, "right")) == tuple(
        f"pairs/{NAMES[0]}/frame{number}.jpg" for number in (1, 2)
    )
    first = page.evaluate("document.getElementById('stage').className")
    page.wait_for_function("name => document.getElementById('stage').className !== name", arg=first)
    assert page.locator("#pane-left").is_visible() != page.locator("#pane-right").is_visible()
    page.keyboard.press("b")
    assert page.locator("#pane-left").is_visible() and page.locator("#pane-right").is_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(page).to_have_url(re.compile("#pairs$"))
    assert page.evaluate("document.activeElement.textContent") == NAMES[0]
    page.keyboard.press("n")
    expect(page.locator("#viewer")).to_be_hidden()


def test_zoomed_pictures_scroll_together(page) -> None:
    page.set_viewport_size({"width": 400, "height": 500})
    go(page, f"#pair={NAMES[0]}&left=frame1&right=frame2&mode=beside")
    page.get_by_label("Zoom").select_option("4×")
    page.set_viewport_size({"width": 220, "height": 500})
    scroll = "side => document.querySelector(`#pane-${side} .scroll`)"
    page.evaluate(f"({scroll})('left').scrollLeft = 30")
    page.wait_for_function(f"({scroll})('right').scrollLeft === 30")


def test_methods_can_be_taken_out_of_the_charts(page) -> None:
    lines = page.locator("#chart-cumulative g")
    assert [lines.nth(i).is_visible() for i in range(2)] == [True, True]
    page.get_by_label("near").first.uncheck()
    assert [lines.nth(i).is_visible() for i in range(2)] == [False, True]
    charts = page.eval_on_selector_all(".chart", "all => all.map((chart) => chart.id.slice(6))")
    assert charts == ["cumulative", "length", "border", "seen", "risk", "seconds"]


@pytest.mark.parametrize("address", ["", "#pair=alley_1/frame_0002", "#pair=alley_1/frame_0002&mode=beside"])
def test_nothing_hangs_over_the_edge(page, address: str) -> None:
    if address:
        go(page, address)
        loaded(page, "right")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        wide = page.evaluate("""() => [document.documentElement, document.getElementById("viewer")]
            .map((element) => element.scrollWidth - element.clientWidth)""")
        assert wide == [0, 0], width
        # Text of charts keeps a size that can be read.
        scale = page.evaluate("document.querySelector('.chart svg').getBoundingClientRect().width / 420")
        assert 12.5 * scale > 10, width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_told_from_the_ground(page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    ground = luminance(style(page, "body", "backgroundColor"))
    assert (ground > 0.5) == (scheme == "light")
    for part in ("body", ".note", "nav a", "thead th"):
        assert contrast(luminance(style(page, part, "color")), ground) >= 4.5, part
    for line in range(8):
        value = page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('--s{line}')")
        assert contrast(luminance_of([int(value.strip()[i : i + 2], 16) for i in (1, 3, 5)]), ground) >= 3, (
            line
        )


def style(page, selector: str, name: str) -> str:
    return page.eval_on_selector(selector, f"element => getComputedStyle(element).{name}")


def luminance(colour: str) -> float:
    return luminance_of([int(part) for part in re.findall(r"\d+", colour)[:3]])


def luminance_of(rgb: list[int]) -> float:
    """Relative luminance as WCAG 2 defines it."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def nameless(page) -> list[str]:
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    seen = [node for node in nodes if not node["ignored"] and node["role"]["value"] in NEED_NAMES]
    assert len(seen) > 8
    return [node["role"]["value"] for node in seen if not node.get("name", {}).get("value", "").strip()]


def test_every_control_has_a_name(page) -> None:
    assert nameless(page) == []
    go(page, f"#pair={NAMES[0]}")
    loaded(page, "right")
    assert nameless(page) == []
    assert page.locator("#pane-left img").get_attribute("alt") == f"first frame of {NAMES[0]}"


def test_two_hundred_pairs_ask_for_few_pictures(browser, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    recorder, report = made_report(tmp_path / "report", tmp_path / "data")
    first = [row for row in report["per_pair"] if row["pair"] == NAMES[0]]
    for number in range(200):
        copy = recorder.pair_folder(f"many/{number:03}")
        shutil.copytree(recorder.pair_folder(NAMES[0]), copy, copy_function=os.link)
        report["per_pair"] += [row | {"pair": f"many/{number:03}"} for row in first]
    path = write_page(recorder, report)
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/pairs/" in request.url else None)
    page.goto(path.as_uri())
    expect(page.locator("#list tbody tr")).to_have_count(204)
    for name in (NAMES[0], "many/199"):
        page.locator(f"tr[data-name='{name}']").scroll_into_view_if_needed()
        page.wait_for_function(f"document.querySelector('tr[data-name=\"{name}\"] img').naturalWidth > 0")
    assert 6 <= len(asked) < 300, "of 612 small pictures"
    page.close()
