"""The programs that the tutorial runs: a raw log, and a page that follows its visitors."""

import http.server
import importlib.util
import threading
import types
import urllib.request

import pytest


def load(repository, name):
    spec = importlib.util.spec_from_file_location(name, repository / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_raw_log_is_as_raw_logs_are(repository):
    raw_log = load(repository, "raw_log")
    events = raw_log.raw_events(600)
    assert list(events) == ["visitor", "sku", "ms", "event"]
    assert events["visitor"].nunique() == 400  # of 600 visits
    assert events["ms"].is_monotonic_increasing
    assert set(events["event"]) == {"view", "cart"}
    assert (events["sku"] == "").sum() == 1  # one of 5,000
    names = raw_log.item_names(events["sku"])
    assert set(names["sku"]) == set(events["sku"]) - {""}
    assert names["name"].is_unique


class EchoingClient:
    """Recommends what was clicked, and the items before."""

    def __init__(self):
        self.sessions = {}

    def click(self, session_id, item_id):
        clicks = self.sessions.setdefault(session_id, [])
        clicks.append(item_id)
        return types.SimpleNamespace(item_ids=clicks[::-1])


@pytest.fixture
def shop(repository):
    """The address of a running page, and the client behind it."""
    page = load(repository, "live_page")
    page.Shop.client, page.Shop.names = EchoingClient(), {"a": "a <lamp>", "b": "a desk", "c": "a rug"}
    page.Shop.log_message = lambda *arguments: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), page.Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", page.Shop.client
    server.shutdown()
    thread.join()
    server.server_close()


def visitor():
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor())


def read(opener, address, item=None):
    data = f"item={item}".encode() if item else None
    with opener.open(address, data, timeout=10) as answer:
        return answer.read().decode()


def test_the_page_follows_each_visitor(shop):
    address, client = shop
    first, second = visitor(), visitor()
    assert "nothing yet" in read(first, address)
    assert "a &lt;lamp&gt;" in read(first, address), "names are text, not markup"
    read(first, address, "b")
    assert "You looked at: a desk, a rug<" in read(first, address, "c")
    assert "nothing yet" in read(second, address)
    read(second, address, "c")
    assert list(client.sessions.values()) == [["b", "c"], ["c"]]


def test_the_browser_does_not_learn_the_session_and_cannot_send_other_items(shop):
    address, client = shop
    opener = visitor()
    read(opener, address)
    page = read(opener, address, "b") + read(opener, address, "unheard-of")
    (session_id,) = client.sessions
    assert client.sessions[session_id] == ["b"]
    (jar,) = (h.cookiejar for h in opener.handlers if isinstance(h, urllib.request.HTTPCookieProcessor))
    assert session_id not in page
    assert session_id not in [cookie.value for cookie in jar]
