"""The REST and operations doors, by httpx."""

import json
import time
import uuid

import httpx
import pytest


def events_of(lines):
    """Server-sent events as (id, name, data)."""
    event = {}
    for line in lines:
        if not line:
            if event:
                yield int(event["id"]), event["event"], json.loads(event["data"])
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def error_of(response):
    error = response.json()["error"]
    assert set(error) == {"code", "message", "type", "param", "request_id"}
    assert error["request_id"] == response.headers["x-request-id"]
    return response.status_code, error["code"], error["param"]


def begin(rest, **fields):
    response = rest.post("/v1/runs", json=fields)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"/v1/runs/{response.json()['id']}"
    return response.json()["id"]


def test_agents(rest):
    agents = {agent["id"]: agent for agent in rest.get("/v1/agents").json()["data"]}
    assert list(agents) == ["desk/plain", "desk/clerk", "desk/greeter"]
    assert agents["desk/plain"]["entry"] and not agents["desk/clerk"]["entry"]
    assert agents["desk/greeter"]["variables"][0]["name"] == "name"
    assert agents["desk/clerk"]["tools"][0]["execution"] == "server"
    assert agents["desk/plain"]["model"] == {"provider": "openai", "model": "scripted", "mock": False}
    assert rest.get("/v1/agents/desk/clerk").json() == agents["desk/clerk"]


def test_a_session(rest):
    name = f"s-{uuid.uuid4()}"
    made = rest.post("/v1/sessions", json={"id": name, "agent": "desk/clerk"})
    assert made.status_code == 201
    assert error_of(rest.post("/v1/sessions", json={"id": name}))[1] == "session_exists"
    run = rest.post("/v1/runs", json={"session_id": name, "input": "Add 2 and 3", "wait": True})
    assert run.json()["output"] == "That makes five."
    assert run.json()["agent"] == "desk/clerk"
    session = rest.get(f"/v1/sessions/{name}").json()
    said = [(message["role"], message["content"]) for message in session["messages"]]
    assert [role for role, _ in said] == ["user", "assistant", "tool", "assistant"]
    assert said[0][1] == "Add 2 and 3" and said[-1][1] == "That makes five."
    assert name in [found["id"] for found in rest.get("/v1/sessions?limit=100").json()["data"]]
    assert rest.delete(f"/v1/sessions/{name}").status_code == 204
    assert error_of(rest.get(f"/v1/sessions/{name}"))[1] == "unknown_session"
    assert error_of(rest.get(f"/v1/runs/{run.json()['id']}"))[1] == "unknown_run"


def test_events_exactly_once(rest):
    run = begin(rest, input="Slowly")
    path = f"/v1/runs/{run}/events"
    seen = []
    while not seen or seen[-1][1] != "done":
        headers = {"Last-Event-ID": str(seen[-1][0])} if seen else {}
        with rest.stream("GET", path, headers=headers) as response:
            for number, event in enumerate(events_of(response.iter_lines())):
                seen.append(event)
                # The connection breaks after every third event.
                if number == 2:
                    break
    ids = [event[0] for event in seen]
    assert ids == list(range(1, len(ids) + 1))
    said = "".join(data["delta"] for _, name, data in seen if name == "text")
    assert said == seen[-1][2]["text"] == "".join(f"{number} " for number in range(12))
    # The same again, from the store.
    again = list(events_of(rest.get(path).text.splitlines() + [""]))
    assert again == seen
    assert rest.get(path, params={"after": ids[-1]}).status_code == 204


def test_a_run_is_found_after_the_process_was_killed(own_server):
    with httpx.Client(base_url=own_server.url, timeout=30) as rest:
        finished = rest.post("/v1/runs", json={"input": "Count", "wait": True}).json()
        broken = begin(rest, input="Slowly")
    own_server.kill()
    own_server.start()
    with httpx.Client(base_url=own_server.url, timeout=30) as rest:
        assert rest.get(f"/v1/runs/{finished['id']}").json() == finished
        assert rest.get(f"/v1/runs/{broken}").json()["status"] == "interrupted"
        told = list(events_of(rest.get(f"/v1/runs/{broken}/events").text.splitlines() + [""]))
        assert (told[-1][1], told[-1][2]["code"]) == ("failed", "interrupted")


