"""The reference of the API: docs/history-api.md, /docs, and every example in them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from functions.history_query.api import reference as page
from functions.history_query.api.openapi import DOCUMENT
from functions.history_query.api.reference import reference
from shared.adapter.access import guarded
from tests.functions.history_query.conftest import House
from tests.functions.history_query.test_openapi import PATHS, fill

ROOT = Path(__file__).parents[3]
SYMBOL = "BTC-USD"


def test_the_document_is_what_the_description_says() -> None:
    """The document is what `make reference` writes."""
    assert (ROOT / "docs/history-api.md").read_text() == reference()


def test_every_example_is_answered(house: House) -> None:
    """Each curl line and each parameter's example is answered."""
    fill(house, SYMBOL)
    text = reference()
    lines = re.findall(r'^curl "\$API_URL(.*)"$', text, re.MULTILINE)
    assert len(lines) == sum(path.startswith(("/api", "/prices")) for path in PATHS)
    requests = [line.partition("?")[::2] for line in lines]
    for section in re.split(r"^## GET ", text, flags=re.MULTILINE)[1:]:
        path = section.splitlines()[0].format(symbol=SYMBOL)
        requests += [
            (path, each) for each in re.findall(r"\| `(\w+=.*)` \|$", section, re.MULTILINE)
        ]
    assert len(requests) > 60
    for path, query in requests:
        response = house.get(path, **dict(parse_qsl(query)))
        assert response.status_code == 200, (path, query, response.text)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_the_page_requests_no_other_server(house: House, path: str) -> None:
    """The page loads only existing files of its own server, and its policy allows no other."""
    if not (page.BUILT / "index.html").is_file():
        pytest.skip("the page was not built: make dashboard")
    response = house.get(path)
    assert "default-src 'self'" in response.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', response.text)
    assert len(loaded) == 3
    for each in loaded:
        assert each.startswith("docs/")
        assert house.get(f"/{each}").status_code == 200


def test_the_page_needs_no_token_and_has_a_field_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With API_TOKENS the page and its files are open, and the routes of history are not."""
    token = "a-token-of-sixteen"
    app = guarded(house.app, {"API_TOKENS": token}, open_paths=page.OPEN_PATHS)
    monkeypatch.setattr(house, "app", app)
    for path in ("/", "/docs", "/docs/start.js", "/openapi.json"):
        assert house.get(path).status_code in (200, 404 if path.endswith(".js") else 200)
    assert house.get("/api/symbols").status_code == 401
    assert house.get("/docs/../api/symbols").status_code in (401, 404)
    assert house.ask("/api/symbols", {"authorization": f"Bearer {token}"}).status_code == 200
    assert DOCUMENT["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert {"token": []} in DOCUMENT["security"]


def test_a_page_that_was_not_built_is_plain_text(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a built page the text describes the same routes."""
    monkeypatch.setattr(page, "BUILT", tmp_path)
    response = house.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert "GET /api/candles/{symbol}" in response.text
