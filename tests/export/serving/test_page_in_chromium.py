"""The page in a real browser: Debian's Chromium, driven by selenium."""

import http.server
import os
import pathlib
import shutil
import threading

import numpy as np
import pandas as pd
import pytest
from serving_support import exports
from serving_support.calls import Caller
from serving_support.servers import serving

from tfrs_gru4rec.export.serving.page import Page

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="chromium and chromium-driver are not installed, so no browser shows the page.",
)
SECONDS = 20.0
KINDS = ["Lamp", "Desk", "Chair", "Shelf", "Rug"]
COLOURS = ["red", "blue", "green", "black"]
NAMES = [f"{KINDS[row % 5]} {row}" for row in range(exports.N_ITEMS)]
NAME_OF = dict(zip(exports.ITEMS, NAMES, strict=True))


class Pictures(http.server.BaseHTTPRequestHandler):
    """A host of pictures: a square for each item, of a colour of its own."""

    def do_GET(self) -> None:  # noqa: N802
        number = int(self.path.strip("/").partition(".")[0])
        fill = f"hsl({number * 47 % 360} 60% 55%)"
        square = f'<rect width="48" height="48" fill="{fill}"/>'
        body = f'<svg xmlns="http://www.w3.org/2000/svg" width="48" height="48">{square}</svg>'
        self.send_response(200)
        self.send_header("Content-Type", "image/svg+xml")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def pictures():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{host.server_port}"
        host.shutdown()
        thread.join()


def serving_page(export, pictures):
    kinds = [f"{KINDS[row % 5].lower()}s, {COLOURS[row % 4]}" for row in range(exports.N_ITEMS)]
    urls = [f"{pictures}/{row}.svg" for row in range(exports.N_ITEMS)]
    items = pd.DataFrame({"name": NAMES, "category": kinds, "picture": urls}, index=exports.ITEMS)
    page = Page("gru4rec", items, "picture")
    return serving(export.parent, rest_port=0, page=page)


@pytest.fixture(scope="module")
def server(real_export, pictures):
    with serving_page(real_export, pictures) as made:
        yield made


@pytest.fixture(scope="module")
def fused_server(tmp_path_factory, pictures):
    with serving_page(exports.write_fused_export(tmp_path_factory.mktemp("fused")), pictures) as made:
        yield made


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    flags = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
    for flag in [*flags.split(), "disable-component-update", "disable-sync", "hide-scrollbars"]:
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    yield made
    made.quit()


@pytest.fixture
def page(browser, server):
    """The page, loaded anew."""
    return opened(browser, server)


@pytest.fixture
def fused_page(browser, fused_server):
    """The page of a GRU with neighbours."""
    return opened(browser, fused_server)


def opened(browser, server):
    browser.get_log("browser")
    browser.set_window_size(1200, 900)
    browser.get(f"http://{server.rest_address}/")
    wait(browser, lambda: shown(browser, "#recommended .item"))
    return browser


def wait(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, SECONDS).until(lambda _: condition())


def shown(browser, selector: str) -> list[str]:
    """Returns the ids of the items that elements stand for, or their text."""
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.dataset.item || e.textContent)"
    return browser.execute_script(script, selector)


def press(browser, *keys: str) -> None:
    browser.switch_to.active_element.send_keys(*keys)


def click_by_name(browser, name: str) -> None:
    """Searches an item and clicks it, by the keyboard alone."""
    from selenium.webdriver.common.keys import Keys

    n_before = len(shown(browser, "#clicks li"))
    browser.execute_script("document.activeElement.blur()")
    browser.find_element("tag name", "body").send_keys("/")
    press(browser, Keys.CONTROL, "a")
    press(browser, name)
    press(browser, Keys.ENTER)
    wait(browser, lambda: len(shown(browser, "#clicks li")) == n_before + 1)
    wait(browser, lambda: n_before == 0 or len(shown(browser, "#recommended details")) == exports.TOP_K)


def test_a_session_by_the_keyboard_is_that_of_the_model(page, server):
    assert not page.get_log("browser")
    clicked = [exports.ITEMS[number] for number in (17, 42, 103)]
    popular = shown(page, "#recommended .item")
    assert popular == exports.ITEMS[: exports.TOP_K]
    for item in clicked:
        click_by_name(page, NAME_OF[item])
    assert shown(page, "#clicks li") == [NAME_OF[item] for item in clicked]
    caller = Caller(server.address)
    expected = caller.call("recommend", item_ids=[clicked])
    assert shown(page, "#recommended .item") == [item.decode() for item in expected["item_ids"][0]]
    scores = [float(text) for text in shown(page, "#recommended .item .number")]
    np.testing.assert_allclose(scores, expected["scores"][0], atol=6e-4)
    caller.channel.close()


def test_why_is_what_each_click_adds(page, server):
    clicked = [exports.ITEMS[number] for number in (5, 60, 151)]
    for item in clicked:
        click_by_name(page, NAME_OF[item])
    caller = Caller(server.address)
    (first, *_) = shown(page, "#recommended .item")
    whole = caller.call("score_items", item_ids=[clicked], candidate_ids=[[first]])["scores"][0, 0]
    shares = [text.replace("−", "-") for text in shown(page, "#recommended li:first-child .share .number")]
    assert len(shares) == 3
    for left, share in enumerate(shares):
        others = [item for item in clicked if item != clicked[left]]
        without = caller.call("score_items", item_ids=[others], candidate_ids=[[first]])["scores"][0, 0]
        assert float(share) == pytest.approx(whole - without, abs=6e-4)
    caller.channel.close()


