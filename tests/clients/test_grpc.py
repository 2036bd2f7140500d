"""omnia.runtime.v1 by grpcio, with code generated from our own .proto file at test time.

The agent has one tool that the client runs. Behind it stands the mock with a script, so that every
answer is known; the sessions are in SQLite, so that they outlive the process.
"""

import importlib
import json
import queue
import socket
import sys

import grpc
import pytest
from conftest import ROOT, SECONDS, Bartizan
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_tools import protoc

PROTO = ROOT / "crates/server/proto"
SERVICE = "omnia.runtime.v1.RuntimeService"

PACK = {
    "id": "desk",
    "name": "Desk",
    "version": "1.0.0",
    "template_engine": {"version": "v1", "syntax": "{{variable}}"},
    "prompts": {
        "default": {
            "id": "default",
            "name": "Desk",
            "version": "1.0.0",
            "system_template": "You are at the desk.",
            "tools": ["locate"],
        }
    },
    "tools": {
        "locate": {
            "name": "locate",
            "description": "Where the user is",
            "parameters": {"type": "object", "properties": {"exact": {"type": "boolean"}}},
        }
    },
}

TOOLS = {
    "handlers": [
        {
            "name": "locate",
            "type": "client",
            "tool": {
                "name": "locate",
                "description": "Where the user is",
                "inputSchema": {"type": "object"},
            },
        }
    ]
}

# Matched against the last message, a tool's result included.
MOCK = {
    "responses": [
        {"match": "Wien", "response": "You are in Wien."},
        {"match": "not run", "response": "Then I cannot tell."},
        {
            "match": "Where am I",
            "response": {"tool_calls": [{"name": "locate", "arguments": {"exact": True}}]},
        },
        {"match": "a function", "response": '{"sum": 3}'},
        {"match": "Hello", "response": "Good day to you."},
    ]
}


@pytest.fixture(scope="session")
def wire(tmp_path_factory):
    """The contract's messages and stubs, compiled from our .proto file."""
    out = tmp_path_factory.mktemp("proto")
    code = protoc.main(
        [
            "protoc",
            f"-I{PROTO}",
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            "omnia/runtime/v1/runtime.proto",
        ]
    )
    assert code == 0, "our .proto file does not compile"
    sys.path.insert(0, str(out))
    messages = importlib.import_module("omnia.runtime.v1.runtime_pb2")
    messages.RuntimeServiceStub = importlib.import_module(
        "omnia.runtime.v1.runtime_pb2_grpc"
    ).RuntimeServiceStub
    return messages


