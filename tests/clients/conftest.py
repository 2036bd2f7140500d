"""A scripted model, a tool, and the real binary between them and the real clients.

Everything runs on loopback. The model's answers are known: it is `scripted-upstream`, which speaks
OpenAI's wire format and answers by what the request's body contains.
"""

import http.server
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "target/debug"
BARTIZAN = Path(os.environ.get("BARTIZAN_BIN", TARGET / "bartizan"))
UPSTREAM = Path(os.environ.get("SCRIPTED_UPSTREAM_BIN", TARGET / "scripted-upstream"))
SECONDS = 30

PACK = {
    "id": "desk",
    "name": "Desk",
    "version": "1.0.0",
    "template_engine": {"version": "v1", "syntax": "{{variable}}"},
    "prompts": {
        "plain": {
            "id": "plain",
            "name": "Plain",
            "version": "1.0.0",
            "system_template": "You answer.",
            "media": {
                "enabled": True,
                "supported_types": ["image"],
                "image": {"max_size_mb": 1, "allowed_formats": ["png"]},
            },
        },
        "clerk": {
            "id": "clerk",
            "name": "Clerk",
            "version": "1.0.0",
            "system_template": "You add numbers with your tool.",
            "tools": ["add"],
        },
        "greeter": {
            "id": "greeter",
            "name": "Greeter",
            "version": "1.0.0",
            "system_template": "You greet {{name}}.",
            "variables": [{"name": "name", "type": "string", "required": True}],
        },
    },
    "tools": {
        "add": {
            "name": "add",
            "description": "Adds two numbers",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
                "required": ["a", "b"],
            },
        },
    },
}


def call(name, **arguments):
    return {"id": f"call_{name}", "name": name, "arguments": [json.dumps(arguments)]}


# The first that occurs in the request's body is said, so what comes later in a conversation stands
# further up.
SCRIPT = {
    "steps": [
        {"when": "five in all", "text": ["That ", "makes ", "five."]},
        {"when": "Add 2 and 3", "tool_calls": [call("add", a=2, b=3)]},
        {"when": "rain in Basel", "text": ["Take ", "an umbrella."]},
        {"when": "weather in Basel", "tool_calls": [call("get_weather", city="Basel")]},
        {"when": "It is noted.", "text": ["You are Ada."]},
        {"when": "My name is Ada", "text": ["It is noted."]},
        {"when": "You greet Grace", "text": ["Good day, Grace."]},
        {
            "when": "Count",
            "text": ["one ", "two ", "three"],
            "usage": {"input": 9, "output": 3, "cached": 4, "reasoning": 0},
        },
        {"when": "Break off", "text": ["one ", "two ", "three"], "fault": {"after": 2, "kind": "cut"}},
        {"when": "Slowly", "text": [f"{number} " for number in range(12)], "chunk_delay_ms": 100},
        {"when": "Refuse", "status": 401},
        {"text": ["I do not know."]},
    ]
}


class ToolServer:
    """What the tool `add` calls."""

    def __init__(self):
        calls = self.calls = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                calls.append(body)
                words = {5: "five"}.get(body["a"] + body["b"], "something")
                answer = json.dumps({"total": f"{words} in all"}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Upstream:
    """The scripted model."""

    def __init__(self, folder):
        script = folder / "script.json"
        script.write_text(json.dumps(SCRIPT))
        self.process = subprocess.Popen(
            [UPSTREAM, "--script", script], stdout=subprocess.PIPE, text=True
        )
        self.url = self.process.stdout.readline().strip()
        assert self.url, "scripted-upstream did not start"

    def stop(self):
        self.process.kill()
        self.process.wait(SECONDS)
        self.process.stdout.close()


class Bartizan:
    """A Bartizan process that can be stopped, killed and started again on the same files."""

    def __init__(self, folder, **environment):
        self.folder = folder
        self.environment = environment
        (folder / "pack.json").write_text(json.dumps(PACK))
        self.process = None

    def start(self):
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = inherited | {
            "BARTIZAN_HTTP__ADDRESS": "127.0.0.1:0",
            "BARTIZAN_GRPC__ADDRESS": "127.0.0.1:0",
            "BARTIZAN_OPS__ADDRESS": "127.0.0.1:0",
            "BARTIZAN_DATA__DIR": str(self.folder / "data"),
            "BARTIZAN_PROMPT": "plain",
            "BARTIZAN_LOG__FORMAT": "json",
        }
        log = self.folder / "log.jsonl"
        before = log.stat().st_size if log.exists() else 0
        with open(log, "a") as stderr:
            self.process = subprocess.Popen(
                [BARTIZAN, "serve", self.folder / "pack.json"],
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                cwd=self.folder,
                env=environment | self.environment,
            )
        addresses = self.listening(log, before)
        self.url = f"http://{addresses['http']}"
        self.ops = f"http://{addresses['ops']}"
        return self

    def listening(self, log, before):
        """The line of the log that says where the doors are."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            for line in log.read_bytes()[before:].decode().splitlines(keepends=True):
                if line.endswith("\n") and '"event":"listening"' in line:
                    return json.loads(line)
            time.sleep(0.01)
        self.process.kill()
        raise AssertionError(f"bartizan does not listen: {log.read_bytes()[before:].decode()}")

    def end(self, how):
        if self.process is None:
            return
        self.process.send_signal(how)
        code = self.process.wait(SECONDS)
        self.process = None
        assert how != signal.SIGTERM or code == 0, f"bartizan ended with {code}"

    def stop(self):
        self.end(signal.SIGTERM)

    def kill(self):
        self.end(signal.SIGKILL)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory):
    upstream = Upstream(tmp_path_factory.mktemp("upstream"))
    yield upstream
    upstream.stop()


@pytest.fixture(scope="session")
def tool_server():
    server = ToolServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def settings(upstream, tool_server, tmp_path_factory):
    """The environment of a server that talks to the scripted model and the tool."""
    tools = tmp_path_factory.mktemp("tools") / "tools.yaml"
    handler = {
        "name": "adder",
        "type": "http",
        "tool": {"name": "add", "description": "Adds", "inputSchema": {"type": "object"}},
        "httpConfig": {"endpoint": f"{tool_server.url}/add", "method": "POST"},
    }
    # JSON is YAML, too.
    tools.write_text(json.dumps({"handlers": [handler]}))
    return {
        "BARTIZAN_PROVIDER__TYPE": "openai",
        "BARTIZAN_PROVIDER__BASE_URL": f"{upstream.url}/v1",
        "BARTIZAN_PROVIDER__MODEL": "scripted",
        "OPENAI_API_KEY": "not-a-key",
        "OMNIA_TOOLS_CONFIG": str(tools),
    }


@pytest.fixture(scope="session")
def server(settings, tmp_path_factory):
    server = Bartizan(tmp_path_factory.mktemp("server"), **settings).start()
    yield server
    server.stop()


@pytest.fixture
def own_server(settings, tmp_path):
    """A server that a test may stop, kill and start again."""
    server = Bartizan(tmp_path, **settings).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def mock_server(tmp_path_factory):
    """A server without a provider."""
    server = Bartizan(tmp_path_factory.mktemp("mock")).start()
    yield server
    server.stop()


@pytest.fixture
def rest(server):
    with httpx.Client(base_url=server.url, timeout=SECONDS) as client:
        yield client