def test_cancel(rest):
    run = begin(rest, input="Slowly")
    began = time.monotonic()
    cancelled = rest.post(f"/v1/runs/{run}/cancel").json()
    assert (cancelled["status"], cancelled["error"]["code"]) == ("cancelled", "cancelled")
    assert time.monotonic() - began < 10
    assert rest.post(f"/v1/runs/{run}/cancel").json() == cancelled


def test_a_stream_at_once_that_keeps_nothing(rest):
    fields = {"input": "Count", "stream": True, "keep": False}
    with rest.stream("POST", "/v1/runs", json=fields) as response:
        assert response.headers["content-type"] == "text/event-stream"
        told = list(events_of(response.iter_lines()))
    assert told[-1][2]["text"] == "one two three"
    assert told[0][2]["session_id"] is None


def test_tools_of_the_caller(rest):
    tool = {"name": "get_weather", "parameters": {"type": "object"}}
    run = begin(rest, input="How is the weather in Basel?", tools=[tool])
    with rest.stream("GET", f"/v1/runs/{run}/events") as response:
        for _, name, data in events_of(response.iter_lines()):
            if name == "tool_call":
                assert (data["execution"], data["arguments"]) == ("client", {"city": "Basel"})
                result = {"call_id": data["id"], "content": "rain in Basel"}
                path = f"/v1/runs/{run}/tool_results"
                assert rest.post(path, json={"results": [result]}).status_code == 204
    assert rest.get(f"/v1/runs/{run}").json()["output"] == "Take an umbrella."


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "path, body, headers, expected",
    [
        ("/v1/runs", b"{}", {}, (415, "unsupported_media_type", None)),
        ("/v1/runs", b"{", JSON, (400, "invalid_request", None)),
        ("/v1/runs", b'{"input": "\xff"}', JSON, (400, "invalid_request", None)),
        ("/v1/runs", b"[" * 100_000, JSON, (400, "invalid_request", None)),
        ("/v1/runs", b'"' + b"x" * (17 << 20) + b'"', JSON, (413, "too_large", None)),
        ("/v1/runs", b'{"input": ""}', JSON, (400, "invalid_request", "input[0]")),
        ("/v1/runs", b'{"input": [7]}', JSON, (400, "invalid_request", "input[0]")),
        ("/v1/runs", b'{"input": "x", "agent": "y"}', JSON, (404, "unknown_agent", "agent")),
        (
            "/v1/runs",
            b'{"input": "x", "agent": "desk/greeter"}',
            JSON,
            (422, "invalid_variable", "variables"),
        ),
        (
            "/v1/runs",
            b'{"input": "x", "session_id": "none"}',
            JSON,
            (404, "unknown_session", "session_id"),
        ),
        ("/v1/sessions", b'{"id": "a b"}', JSON, (400, "invalid_request", "id")),
        ("/v1/sessions", b'{"agent": "y"}', JSON, (404, "unknown_agent", "agent")),
        ("/v1/nothing", b"{}", JSON, (404, "unknown_route", None)),
        ("/v1/agents", b"{}", JSON, (405, "method_not_allowed", None)),
    ],
)
def test_bad_input(rest, path, body, headers, expected):
    assert error_of(rest.post(path, content=body, headers=headers)) == expected
    assert rest.post("/v1/runs", json={"input": "Count", "wait": True}).status_code == 200


def test_operations(server):
    with httpx.Client(base_url=server.ops, timeout=30) as ops:
        assert ops.get("/healthz").text == "ok"
        assert ops.get("/readyz").json() == {"ready": True, "reasons": []}
        metrics = ops.get("/metrics").text
    assert "omnia_runtime_info{" in metrics and "bartizan_turns_running{" in metrics


def test_not_ready_without_a_valid_pack(own_server):
    (own_server.folder / "pack.json").write_text("{")
    answer = httpx.get(f"{own_server.ops}/readyz")
    assert answer.status_code == 503 and answer.json()["reasons"]
    assert httpx.get(f"{own_server.ops}/healthz").status_code == 200
    assert httpx.get(f"{own_server.url}/v1/agents").status_code == 200


def test_openapi(rest):
    document = rest.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/v1/chat/completions" in document["paths"]
