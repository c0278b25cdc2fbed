"""Tools and their use: schemas as clients write them, questions that need them, results and answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.pocket.train.text_dice import Dice
from core.pocket.train.text_words import CITIES, HELD_CITIES

Schema = dict[str, Any]

LOOKUPS = (
    "population of a city", "stock price of a company", "phone number of a person", "address of a person",
    "email of a person", "rating of a movie", "director of a movie", "price of a product", "status of an order",
    "owner of a repository", "license of a package", "version of a package", "author of a book", "humidity of a city",
    "air quality of a city", "traffic of a city", "sunrise of a city", "altitude of a city", "mayor of a city",
    "score of a team", "coach of a team", "balance of an account", "definition of a word", "synonym of a word",
    "calories of a food", "recipe of a dish", "schedule of a train", "gate of a flight", "delay of a flight",
    "battery level of a device", "birthday of a person", "manager of a department", "size of a file",
    "length of a river", "height of a mountain", "salary of a person", "menu of a restaurant", "lyrics of a song",
)  # fmt: skip
"""`<what> of <a thing>`; every fourth is kept for the tests."""


@dataclass(frozen=True)
class ToolUse:
    """A question that needs a tool, the call, and what follows."""

    name: str
    user: str
    arguments: dict[str, Any]
    thought: str
    result: str
    answer: str


@dataclass(frozen=True)
class Tool:
    """A tool on offer."""

    purpose: str
    schema: Schema
    use: Callable[[], ToolUse]
    """Draws another use of it."""

    @property
    def name(self) -> str:
        name: str = self.schema["function"]["name"]
        return name


def schema(d: Dice, name: str, description: str, properties: dict[str, Schema], required: list[str]) -> Schema:
    """A function tool in OpenAI's shape, as sloppy or as careful as clients are."""
    function: Schema = {"name": name, "description": description}
    parameters: Schema = {"type": "object", "properties": properties, "required": required}
    if d.chance(0.1):
        del function["description"]
    if d.chance(0.1):
        del parameters["required"]
    if d.chance(0.1):
        parameters["additionalProperties"] = False
    if d.chance(0.05):
        parameters["$schema"] = "http://json-schema.org/draft-07/schema#"
    if d.chance(0.05):
        function["strict"] = True
    if d.chance(0.06):
        for key, value in properties.items():
            value["title"] = key.replace("_", " ").title()
    function["parameters"] = parameters
    tool = {"type": "function", "function": function}
    return _sorted(tool) if d.chance(0.3) else tool  # mlx-vlm sorts the keys of a schema, mlx-lm does not


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def string(d: Dice, *descriptions: str) -> Schema:
    """A string parameter, described or not."""
    if d.chance(0.04):
        return {"type": "string", "description": d.sentence()}
    if not descriptions or d.chance(0.15):
        return {"type": "string"}
    example = d.pick([city for city in CITIES if city not in HELD_CITIES])
    return {"type": "string", "description": d.pick(descriptions).format(c=example)}


CITY_DESCRIPTIONS = (
    "The city name", "City name", "The city and country", "The city", "City name, e.g. {c}", "City name, e.g. '{c}'",
    "The city to get the weather for", "City, e.g. {c}", "The name of the city, such as {c}", "Location",
    "The city and state, e.g. {c}", "Name of a city or a region", "Where?",
)  # fmt: skip


def hint(d: Dice, name: str) -> str:
    """Sometimes the user names the tool."""
    if d.chance(0.65):
        return ""
    return " " + d.typed(
        d.pick(
            (
                "Use the {tool} tool to find out.", "Use the {tool} tool.", "Please use the {tool} tool.",
                "Use {tool}.",
                "Use the {tool} tool to find it out.", "Please call {tool}.", "Use {tool} to find out.",
            )
        )
    ).format(tool=name)  # fmt: skip


def weather(d: Dice) -> Tool:
    key = d.pick(("location", "location", "location", "city", "city", "place", "city_name", "where"))
    name = d.pick(
        ("get_weather",) * 6 + ("get_current_weather", "weather", "weather_lookup", "fetch_weather", "getWeather")
    )
    if d.chance(0.12):  # a name that only the schema tells
        word = d.pick((d.invented().lower(), d.common()))
        name = d.pick((f"{word}_weather", f"weather_{word}", f"get_{word}_weather", f"{word}"))
    if d.chance(0.1):
        key = d.pick((d.invented().lower(), d.common()))
    properties = {key: string(d, *CITY_DESCRIPTIONS)}
    unit = None
    if d.chance(0.35):
        unit_key = d.pick(("unit", "units", "unit"))
        values = d.pick((["celsius", "fahrenheit"], ["metric", "imperial"], ["C", "F"]))
        properties[unit_key] = {"type": "string", "enum": values} | (
            {"description": "Temperature unit"} if d.chance(0.4) else {}
        )
        unit = (unit_key, values)
    description = d.pick(
        (
            "Get the current weather for a location", "Get the current weather for a city", "Get the weather",
            "Get weather information for a city", "Get the current weather in a given location",
            "Current weather of a place.",
            "Returns the current weather for a location.", "Look up the weather.", "Get the forecast for a city.",
        )
    )  # fmt: skip
    tool = schema(d, name, description, properties, [key])

    def use() -> ToolUse:
        city = d.city()
        wordings = (
            "What is the current weather in {c}?", "What is the weather in {c}?", "What's the weather like in {c}?",
            "How is the weather in {c} today?", "Tell me the weather in {c}.", "Is it raining in {c}?",
            "Weather in {c}?",
            "What is the temperature in {c} right now?", "Please check the weather in {c}.", "{c} weather",
            "How warm is it in {c}?",
            "What's the weather in {c} right now?", "Do I need an umbrella in {c}?",
            "I am going to {c}. How is the weather there?",
            "Can you tell me what the weather in {c} is like?", "What is the forecast for {c}?",
            "Is it cold in {c} today?",
            "I live in {c}. What's the weather?", "Could you look up the weather for {c}?",
            "How hot is {c} at the moment?",
            "Should I wear a coat in {c}?", "Is it sunny in {c}?", "Weather for {c} please",
            "{c}: what is the weather?",
        )  # fmt: skip
        user = d.ask(wordings, c=city)
        arguments = {key: city}
        if unit and d.chance(0.3):
            arguments[unit[0]] = d.pick(unit[1])
            user += d.pick((" In {u}.", " Use {u}.", " Answer in {u}, please.")).format(u=arguments[unit[0]])
        result, answer = _weather_result(d, key, city)
        return ToolUse(
            name, user + hint(d, name), arguments, f"I need the weather in {city}. I call {name}.", result, answer
        )

    return Tool("weather", tool, use)


