"""The other families of tools that the text model practises on, and the draw of any of them."""

from __future__ import annotations

import json
from collections.abc import Callable

from core.pocket.train.text_dice import Dice
from core.pocket.train.text_facts import NUMBERS
from core.pocket.train.text_tools import CITY_DESCRIPTIONS, Tool, ToolUse, hint, lookup, schema, string, weather


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
    (weather, 30), (lookup, 30), (clock, 8), (calculator, 6), (search, 8), (timer, 4), (message, 5), (route, 6),
    (light, 4), (read_file, 5),
)  # fmt: skip


def any_tool(d: Dice) -> Tool:
    """A tool of any family."""
    families, weights = zip(*FAMILIES, strict=True)
    chosen: Callable[[Dice], Tool] = d.random.choices(families, weights)[0]
    return chosen(d)
