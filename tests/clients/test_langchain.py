"""The OpenAI door, by LangChain: a chat model, and an agent with a tool of its own."""

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@pytest.fixture
def model(server):
    return ChatOpenAI(
        base_url=f"{server.url}/v1",
        api_key="unused",
        model="desk",
        max_retries=0,
        timeout=60,
        stream_usage=True,
    )


def test_invoke(model):
    answer = model.invoke("Count to three.")
    assert answer.content == "one two three"
    assert answer.usage_metadata["total_tokens"] == 12


def test_stream(model):
    whole = None
    for chunk in model.stream("Count to three."):
        whole = chunk if whole is None else whole + chunk
    assert whole.content == "one two three"
    assert whole.usage_metadata["output_tokens"] == 3


@pytest.mark.parametrize("stream", [False, True])
def test_an_agent_with_a_tool(model, stream):
    asked = []

    @tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return f"rain in {city}"

    agent = create_agent(model, [get_weather])
    question = {"messages": [HumanMessage("How is the weather in Basel?")]}
    if stream:
        messages = list(agent.stream(question, stream_mode="values"))[-1]["messages"]
    else:
        messages = agent.invoke(question)["messages"]
    assert asked == ["Basel"]
    assert [type(message) for message in messages] == [
        HumanMessage,
        AIMessage,
        ToolMessage,
        AIMessage,
    ]
    assert messages[-1].content == "Take an umbrella."
