"""The page's own routes: names of items, and what a browser may load."""

import re

import pandas as pd
import pytest
import requests
from serving_support.servers import serving

from tfrs_gru4rec.export.serving.page import Page

NAMES = [f"Lamp {number}" for number in range(30)] + ["Écharpe <b>rouge</b>"]
ITEMS = pd.DataFrame(
    {
        "title": [*NAMES, ""],
        "category": ["light"] * 30 + ["clothes", ""],
        "image": ["https://pictures.example/1.png"] * 30
        + ["http://other.example:81/2.png", "javascript:alert(1)"],
    },
    index=[str(number) for number in range(31)] + ["nameless"],
)


def test_finds_by_name_category_and_id_whatever_the_case():
    page = Page("shop", ITEMS, "image")
    assert [item["id"] for item in page.find("lamp 2")] == ["2", *map(str, range(20, 30))]
    assert [item["name"] for item in page.find("éCHARPE")] == [NAMES[30]]
    assert len(page.find("light")) == 24
    assert [item["id"] for item in page.find("NAMELESS")] == ["nameless"]
    assert page.find("pictures.example") == []
    assert page.find("(") == []


def test_describes_what_is_known():
    found = Page("shop", ITEMS, "image").describe(["30", "7", "unknown", "nameless"])
    assert found[0] == {
        "id": "30",
        "name": NAMES[30],
        "details": "clothes",
        "picture": "http://other.example:81/2.png",
    }
    assert found[1]["name"] == "Lamp 7"
    assert found[2] == {"id": "unknown", "name": "unknown", "details": "", "picture": ""}
    assert found[3]["name"] == "nameless"


def test_without_names_items_are_called_by_their_ids():
    page = Page("shop")
    assert page.find("7") == []
    assert page.describe([7]) == [{"id": "7", "name": "7", "details": "", "picture": ""}]


def test_a_column_of_pictures_must_be_there():
    with pytest.raises(
        ValueError, match=r"picture_column must be a column of the items. Received: picture_column='x'"
    ):
        Page("shop", ITEMS, "x")


def test_pictures_are_on_few_hosts():
    urls = [f"https://h{number}.example/" for number in range(21)]
    many = pd.DataFrame({"name": ["x"] * 21, "image": urls}, index=map(str, range(21)))
    with pytest.raises(ValueError, match="The pictures must be on at most 20 hosts. Received: hosts=21"):
        Page("shop", many, "image")


@pytest.fixture(scope="module")
def url(tiny_versions):
    page = Page("gru4rec", ITEMS, "image")
    with serving(tiny_versions, rest_port=0, page=page) as server:
        yield f"http://{server.rest_address}"


def test_the_page_may_load_nothing_but_the_pictures_hosts(url):
    response = requests.get(url, timeout=10.0)
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data: http://other.example:81 https://pictures.example"
    assert policy["script-src"].startswith("'sha256-")
    assert not re.findall(r"https?://|src=|@import|url\(", response.text)
    assert 'data-model="gru4rec"' in response.text


def test_a_model_of_any_name_can_be_shown():
    assert 'data-model="&lt;script&gt;"' in Page("<script>")._html


def test_names_over_http(url):
    found = requests.post(f"{url}/page/items", json={"text": "rouge"}, timeout=10.0).json()
    assert found == requests.post(f"{url}/page/items", json={"ids": ["30"]}, timeout=10.0).json()
    assert found[0]["name"] == NAMES[30]
    for body in (b"", b"{", b"[]", b"{}", b'{"text": 7}', b'{"ids": 7}', b'"text"'):
        response = requests.post(f"{url}/page/items", data=body, timeout=10.0)
        assert (response.status_code, list(response.json())) == (400, ["error"])


@pytest.mark.parametrize("path", ["/", "/page/items", "/v1/models/gru4rec"])
def test_a_name_from_outside_is_refused(url, path):
    """So that no page elsewhere can make a browser ask here by letting its own name lead here."""
    response = requests.get(url + path, headers={"Host": "shop.example"}, timeout=10.0)
    assert response.status_code == 403