@pytest.mark.slow
def test_the_gru_stands_beside_what_neighbours_make_of_it(fused_page, fused_server):
    caller = Caller(fused_server.address)
    for clicked in ([], [17], [17, 42], [17, 42, 103]):
        if clicked:
            click_by_name(fused_page, NAMES[clicked[-1]])
        session = [[exports.ITEMS[number] for number in clicked] or [""]]
        fused, alone = (
            [item.decode() for item in caller.call(name, item_ids=session)["item_ids"][0]]
            for name in ("recommend", "recommend_gru")
        )
        assert (fused == alone) == (not clicked)
        assert shown(fused_page, "#recommended .item") == fused
        wait(fused_page, lambda alone=alone: shown(fused_page, "#gru .item") == alone)
        places = [f"also no. {fused.index(item) + 1}" if item in fused else "only here" for item in alone]
        assert shown(fused_page, "#gru .number") == places
    caller.channel.close()


def test_a_gru_alone_has_nothing_beside_it(page):
    click_by_name(page, NAME_OF[exports.ITEMS[9]])
    assert not page.find_element("id", "compared").is_displayed()
    assert "recommend_gru" not in shown(page, "#calls td:first-child")


def test_a_session_that_the_server_lost_is_replayed(page, server):
    click_by_name(page, NAME_OF[exports.ITEMS[9]])
    session = page.execute_script("return session")
    caller = Caller(server.address)
    caller.call("end_session", session_id=[session])
    click_by_name(page, NAME_OF[exports.ITEMS[80]])
    assert caller.length(session) == 2
    expected = caller.call("recommend", item_ids=[[exports.ITEMS[9], exports.ITEMS[80]]])
    assert shown(page, "#recommended .item") == [item.decode() for item in expected["item_ids"][0]]
    caller.channel.close()


def test_calls_and_counters_are_shown(page):
    click_by_name(page, NAME_OF[exports.ITEMS[9]])
    calls = dict(
        zip(shown(page, "#calls td:first-child"), shown(page, "#calls td:nth-child(2)"), strict=True)
    )
    assert (calls["recommend"], calls["step"]) == ("1", "1")
    assert all(float(text) > 0 for text in shown(page, "#calls td:nth-child(3), #calls td:nth-child(4)"))
    wait(page, lambda: "live sessions" in shown(page, "#counters td:first-child"))
    assert shown(page, "#version") == ["version 1"]


def test_a_new_session_begins_anew(page):
    click_by_name(page, NAME_OF[exports.ITEMS[9]])
    page.execute_script("document.activeElement.blur()")
    page.find_element("tag name", "body").send_keys("n")
    wait(page, lambda: not shown(page, "#clicks li"))
    assert shown(page, "#recommended .item") == exports.ITEMS[: exports.TOP_K]


def test_an_error_is_told_and_the_next_click_goes_on(page):
    page.execute_script("click('i'.repeat(300))")
    wait(page, lambda: not page.execute_script("return document.getElementById('error').hidden"))
    assert shown(page, "#error")[0].startswith("400: ")
    click_by_name(page, NAME_OF[exports.ITEMS[9]])
    assert page.execute_script("return document.getElementById('error').hidden")


def test_a_phone_shows_it_without_scrolling_sideways(page):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 375, "height": 700, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        click_by_name(page, NAME_OF[exports.ITEMS[9]])
        click_by_name(page, NAME_OF[exports.ITEMS[10]])
        assert page.execute_script("return document.documentElement.scrollWidth") <= 375
        heights = page.execute_script(
            "return [...document.querySelectorAll('.item')].map((e) => e.offsetHeight)"
        )
        assert min(heights) >= 44  # what a finger hits
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_is_loaded_from_elsewhere_but_the_pictures_named(page, server, pictures):
    click_by_name(page, NAME_OF[exports.ITEMS[9]])
    loaded = page.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    ours = [name for name in loaded if name.startswith(f"http://{server.rest_address}/")]
    assert ours
    assert all(name.startswith(f"{pictures}/") for name in set(loaded) - set(ours))
    widths = "return [...document.images].filter((each) => each.complete).map((each) => each.naturalWidth)"
    wait(page, lambda: 48 in page.execute_script(widths))
    foreign = pictures.replace("127.0.0.1", "localhost")
    page.execute_script("document.images[0].src = arguments[0]", f"{foreign}/1.svg")
    wait(
        page, lambda: any("Content Security Policy" in entry["message"] for entry in page.get_log("browser"))
    )


@pytest.mark.skipif(
    "GRU4REC_SCREENSHOT" not in os.environ, reason="GRU4REC_SCREENSHOT does not say where to."
)
def test_screenshot(fused_page):
    for number in (17, 42, 103):
        click_by_name(fused_page, NAME_OF[exports.ITEMS[number]])
    fused_page.execute_script("document.querySelector('#recommended details').open = true")
    pathlib.Path(os.environ["GRU4REC_SCREENSHOT"]).write_bytes(fused_page.get_screenshot_as_png())