class Desk(Bartizan):
    """The desk's process, at the same address whenever it is started."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.grpc = f"127.0.0.1:{free.getsockname()[1]}"
        super().__init__(
            folder,
            BARTIZAN_GRPC__ADDRESS=self.grpc,
            BARTIZAN_PROMPT="default",
            BARTIZAN_PROVIDER__TYPE="mock",
            BARTIZAN_MOCK__FILE=str(folder / "mock.json"),
            BARTIZAN_TOOLS__FILE=str(folder / "tools.json"),
        )
        for name, content in {"pack": PACK, "tools": TOOLS, "mock": MOCK}.items():
            (folder / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.start()
    yield desk
    desk.stop()


@pytest.fixture(params=["identity", "gzip"])
def channel(desk, request):
    compression = {
        "identity": grpc.Compression.NoCompression,
        "gzip": grpc.Compression.Gzip,
    }[request.param]
    with grpc.insecure_channel(desk.grpc, compression=compression) as channel:
        yield channel


@pytest.fixture
def runtime(wire, channel):
    return wire.RuntimeServiceStub(channel)


def kinds(frames):
    return [frame.WhichOneof("message") for frame in frames]


def say(wire, runtime, session, content):
    """All frames of a stream that says one thing."""
    message = wire.ClientMessage(session_id=session, content=content)
    return list(runtime.Converse(iter([message]), timeout=SECONDS))


def test_text_turn(wire, runtime):
    call = runtime.Converse(
        iter([wire.ClientMessage(session_id="text", content="Hello" + " there" * 200)]),
        timeout=SECONDS,
    )
    frames = list(call)
    assert kinds(frames)[0] == "runtime_hello"
    assert kinds(frames)[-1] == "done"
    assert set(kinds(frames)[1:-1]) == {"chunk"}
    assert len(frames) <= 16
    said = "".join(frame.chunk.content for frame in frames[1:-1])
    assert said == frames[-1].done.final_content == "Good day to you."
    assert call.code() is grpc.StatusCode.OK
    assert dict(call.initial_metadata())["x-bartizan-mock"] == "true"


def test_client_tool(wire, runtime):
    outbox = queue.Queue()
    outbox.put(wire.ClientMessage(session_id="tool", content="Where am I?"))
    seen = []
    for frame in runtime.Converse(iter(outbox.get, None), timeout=SECONDS):
        kind = frame.WhichOneof("message")
        seen.append(kind)
        if kind == "tool_call":
            call = frame.tool_call
            assert call.id
            assert call.name == "locate"
            assert json.loads(call.arguments_json) == {"exact": True}
            assert call.execution == wire.TOOL_EXECUTION_CLIENT
            result = wire.ClientToolResult(call_id=call.id, result_json='{"city": "Wien"}')
            outbox.put(wire.ClientMessage(client_tool_result=result))
        elif kind == "done":
            assert frame.done.final_content == "You are in Wien."
            outbox.put(None)
    assert seen[0] == "runtime_hello"
    assert seen.count("tool_call") == 1
    assert seen[-1] == "done"


def test_rejected_client_tool(wire, runtime):
    outbox = queue.Queue()
    outbox.put(wire.ClientMessage(session_id="rejected", content="Where am I?"))
    for frame in runtime.Converse(iter(outbox.get, None), timeout=SECONDS):
        if frame.WhichOneof("message") == "tool_call":
            result = wire.ClientToolResult(
                call_id=frame.tool_call.id, is_rejected=True, rejection_reason="it is private"
            )
            outbox.put(wire.ClientMessage(client_tool_result=result))
            outbox.put(None)
    assert frame.done.final_content == "Then I cannot tell."


def test_resume_after_a_restart(wire, desk):
    def ask(session):
        with grpc.insecure_channel(desk.grpc) as channel:
            runtime = wire.RuntimeServiceStub(channel)
            request = wire.HasConversationRequest(session_id=session)
            before = runtime.HasConversation(request, timeout=SECONDS).state
            frames = say(wire, runtime, session, "Hello")
            return before, frames[-1].done

    assert ask("resumed")[0] == wire.RESUME_STATE_NOT_FOUND
    desk.stop()
    desk.start()
    state, done = ask("resumed")
    assert state == wire.RESUME_STATE_RESUMABLE
    assert done.final_content == "Good day to you."
    assert ask("never seen")[0] == wire.RESUME_STATE_NOT_FOUND


def test_has_conversation_needs_a_session(wire, runtime):
    with pytest.raises(grpc.RpcError) as error:
        runtime.HasConversation(wire.HasConversationRequest(), timeout=SECONDS)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "session_id" in error.value.details()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"session_id": "malformed"}, "INVALID_MESSAGE"),
        ({"session_id": "two words", "content": "Hello"}, "INVALID_MESSAGE"),
        ({"session_id": "malformed", "duplex_start": {"codec": "pcm"}}, "DUPLEX_UNSUPPORTED"),
        ({"session_id": "malformed", "audio_input": {"data": b"\0"}}, "DUPLEX_UNSUPPORTED"),
    ],
)
def test_a_message_that_cannot_be_acted_on(wire, runtime, fields, code):
    call = runtime.Converse(iter([wire.ClientMessage(**fields)]), timeout=SECONDS)
    frames = list(call)
    assert kinds(frames) == ["runtime_hello", "error"]
    assert frames[-1].error.code == code
    assert call.code() is grpc.StatusCode.OK


def test_bytes_that_are_no_message(wire, channel, runtime):
    converse = channel.stream_stream(
        f"/{SERVICE}/Converse",
        request_serializer=lambda data: data,
        response_deserializer=wire.ServerMessage.FromString,
    )
    # An unfinished number; a session id that is not UTF-8.
    for data in (b"\xff\xff", b"\x0a\x02\xc3\x28"):
        with pytest.raises(grpc.RpcError) as error:
            list(converse(iter([data]), timeout=SECONDS))
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert kinds(say(wire, runtime, "unharmed", "Hello"))[-1] == "done"


def test_invoke(wire, runtime):
    response = runtime.Invoke(
        wire.InvocationRequest(invocation_id="i-1", input_json='"a function"'), timeout=SECONDS
    )
    assert response.invocation_id == "i-1"
    assert json.loads(response.output_json) == {"sum": 3}
    response = runtime.Invoke(
        wire.InvocationRequest(invocation_id="i-2", input_json='{"say": "Hello"}'), timeout=SECONDS
    )
    assert json.loads(response.output_json) == "Good day to you."


@pytest.mark.parametrize(
    ("request_fields", "code"),
    [
        ({"input_json": "{}"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"invocation_id": "i-1"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"invocation_id": "i-1", "input_json": "{"}, grpc.StatusCode.INVALID_ARGUMENT),
        (
            {"invocation_id": "i-1", "input_json": '"Where am I"'},
            grpc.StatusCode.FAILED_PRECONDITION,
        ),
    ],
)
def test_invoke_refuses(wire, runtime, request_fields, code):
    with pytest.raises(grpc.RpcError) as error:
        runtime.Invoke(wire.InvocationRequest(**request_fields), timeout=SECONDS)
    assert error.value.code() is code


def test_health(wire, channel, runtime):
    health = runtime.Health(wire.HealthRequest(), timeout=SECONDS)
    assert health.healthy
    assert health.status == "ready"
    assert health.contract_version == "1.3.0"
    hello = say(wire, runtime, "health", "Hello")[0].runtime_hello
    assert sorted(health.capabilities) == sorted(hello.capabilities) == ["client_tools", "invoke"]

    standard = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE):
        request = health_pb2.HealthCheckRequest(service=service)
        status = standard.Check(request, timeout=SECONDS).status
        assert status == health_pb2.HealthCheckResponse.SERVING


def test_reflection(channel):
    database = ProtoReflectionDescriptorDatabase(channel)
    assert SERVICE in database.get_services()