def _weather_result(d: Dice, key: str, city: str) -> tuple[str, str]:
    degrees = d.number(-15, 42)
    condition = d.pick(
        ("sunny", "cloudy", "rainy", "windy", "snowy", "clear", "foggy", "stormy", "partly cloudy", "Sunny", "Rain")
    )
    temperature, sky = (
        d.pick(("temperature", "temperature", "temp", "temp_c", "degrees")),
        d.pick(("condition", "conditions", "weather", "sky", "description")),
    )
    answer = f"The weather in {city} is {condition} with a temperature of {degrees} degrees."
    kind = d.random.random()
    if kind < 0.55:
        data = {temperature: degrees, sky: condition} if d.chance(0.6) else {sky: condition, temperature: degrees}
        if d.chance(0.4):
            data = {d.pick((key, "city", "location")): city, **data}
        if d.chance(0.3):
            data["unit"] = "celsius"
        if d.chance(0.2):
            data["humidity"] = d.number(10, 99)
        return json.dumps(data, ensure_ascii=False), answer
    free = d.pick(
        ("{s}, {t} degrees", "{s}, {t}°C", "{t}°C and {s}", "{t} C, {s}", "It is {s} and {t} degrees", "{s}")
    ).format(s=condition, t=degrees)
    return failure(d) if kind > 0.9 else (free, f"The weather in {city}: {free}.")


def failure(d: Dice) -> tuple[str, str]:
    """A tool result that reports an error, and the honest answer."""
    reason = d.pick(
        ("not found", "timeout", "unknown city", "service unavailable", "permission denied", "no results", "rate limit")
    )
    text = d.pick((json.dumps({"error": reason}), f"Error: {reason}", f"error: {reason}"))
    return text, f"The tool reported an error: {reason}."


def lookup(d: Dice) -> Tool:
    """Any `what of a thing` tool: its name, its parameter and its meaning stand only in the schema."""
    if d.chance(0.55):  # what the tool is for stands in its schema alone: the question has to be matched with it
        invented = d.pick((d.invented().lower(), d.common(), d.common(), f"{d.common()} {d.common()}"))
        what, thing = invented, d.pick(("city", "person", "product", "team", "object", "place", d.common()))
    else:
        row = d.pick([text for place, text in enumerate(LOOKUPS) if (place % 4 == 0) == d.held])
        what, thing = row.split(" of ")[0], row.split(" ")[-1]
    snake = what.replace(" ", "_")
    name = d.pick(
        ("get_{w}", "get_{w}", "{w}_lookup", "fetch_{w}", "lookup_{w}", "find_{w}", "get_{t}_{w}", "{w}")
    ).format(w=snake, t=thing)
    key = d.pick((thing, thing, "name", f"{thing}_name", "query", "id", "item"))
    if d.chance(0.15):
        key = d.pick((d.invented().lower(), d.common()))
    if d.chance(0.1):
        name = d.pick(
            (
                f"{d.common()}_{snake}",
                f"{snake}_{d.common()}",
                d.invented().lower(),
                f"{snake}.get",
                f"tool_{d.number(1, 99)}",
            )
        )
    article = "an" if thing[0] in "aeiou" else "a"
    describe = d.pick(
        ("Get the {w} of {a} {t}", "Look up the {w} of {a} {t}.", "Returns the {w} for {a} {t}", "{w} of {a} {t}")
    ).format(w=what, a=article, t=thing)
    tool = schema(d, name, describe, {key: string(d, f"The {thing}", f"Name of the {thing}", f"Which {thing}")}, [key])

    def use() -> ToolUse:
        subject = (
            d.city()
            if thing == "city"
            else d.name()
            if thing == "person"
            else d.pick((d.invented(), f"{d.invented()} {d.invented()}"))
        )
        wordings = (
            "What is the {w} of {s}?",
            "Tell me the {w} of {s}.",
            "{w} of {s}?",
            "Find the {w} of {s}.",
            "I need the {w} of {s}.",
            "What's the {w} for {s}?",
            "Get the {w} of {s}.",
        )
        value = d.pick(
            (
                str(d.number(1, 99999)),
                d.invented(),
                f"{d.invented()} {d.number(1, 99)}",
                f"{d.number(1, 99)}.{d.number(0, 9)}",
            )
        )
        result = d.pick(
            (
                value,
                json.dumps({snake: value}, ensure_ascii=False),
                json.dumps({key: subject, snake: value}, ensure_ascii=False),
            )
        )
        answer = f"The {what} of {subject} is {value}."
        if d.chance(0.08):
            result, answer = failure(d)
        return ToolUse(
            name,
            d.ask(wordings, w=what, s=subject) + hint(d, name),
            {key: subject},
            f"I need the {what} of {subject}. I call {name}.",
            result,
            answer,
        )

    return Tool(what, tool, use)
