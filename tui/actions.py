"""Every action of the workbench, once: keys, footer, help screen and command palette are all made from this list."""

from __future__ import annotations

from dataclasses import dataclass

from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Action:
    """A thing to do. `id` names it in a keymap, `keys` are Textual's names joined by commas, `run` is the method.

    `footer` shows it in the footer while its pane has the focus; `priority` takes the key even from a text field.
    """

    id: str
    keys: str
    run: str
    label: str
    help: str
    footer: bool = False
    priority: bool = False
    display: str | None = None


# Keys that terminals send as backspace, tab, enter and escape (ctrl+h, ctrl+i, ctrl+m, ctrl+[) must never be used.
ACTIONS: dict[str, tuple[Action, ...]] = {
    "app": (
        Action("app.keys", "f1", "keys", "Keys", "Show every key", True, True, "F1"),
        Action("app.models", "f2", "face('models')", "Models", "Go to the models", priority=True, display="F2"),
        Action("app.chat", "f3", "face('chat')", "Chat", "Go to the chat", priority=True, display="F3"),
        Action("app.golden", "f4", "face('golden')", "Golden", "Go to the golden prompts", priority=True, display="F4"),
        Action("app.wire", "f5", "face('wire')", "Wire", "Watch requests to the API", priority=True, display="F5"),
        Action("app.jump", "ctrl+o", "jump", "Jump", "Jump to any part of the screen by a letter", priority=True),
        Action("app.api", "ctrl+t", "toggle_api", "API", "Start or stop the local API", priority=True),
        Action("app.api_panel", "f6", "api_panel", "API panel", "Show URL, key and client snippets", priority=True),
        Action("app.maximise", "f", "maximise_face", "Maximise", "Give the pane the whole width, or give it back"),
        Action("app.stop", "escape", "stop", "Stop", "Stop what is running and keep what came"),
        Action("app.theme", "f9", "switch_theme", "Dark or light", "Switch between the dark and the light theme"),
        Action("app.help", "question_mark", "keys", "Keys", "Show every key", display="?"),
        Action("app.quit", "ctrl+q", "quit", "Quit", "Stop everything and leave", priority=True),
    ),
    "models": (
        Action("models.quick", "q", "load_as('quick')", "Quick", "Load the row as the quick model", True),
        Action("models.full", "w", "load_as('full')", "Full", "Load the row as the full model", True),
        Action("models.chat", "enter", "chat_with", "Chat", "Chat with the row's model", True, display="⏎"),
        Action("models.unload", "u", "unload", "Unload", "Free the row's model", True),
        Action("models.pin", "p", "pin", "Pin", "Keep the row's model from being evicted", True),
        Action("models.filter", "slash", "filter", "Filter", "Filter the list", True, display="/"),
        Action("models.rescan", "r", "rescan", "Rescan", "Look at the disk again"),
    ),
    "composer": (
        Action("chat.send", "enter", "send", "Send", "Send the message", True, display="⏎"),
        Action("chat.newline", "ctrl+j", "newline", "Newline", "Begin a new line", True),
        Action(
            "chat.paste", "ctrl+v,alt+v", "paste_image", "Paste image", "Attach the clipboard's image", priority=True
        ),
        Action(
            "chat.unedit",
            "escape",
            "leave_edit",
            "Leave edit",
            "Give the edit up; the draft comes back",
            True,
        ),
        Action("chat.detach", "ctrl+d", "detach", "Detach", "Take the last attached image off", priority=True),
    ),
    "message": (
        Action("question.edit", "e", "edit", "Edit", "Change the message, in a new version of it", True),
        Action("turn.copy", "c", "copy", "Copy", "Copy the message", True),
        Action("answer.fold", "t", "fold", "Thinking", "Fold or unfold what the model thought", True),
        Action(
            "turn.version_before",
            "left,left_square_bracket",
            "version(-1)",
            "Before",
            "Show the version before, and what followed it",
            True,
            display="←",
        ),
        Action(
            "turn.version_next",
            "right,right_square_bracket",
            "version(1)",
            "Next version",
            "Show the next version, and what followed it",
            True,
            display="→",
        ),
        Action("turn.next", "tab", "move(1)", "Next message", "To the next message; from the last, to the composer"),
        Action("turn.previous", "shift+tab", "move(-1)", "Message before", "To the message before"),
    ),
    "chat": (
        Action("chat.new", "ctrl+n", "new_chat", "New", "Begin a new chat; the old one stays saved", True, True),
        Action(
            "chat.regenerate",
            "ctrl+r",
            "regenerate",
            "Again",
            "Answer again, beside the answer",
            True,
            True,
        ),
        Action(
            "chat.settings",
            "ctrl+s",
            "settings",
            "Settings",
            "This chat's system prompt and sampling",
            True,
            True,
        ),
        Action("chat.saved", "ctrl+l", "saved_chats", "Chats", "Open a saved chat", True, True),
        Action("chat.model", "f7", "choose_model", "Model", "Choose the model that answers", priority=True),
        Action("chat.thinking", "f8", "toggle_thinking", "Thinking", "Show or fold what models think", priority=True),
        Action("chat.copy", "ctrl+y", "copy_answer", "Copy", "Copy the last answer", priority=True),
        Action("chat.export", "ctrl+e", "export", "Export", "Write the chat to a Markdown or JSON file", priority=True),
    ),
    "golden": (
        Action("golden.run", "r", "run_case", "Run", "Run the row's prompt on both tiers", True),
        Action("golden.run_all", "R", "run_suite", "Run all", "Run the whole suite on both tiers", True, display="R"),
        Action("golden.next", "n", "next_disagreement", "Next ≠", "Go to the next disagreement", True),
        Action("golden.previous", "p", "previous_disagreement", "Previous ≠", "Go to the disagreement before", True),
        Action("golden.picture", "v", "view_picture", "View", "Show the prompt's images in full size", True),
    ),
    "wire": (
        Action("wire.kill", "x", "kill", "Kill", "Cancel the row's request", True),
        Action("wire.panel", "s", "snippets", "Snippets", "Show URL, key and client snippets", True),
    ),
}

PLACES = {
    "app": "Everywhere",
    "models": "Models",
    "composer": "Chat, while writing",
    "message": "Chat, on a message",
    "chat": "Chat",
    "golden": "Golden prompts",
    "wire": "Wire",
}


def bindings(place: str) -> list[BindingType]:
    """Textual's bindings for one place."""
    return [
        Binding(
            action.keys,
            action.run,
            action.label,
            show=action.footer,
            key_display=action.display,
            priority=action.priority,
            tooltip=action.help,
            id=action.id,
        )
        for action in ACTIONS[place]
    ]
