"""Python programs that speak Responses, each asked to find out the weather with a tool: address and key from the
environment, as their pages tell a newcomer. Each returns what it was told in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODEL = "pocket/qwen3"
WEATHER = "What is the current weather in Oslo? Use the get_weather tool to find out."
SUNNY = "Sunny, 21 degrees."
SETTINGS: dict[str, Any] = {"temperature": 0.0}


def pydantic_ai(folder: Path) -> list[str]:
    """`openai:` is its provider for Responses; once at once, once streamed."""
    from pydantic_ai import Agent

    agent: Any = Agent(f"openai:{MODEL}", model_settings={"temperature": 0.0, "openai_reasoning_effort": "none"})

    @agent.tool_plain  # type: ignore[untyped-decorator]
    def get_weather(location: str) -> str:
        """Get the current weather in a given location"""
        return SUNNY

    async def both() -> list[str]:
        whole = await agent.run(WEATHER)
        async with agent.run_stream(WEATHER) as stream:
            return [whole.output, await stream.get_output()]

    return asyncio.run(both())


def agents(folder: Path) -> list[str]:
    """OpenAI's Agents SDK."""
    from agents import Agent, ModelSettings, Runner, function_tool, set_tracing_disabled

    set_tracing_disabled(True)

    @function_tool
    def get_weather(location: str) -> str:
        """Get the current weather in a given location"""
        return SUNNY

    agent = Agent(
        name="assistant",
        instructions="You are helpful.",
        model=f"openai/{MODEL}",  # a name with a slash needs the provider before it
        tools=[get_weather],
        model_settings=ModelSettings(temperature=0.0, extra_body={"reasoning": {"effort": "none"}}),
    )

    async def both() -> list[str]:
        whole = await Runner.run(agent, WEATHER)
        stream = Runner.run_streamed(agent, WEATHER)
        async for _ in stream.stream_events():
            pass
        return [str(whole.final_output), str(stream.final_output)]

    return asyncio.run(both())


def langchain(folder: Path) -> list[str]:
    """LangChain, told to use Responses; calls, their results, and a stream."""
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def get_weather(location: str) -> str:
        """Get the current weather in a given location"""
        return SUNNY

    model = ChatOpenAI(model=MODEL, use_responses_api=True, reasoning={"effort": "none"}, temperature=0)
    bound = model.bind_tools([get_weather])
    call = bound.invoke(WEATHER)
    (asked,) = call.tool_calls
    turns = [HumanMessage(WEATHER), call, ToolMessage(get_weather.invoke(asked["args"]), tool_call_id=asked["id"])]
    streamed = "".join(chunk.text for chunk in bound.stream(turns))
    return [str(bound.invoke(turns).text), streamed]


def litellm(folder: Path) -> list[str]:
    """LiteLLM's responses(), at once and streamed."""
    import litellm as library

    tool = {
        "type": "function",
        "name": "get_weather",
        "description": "Get the current weather in a given location",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "City name, e.g. 'Tokyo'"}},
            "required": ["location"],
        },
    }
    asked: dict[str, Any] = {"model": f"openai/{MODEL}", "tools": [tool], "reasoning": {"effort": "none"}} | SETTINGS
    first = library.responses(input=WEATHER, **asked)
    (call,) = [item for item in first.output if item.type == "function_call"]
    result = [{"type": "function_call_output", "call_id": call.call_id, "output": SUNNY}]
    whole = library.responses(input=result, previous_response_id=first.id, **asked)
    events = library.responses(input=result, previous_response_id=first.id, stream=True, **asked)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    return [whole.output_text, "".join(deltas)]


def inspect(folder: Path) -> list[str]:
    """Inspect, with its openai/ provider, on one sample that its own scorer judges."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate, use_tools
    from inspect_ai.tool import tool

    @tool
    def get_weather() -> Any:
        async def execute(location: str) -> str:
            """Get the current weather in a given location

            Args:
                location: City name, e.g. 'Tokyo'
            """
            return SUNNY

        return execute

    task = Task(
        dataset=[Sample(input=WEATHER, target="21")], solver=[use_tools(get_weather()), generate()], scorer=includes()
    )
    (log,) = eval(
        task,
        model=f"openai/{MODEL}",
        model_args={"responses_api": True},
        temperature=0.0,
        reasoning_effort="none",
        display="none",
        log_dir=str(folder),
    )
    assert log.status == "success", log.error
    assert log.samples is not None
    return [log.samples[0].output.completion]


PROGRAMS: dict[str, tuple[str, Callable[[Path], list[str]]]] = {
    "pydantic-ai": ("pydantic_ai", pydantic_ai),
    "openai-agents": ("agents", agents),
    "langchain-openai": ("langchain_openai", langchain),
    "litellm": ("litellm", litellm),
    "inspect-ai": ("inspect_ai", inspect),
}
"""Package, the module by which it is known to be there, and what it does."""
