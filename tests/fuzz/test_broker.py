"""The broker's ingress as a live process: each request gets its response, the broker goes on."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.inputs import jsons, texts, tries
from tests.local.broker.manifests import broker, channel
from tests.local.broker.processes import BrokerRun

NAMES = ("specversion", "id", "type", "source", "time", "subject", "dataschema", "knativebrokerttl")
VALUES = st.one_of(
    st.sampled_from(["1.0", "/fuzz", "0.3", "0", "-1", "255", "9" * 400, "%00", '"', "%e2%82"]),
    texts.filter(str.isprintable).map(str.strip),  # headers have no spaces at their ends
)
TYPES = st.sampled_from(
    [
        *(b"application/protobuf", b"application/cloudevents+json", b"application/json"),
        *(b"application/cloudevents-batch+json", b"text/plain; charset=x", b"\xff", b""),
    ]
)


@st.composite
def structured(draw: st.DrawFn) -> bytes:
    """JSON events with arbitrary members."""
    event: dict[str, object] = {"specversion": "1.0", "id": "1", "type": "t", "source": "/s"}
    event |= draw(st.dictionaries(st.sampled_from(NAMES), VALUES | st.integers() | st.none()))
    if draw(st.booleans()):
        event["data_base64"] = draw(
            st.binary(max_size=20).map(lambda data: base64.b64encode(data).decode()) | texts
        )
    return json.dumps(event).encode()


@pytest.fixture
def ingress(servers: dict[str, str], tmp_path: Path) -> Iterator[httpx.Client]:
    objects = [channel("tests", stream={"maxBytes": 64 << 20}), broker("tests", "default")]
    run = BrokerRun(tmp_path, servers["NATS_URL"], objects, {})
    run.start()
    with httpx.Client(base_url=run.url, timeout=30) as client:
        yield client
    assert run.close() == 0


def test_no_request_makes_the_broker_fail(ingress: httpx.Client) -> None:
    """An event is 202, anything else 400; only an event that is too large is 500."""
    paths = st.sampled_from(["/tests/default"] * 6 + ["/", "/tests", "/tests/none", "//"])

    @tries(80)
    @given(
        st.sampled_from(["POST"] * 6 + ["GET", "PUT", "OPTIONS"]),
        paths,
        st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
        TYPES,
        st.one_of(structured(), jsons, st.binary(max_size=200)),
    )
    def holds(
        method: str, path: str, attributes: dict[str, str], type_: bytes, body: bytes
    ) -> None:
        attributes = {"specversion": "1.0", "id": "1", "type": "t", "source": "/s"} | attributes
        headers = [(f"ce-{name}".encode(), value.encode()) for name, value in attributes.items()]
        headers.append((b"content-type", type_))
        answer = ingress.request(method, path, headers=headers, content=body)
        assert answer.status_code in (202, 400, 404, 405), (answer.status_code, answer.text)

    holds()
    event = {"ce-specversion": "1.0", "ce-id": "big", "ce-type": "t", "ce-source": "/s"}
    too_big = ingress.post("/tests/default", headers=event, content=bytes(3 * 1024 * 1024))
    assert too_big.status_code == 500
    assert ingress.get("/readyz").status_code == 200
