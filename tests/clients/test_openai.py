"""The OpenAI door, by OpenAI's own client."""

import base64

import openai
import pytest
from conftest import Bartizan

QUESTION = [{"role": "user", "content": "Count to three."}]
WEATHER = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather in a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
]


def client_of(server):
    # The client's own retries would hide what the server answers.
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0, timeout=60)


@pytest.fixture
def client(server):
    with client_of(server) as client:
        yield client


def ask(client, messages=QUESTION, model="desk", **fields):
    return client.chat.completions.create(model=model, messages=messages, **fields)


def test_models(client):
    names = [model.id for model in client.models.list()]
    assert names == ["desk", "desk/plain", "desk/clerk", "desk/greeter"]
    assert client.models.retrieve("desk/clerk").id == "desk/clerk"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_answer_in_one_piece(client):
    answer = ask(client)
    assert answer.choices[0].message.content == "one two three"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "desk/plain"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (9, 3)
    assert answer.usage.prompt_tokens_details.cached_tokens == 4


def test_answer_in_pieces(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(text for text in said if text) == "one two three"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == 12
    assert all(chunk.usage is None for chunk in chunks[:-1])


def test_no_usage_unless_asked_for(client):
    chunks = list(ask(client, stream=True))
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


def test_the_stream_helper_of_the_client(client):
    with client.chat.completions.stream(model="desk", messages=QUESTION) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == "one two three"


@pytest.mark.parametrize("stream", [False, True])
def test_tools_of_the_client(client, stream):
    messages = [{"role": "user", "content": "How is the weather in Basel?"}]
    if stream:
        calls, reason = {}, None
        for chunk in ask(client, messages, tools=WEATHER, stream=True):
            choice = chunk.choices[0]
            reason = choice.finish_reason or reason
            for delta in choice.delta.tool_calls or []:
                call = calls.setdefault(delta.index, {"id": delta.id, "name": "", "arguments": ""})
                call["name"] += delta.function.name or ""
                call["arguments"] += delta.function.arguments or ""
        (call,) = calls.values()
    else:
        answer = ask(client, messages, tools=WEATHER)
        reason = answer.choices[0].finish_reason
        (made,) = answer.choices[0].message.tool_calls
        call = {"id": made.id, **made.function.model_dump()}
    assert reason == "tool_calls"
    assert (call["name"], call["arguments"].replace(" ", "")) == ("get_weather", '{"city":"Basel"}')
    function = {"name": call["name"], "arguments": call["arguments"]}
    messages += [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": call["id"], "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": call["id"], "content": "rain in Basel"},
    ]
    answer = ask(client, messages, tools=WEATHER)
    assert answer.choices[0].message.content == "Take an umbrella."


def test_tools_of_the_agent_run_inside(client, tool_server):
    before = len(tool_server.calls)
    messages = [{"role": "user", "content": "Add 2 and 3"}]
    answer = ask(client, messages, model="desk/clerk")
    assert answer.choices[0].message.content == "That makes five."
    assert answer.choices[0].message.tool_calls is None
    said = [
        chunk.choices[0].delta.content or ""
        for chunk in ask(client, messages, model="desk/clerk", stream=True)
    ]
    assert "".join(said) == "That makes five."
    assert tool_server.calls[before:] == [{"a": 2, "b": 3}] * 2


def test_variables(client):
    messages = [{"role": "user", "content": "Hello"}]
    answer = ask(client, messages, model="desk/greeter", extra_body={"variables": {"name": "Grace"}})
    assert answer.choices[0].message.content == "Good day, Grace."
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        ask(client, messages, model="desk/greeter")
    assert refused.value.code == "invalid_variable"


def image(kind, data):
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]


def test_images(client):
    assert ask(client, image("png", b"\x89PNG")).choices[0].message.content == "I do not know."


@pytest.mark.parametrize(
    "error, status, code, param, fields",
    [
        (openai.NotFoundError, 404, "unknown_agent", "model", {"model": "gpt-4"}),
        (openai.BadRequestError, 400, "invalid_request", "messages", {"messages": []}),
        (
            openai.BadRequestError,
            400,
            "invalid_request",
            "messages[0]",
            {"messages": [{"role": "user", "content": ""}]},
        ),
        (openai.BadRequestError, 400, "invalid_request", "n", {"n": 2}),
        (openai.BadRequestError, 400, "invalid_request", "temperature", {"temperature": 9}),
        (openai.BadRequestError, 400, "invalid_request", "logprobs", {"logprobs": True}),
        (
            openai.UnprocessableEntityError,
            422,
            "unsupported_content",
            "messages[0]",
            {"messages": image("gif", b"GIF89a")},
        ),
        (
            openai.APIStatusError,
            413,
            "too_large",
            None,
            {"messages": [{"role": "user", "content": "x" * (17 << 20)}]},
        ),
        (
            openai.APIStatusError,
            502,
            "model_unauthorized",
            None,
            {"messages": [{"role": "user", "content": "Refuse"}]},
        ),
    ],
)
def test_errors(client, error, status, code, param, fields):
    with pytest.raises(error) as refused:
        ask(client, **fields)
    assert refused.value.status_code == status
    assert (refused.value.code, refused.value.param) == (code, param)
    assert refused.value.body["request_id"] == refused.value.response.headers["x-request-id"]
    assert ask(client).choices[0].message.content == "one two three"


def test_a_stream_that_breaks_off(client):
    said = ""
    with pytest.raises(openai.APIError) as broken:
        for chunk in ask(client, [{"role": "user", "content": "Break off"}], stream=True):
            said += chunk.choices[0].delta.content or ""
    assert said.startswith("one ") and "three" not in said
    assert broken.value.code == "model_interrupted"


def test_provider_down(settings, tmp_path):
    # Port 9, discard, where nothing listens.
    settings = settings | {"BARTIZAN_PROVIDER__BASE_URL": "http://127.0.0.1:9/v1"}
    server = Bartizan(tmp_path, **settings).start()
    try:
        with client_of(server) as client:
            for stream in (False, True):
                with pytest.raises(openai.InternalServerError) as down:
                    ask(client, stream=stream)
                assert (down.value.status_code, down.value.code) == (503, "model_unavailable")
    finally:
        server.stop()


def test_a_session_outlives_the_process(own_server):
    kept = {"metadata": {"session_id": "ada-1"}}
    with client_of(own_server) as client:
        first = ask(client, [{"role": "user", "content": "My name is Ada"}], **kept)
    assert first.choices[0].message.content == "It is noted."
    own_server.kill()
    own_server.start()
    with client_of(own_server) as client:
        # Only the new message is sent; the rest is remembered.
        again = ask(client, [{"role": "user", "content": "Who am I?"}], **kept)
        assert again.choices[0].message.content == "You are Ada."
        # And nothing of it elsewhere.
        alone = ask(client, [{"role": "user", "content": "Who am I?"}])
        assert alone.choices[0].message.content == "I do not know."


def test_the_mock_says_that_it_is_one(mock_server, client):
    with client_of(mock_server) as mock:
        raw = mock.chat.completions.with_raw_response.create(model="desk", messages=QUESTION)
        assert raw.headers["x-bartizan-mock"] == "true"
        assert "mock" in raw.parse().choices[0].message.content.lower()
    raw = client.chat.completions.with_raw_response.create(model="desk", messages=QUESTION)
    assert "x-bartizan-mock" not in raw.headers
