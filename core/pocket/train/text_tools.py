"""Tools and their use: schemas as clients write them, questions that need them, results and the answers they lead to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.pocket.train.text_dice import Dice
from core.pocket.train.text_words import CITIES, HELD_CITIES, NUMBERS

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

    family: str
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
    function["parameters"] = parameters
    tool = {"type": "function", "function": function}
    return _sorted(tool) if d.chance(0.3) else tool  # mlx-vlm sorts the keys of a schema, mlx-lm does not


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def string(d: Dice, *descriptions: str) -> Schema:
    """A string parameter, described or not."""
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
                "Use the {tool} tool to find out.", "Use the {tool} tool.", "Please use the {tool} tool.", "Use {tool}.",
                "Use the {tool} tool to find it out.", "Please call {tool}.", "Use {tool} to find out.",
            )
        )
    ).format(tool=name)  # fmt: skip


def weather(d: Dice) -> Tool:
    key = d.pick(("location", "location", "location", "city", "city", "place", "city_name", "where"))
    name = d.pick(
        ("get_weather",) * 6 + ("get_current_weather", "weather", "weather_lookup", "fetch_weather", "getWeather")
    )
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
            "Get weather information for a city", "Get the current weather in a given location", "Current weather of a place.",
            "Returns the current weather for a location.", "Look up the weather.", "Get the forecast for a city.",
        )
    )  # fmt: skip
    tool = schema(d, name, description, properties, [key])

    def use() -> ToolUse:
        city = d.city()
        wordings = (
            "What is the current weather in {c}?", "What is the weather in {c}?", "What's the weather like in {c}?",
            "How is the weather in {c} today?", "Tell me the weather in {c}.", "Is it raining in {c}?", "Weather in {c}?",
            "What is the temperature in {c} right now?", "Please check the weather in {c}.", "{c} weather", "How warm is it in {c}?",
            "What's the weather in {c} right now?", "Do I need an umbrella in {c}?", "I am going to {c}. How is the weather there?",
            "Can you tell me what the weather in {c} is like?", "What is the forecast for {c}?", "Is it cold in {c} today?",
            "I live in {c}. What's the weather?", "Could you look up the weather for {c}?", "How hot is {c} at the moment?",
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


def clock(d: Dice) -> Tool:
    key, name = (
        d.pick(("city", "location", "timezone", "place")),
        d.pick(("get_time", "get_current_time", "time", "current_time")),
    )
    tool = schema(
        d,
        name,
        d.pick(("Get the current time in a city", "Get the current time", "Local time of a place")),
        {key: string(d, *CITY_DESCRIPTIONS)},
        [key],
    )

    def use() -> ToolUse:
        city, time = d.city(), f"{d.number(0, 23):02d}:{d.number(0, 59):02d}"
        user = d.ask(
            (
                "What time is it in {c}?",
                "Tell me the current time in {c}.",
                "What is the time in {c} now?",
                "Time in {c}?",
                "How late is it in {c}?",
            ),
            c=city,
        )
        result = d.pick((time, json.dumps({"time": time}), json.dumps({key: city, "time": time}, ensure_ascii=False)))
        return ToolUse(
            name,
            user + hint(d, name),
            {key: city},
            f"I need the time in {city}. I call {name}.",
            result,
            f"The current time in {city} is {time}.",
        )

    return Tool("clock", tool, use)


def calculator(d: Dice) -> Tool:
    key, name = d.pick(("expression", "expr", "formula")), d.pick(("calculate", "calculator", "eval_math", "compute"))
    tool = schema(
        d,
        name,
        d.pick(("Evaluate a math expression", "Calculate", "A calculator")),
        {key: string(d, "The expression", "A math expression")},
        [key],
    )

    def use() -> ToolUse:
        expression = f"{d.number(10, 9999)} {d.pick('+-*/')} {d.number(10, 999)}"
        user = d.ask(("Calculate {e}.", "What is {e}?", "Compute {e} please.", "{e}", "How much is {e}?"), e=expression)
        value = str(d.number(1, 999999))
        result = d.pick((value, json.dumps({"result": int(value)}), json.dumps({"value": int(value)})))
        return ToolUse(
            name,
            user + hint(d, name),
            {key: expression},
            f"I calculate {expression}. I call {name}.",
            result,
            f"The result is {value}.",
        )

    return Tool("calculator", tool, use)


def search(d: Dice) -> Tool:
    key, name = d.pick(("query", "q", "text", "keywords")), d.pick(("search", "web_search", "search_web", "google"))
    tool = schema(
        d,
        name,
        d.pick(("Search the web", "Search the internet for a query", "Web search")),
        {key: string(d, "The search query", "What to search for")},
        [key],
    )

    def use() -> ToolUse:
        query = d.pick((d.city(), d.invented(), f"{d.name()} {d.invented()}", d.topic()))
        user = d.ask(
            (
                "Search the web for {e}.",
                "Search for {e}.",
                "Find information about {e}.",
                "google {e}",
                "Look up {e} on the web.",
                "Search {e}",
            ),
            e=query,
        )
        found = f"{d.invented()} {d.invented()}"
        return ToolUse(
            name,
            user + hint(d, name),
            {key: query},
            f"I search for {query}. I call {name}.",
            found,
            f"I found this: {found}",
        )

    return Tool("search", tool, use)


def lookup(d: Dice) -> Tool:
    """Any `what of a thing` tool: its name, its parameter and its meaning stand only in the schema."""
    if d.chance(0.25):
        what, thing = d.invented().lower(), d.pick(("city", "person", "product", "team", "object"))
    else:
        row = d.pick([text for place, text in enumerate(LOOKUPS) if (place % 4 == 0) == d.held])
        what, thing = row.split(" of ")[0], row.split(" ")[-1]
    snake = what.replace(" ", "_")
    name = d.pick(
        ("get_{w}", "get_{w}", "{w}_lookup", "fetch_{w}", "lookup_{w}", "find_{w}", "get_{t}_{w}", "{w}")
    ).format(w=snake, t=thing)
    key = d.pick((thing, thing, "name", f"{thing}_name", "query", "id", "item"))
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

    return Tool("lookup", tool, use)


def timer(d: Dice) -> Tool:
    key, name = d.pick(("minutes", "duration", "minutes")), d.pick(("set_timer", "start_timer", "timer"))
    tool = schema(
        d,
        name,
        d.pick(("Set a timer", "Start a timer for some minutes")),
        {key: {"type": "integer", "description": "Minutes"}},
        [key],
    )

    def use() -> ToolUse:
        minutes = d.number(1, 90)
        shown = NUMBERS[minutes] if minutes <= 20 and d.chance(0.2) else str(minutes)
        user = d.ask(
            (
                "Set a timer for {m} minutes.",
                "Start a {m} minute timer.",
                "Remind me in {m} minutes.",
                "timer {m} minutes",
            ),
            m=shown,
        )
        return ToolUse(
            name,
            user + hint(d, name),
            {key: minutes},
            f"I set a timer. I call {name}.",
            d.pick(("ok", "done", '{"ok": true}')),
            "Done.",
        )

    return Tool("timer", tool, use)


def message(d: Dice) -> Tool:
    to_key, body_key = d.pick(("to", "recipient", "name")), d.pick(("body", "text", "message"))
    name = d.pick(("send_email", "send_message", "send_sms", "text_message"))
    tool = schema(
        d,
        name,
        d.pick(("Send a message to a person", "Send an email", "Sends a text")),
        {to_key: string(d, "Who gets it"), body_key: string(d, "The text")},
        [to_key, body_key],
    )

    def use() -> ToolUse:
        person = d.name()
        text = d.pick(
            (
                "I am late",
                "See you tomorrow",
                "Happy birthday",
                "The meeting is at noon",
                "Call me",
                f"I am in {d.city()}",
                f"Meet me in {d.city()}",
                d.invented(),
            )
        )
        user = d.ask(
            ('Send "{x}" to {p}.', 'Tell {p} "{x}".', 'Write to {p}: "{x}"', 'Send a message to {p} that says "{x}".'),
            x=text,
            p=person,
        )
        return ToolUse(
            name,
            user + hint(d, name),
            {to_key: person, body_key: text},
            f"I write to {person}. I call {name}.",
            d.pick(("sent", "ok", '{"status": "sent"}')),
            "Done.",
        )

    return Tool("message", tool, use)


def route(d: Dice) -> Tool:
    keys = d.pick((("origin", "destination"), ("from", "to"), ("start", "end"), ("from_city", "to_city")))
    name = d.pick(("get_route", "find_flights", "search_flights", "get_distance", "find_trains"))
    what = {"get_route": "route", "get_distance": "distance", "find_trains": "trains"}.get(name, "flights")
    tool = schema(
        d,
        name,
        f"Find the {what} between two cities",
        {key: string(d, "City name", "A city") for key in keys},
        list(keys),
    )

    def use() -> ToolUse:
        start, end = d.city(), d.city()
        wordings = (
            "Find the {w} from {a} to {b}.",
            "What {w} are there from {a} to {b}?",
            "{w} from {a} to {b}?",
            "Show me the {w} from {a} to {b}.",
        )
        value = d.pick((f"{d.number(10, 9999)} km", f"{d.number(1, 20)} hours", f"{d.invented()} {d.number(100, 999)}"))
        user = d.ask(wordings, w=what, a=start, b=end) + hint(d, name)
        return ToolUse(
            name,
            user,
            dict(zip(keys, (start, end), strict=True)),
            f"I go from {start} to {end}. I call {name}.",
            value,
            f"I found this: {value}",
        )

    return Tool("route", tool, use)


def light(d: Dice) -> Tool:
    name, key = d.pick(("set_light", "switch_light", "light_control")), d.pick(("state", "power", "on_off"))
    tool = schema(
        d,
        name,
        "Switch a light on or off",
        {"room": string(d, "The room"), key: {"type": "string", "enum": ["on", "off"]}},
        ["room", key],
    )

    def use() -> ToolUse:
        room, state = (
            d.pick(("kitchen", "bedroom", "bathroom", "office", "hall", "garage", "living room")),
            d.pick(("on", "off")),
        )
        user = d.ask(
            (
                "Turn {s} the light in the {r}.",
                "Switch the {r} light {s}.",
                "{r} light {s}",
                "Lights {s} in the {r} please.",
            ),
            r=room,
            s=state,
        )
        return ToolUse(
            name,
            user + hint(d, name),
            {"room": room, key: state},
            f"I switch the light. I call {name}.",
            d.pick(("ok", "done", '{"ok": true}')),
            "Done.",
        )

    return Tool("light", tool, use)


def read_file(d: Dice) -> Tool:
    name, key = d.pick(("read_file", "open_file", "cat", "view")), d.pick(("path", "file", "filename"))
    tool = schema(
        d,
        name,
        d.pick(("Read a file", "Show the content of a file")),
        {key: string(d, "Path of the file", "The file")},
        [key],
    )

    def use() -> ToolUse:
        path = d.pick(("", "src/", "docs/", "/tmp/")) + d.invented().lower() + d.pick((".txt", ".py", ".md", ".json"))
        user = d.ask(("Read {p}.", "Read the file {p}.", "What is in {p}?", "Show me {p}.", "Open {p} please."), p=path)
        text = f"{d.invented()} {d.invented().lower()} {d.number(1, 99)}"
        return ToolUse(
            name, user + hint(d, name), {key: path}, f"I read {path}. I call {name}.", text, f"The file says: {text}"
        )

    return Tool("read_file", tool, use)


FAMILIES: tuple[tuple[Callable[[Dice], Tool], int], ...] = (
    (weather, 30), (lookup, 30), (clock, 8), (calculator, 6), (search, 8), (timer, 4), (message, 5), (route, 6), (light, 4), (read_file, 5),
)  # fmt: skip


def any_tool(d: Dice) -> ToolUse:
    """A use of any family's tool."""
    families, weights = zip(*FAMILIES, strict=True)
    chosen: Callable[[Dice], Tool] = d.random.choices(families, weights)[0]
    return chosen(d)
