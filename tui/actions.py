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
        Action("app.maximise", "f10,f", "maximise_face", "Maximise", "Give the pane the whole width, or give it back"),
        Action(
            "app.stop_answer",
            "f12",
            "app.stop_pane('chat')",
            "Stop answer",
            "Stop the chat's answer from anywhere, keep what came",
            True,
            True,
            "F12",
        ),
        Action(
            "app.stop_golden",
            "ctrl+g",
            "app.stop_pane('golden')",
            "Stop golden run",
            "Stop the golden run from anywhere, keep what it found",
            True,
            True,
        ),
        Action(
            "app.stop_load",
            "ctrl+backslash",
            "app.stop_pane('models')",
            "Stop load",
            "Give up loading from anywhere",
            True,
            True,
            "^\\",
        ),
        Action(
            "app.start_engine",
            "ctrl+right_square_bracket",
            "start_engine",
            "Start engine",
            "Start the engine anew after it died; chats stay",
            True,
            True,
            "^]",
        ),
        Action("app.back", "escape", "leave", "Back", "Clear the filter; from a message to the composer"),
        Action("app.theme", "f9", "switch_theme", "Dark or light", "Switch between the dark and the light theme"),
        Action("app.help", "question_mark", "keys", "Keys", "Show every key", display="?"),
        Action("app.quit", "ctrl+q", "quit", "Quit", "Stop everything and leave", priority=True),
    ),
    "models": (
        Action("models.quick", "q", "load_as('quick')", "Quick", "Load the row as the quick model", True),
        Action("models.full", "w", "load_as('full')", "Full", "Load the row as the full model", True),
        Action("models.chat", "enter", "chat_with", "Chat", "Chat with the row's model", True, display="⏎"),
        Action("models.hub", "h", "show_hub", "Hub", "To the models of the Hugging Face Hub", True),
        Action("models.unload", "u", "unload", "Unload", "Free the row's model", True),
        Action("models.pin", "p", "pin", "Pin", "Keep the row's model from being evicted", True),
        Action("models.filter", "slash", "filter", "Filter", "Filter the list", True, display="/"),
        Action("models.delete", "x,delete", "delete", "Delete", "Delete the row's model from disk, asked first", True),
        Action("models.sort", "s", "sort", "Sort", "Sort by the next column; past the last, as found", True),
        Action("models.reverse", "S", "reverse", "Reverse", "Turn the order round", display="S"),
        Action("models.first", "1", "take_offer(0)", "First", "Download the first of the models that are proposed"),
        Action("models.second", "2", "take_offer(1)", "Second", "Download the second of them"),
        Action("models.third", "3", "take_offer(2)", "Third", "Download the third of them"),
        Action("models.rescan", "r", "rescan", "Rescan", "Look at the disk again"),
        Action("models.stop", "escape", "app.stop_pane('models')", "Stop load", "Give up loading", True),
    ),
    "hub": (
        Action("hub.search", "slash", "search", "Search", "Search the Hub for models", True, display="/"),
        Action(
            "hub.details", "enter", "details", "Details", "The row's model in full, with its card", True, display="⏎"
        ),
        Action("hub.download", "d", "download", "Download", "Download the row's model", True),
        Action("hub.pause", "p", "pause", "Pause", "Pause the row's download, or go on with it", True),
        Action("hub.cancel", "x", "cancel", "Cancel", "Throw away the row's download, asked first", True),
        Action("hub.disk", "h", "to_disk", "On disk", "Back to the models on disk", True),
        Action("hub.kind", "t", "turn('kind')", "Kind", "Only models of one kind, such as text or vision"),
        Action("hub.size", "z", "turn('size')", "Size", "Only what fits here, or downloads up to a size"),
        Action("hub.quantisation", "b", "turn('quantisation')", "Quantisation", "Only models packed in one way"),
        Action("hub.licence", "l", "turn('licence')", "Licence", "Only models under one licence"),
        Action("hub.sort", "s", "turn('sort')", "Sort", "By downloads, by likes, by date"),
        Action("hub.again", "r", "again", "Ask again", "Ask the Hub again"),
    ),
    "card": (
        Action("card.download", "d", "download", "Download", "Download the model", True),
        Action("card.copy", "c", "copy_address", "Copy address", "Copy the address of the model's page", True),
        Action("card.close", "escape,q,enter", "close", "Close", "Back to the list", True, display="esc"),
    ),
    "composer": (
        Action("chat.send", "enter", "send", "Send", "Send the message", True, display="⏎"),
        Action("chat.newline", "ctrl+j", "newline", "Newline", "Begin a new line", True),
        Action(
            "chat.paste", "ctrl+v,alt+v", "paste_image", "Paste image", "Attach the clipboard's image", priority=True
        ),
        Action("chat.unedit", "escape", "leave_edit", "Leave edit", "Give the edit up; the draft comes back", True),
        Action("chat.detach", "alt+x", "detach", "Detach", "Take the last image off (⌫ or ^d in an empty box)"),
    ),
    "message": (
        Action("question.edit", "e", "edit", "Edit", "Change the message, in a new version of it", True),
        Action("turn.copy", "c", "copy", "Copy", "Copy the message", True),
        Action("answer.fold", "t", "fold", "Thinking", "Fold or unfold what the model thought", True),
        Action("question.pictures", "v", "view_pictures", "View", "Show the message's images in full size", True),
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
        Action("turn.next", "tab", "move(1)", "Next message", "The next message; from the last, the composer"),
        Action("turn.previous", "shift+tab", "move(-1)", "Message before", "To the message before"),
    ),
    "chat": (
        Action("chat.new", "ctrl+n", "new_chat", "New", "Begin a new chat; the old one stays saved", True, True),
        Action("chat.regenerate", "ctrl+r", "regenerate", "Again", "Answer again, beside the answer", True, True),
        Action("chat.settings", "ctrl+s", "settings", "Settings", "This chat's system prompt and sampling", True, True),
        Action("chat.saved", "ctrl+l", "saved_chats", "Chats", "Open a saved chat", True, True),
        Action("chat.model", "f7", "choose_model", "Model", "Choose the model that answers", priority=True),
        Action("chat.thinking", "f8", "toggle_thinking", "Thinking", "Show or fold what models think", priority=True),
        Action("chat.copy", "alt+c", "copy_answer", "Copy", "Copy the last answer", priority=True),
        Action("chat.export", "alt+e", "export", "Export", "Write the chat to a Markdown or JSON file", priority=True),
        Action("chat.stop", "escape", "app.stop_pane('chat')", "Stop answer", "Stop the answer, keep what came", True),
    ),
    "settings": (
        Action("settings.apply", "ctrl+s", "apply", "Apply", "Apply the settings", True, True),
        Action("settings.leave", "escape", "leave", "Leave", "Leave; asked first where something was changed", True),
    ),
    "saved": (
        Action("saved.open", "enter", "open", "Open", "Open the chat", True, True, "⏎"),
        Action("saved.delete", "d,delete", "delete", "Delete", "Delete the chat, asked first", True),
        Action("saved.rows", "down", "to_rows", "To the list", "From the search to the list", True, True, "↓"),
        Action("saved.search", "slash", "to_search", "Search", "Search titles and everything said", True, display="/"),
        Action("saved.leave", "escape", "leave", "Leave", "Back to the chat", True),
    ),
    "completing": (
        Action(
            "completing.accept", "enter,tab", "complete", "Accept", "Take the path that is marked", True, display="⏎"
        ),
        Action("completing.close", "escape", "close_completions", "Close list", "Close the list of paths", True),
    ),
    "choice": (
        Action("choice.take", "enter", "select", "Choose", "Take the choice that is marked", True, display="⏎"),
        Action("choice.close", "escape", "dismiss", "Close list", "Leave the choice as it was", True),
    ),
    "export": (
        Action("export.markdown", "m", "choose('.md')", "Markdown", "Write the chat as Markdown", True),
        Action("export.json", "j", "choose('.json')", "JSON", "Write the chat as JSON", True),
        Action("export.leave", "escape", "choose('')", "Leave", "Write nothing", True),
    ),
    "question": (
        Action("question.yes", "y", "answer(True)", "Yes", "Do what is asked", True),
        Action("question.no", "escape,n", "answer(False)", "No", "Leave it as it is", True),
    ),
    "unsaved": (
        Action("unsaved.apply", "a", "answer('apply')", "Apply", "Apply the changes", True),
        Action("unsaved.discard", "d", "answer('discard')", "Discard", "Leave without the changes", True),
        Action("unsaved.on", "escape,g", "answer('go-on')", "Go on", "Back to the settings", True),
    ),
    "pictures": (
        Action("pictures.next", "right,n", "turn(1)", "Next", "The next image", True, display="→"),
        Action("pictures.previous", "left,p", "turn(-1)", "Before", "The image before", True, display="←"),
        Action("pictures.first", "home", "first", "First", "The first image"),
        Action("pictures.last", "end", "last", "Last", "The last image"),
        Action("pictures.close", "escape,enter,q,v", "close", "Close", "Close the image", True),
    ),
    "api": (
        Action("api.next", "right,l", "turn(1)", "Next", "The next program", True, display="→"),
        Action("api.previous", "left,h", "turn(-1)", "Before", "The program before", True, display="←"),
        Action("api.copy", "c,enter", "copy('snippet')", "Copy", "Copy the program", True),
        Action("api.address", "u", "copy('url')", "Copy address", "Copy the API's address", True),
        Action("api.key", "k", "copy('key')", "Copy key", "Copy the API's key", True),
        Action("api.close", "escape,q,f6", "close", "Close", "Close the panel", True),
    ),
    "keys": (
        Action("keys.close", "escape,f1,q,question_mark,enter", "close", "Close", "Close the list of keys", True),
    ),
    "jump": (Action("jump.leave", "escape", "leave", "Leave", "Go nowhere; a letter goes to what it marks", True),),
    "golden": (
        Action("golden.run", "r", "run_case", "Run", "Run the row's prompts on both tiers", True),
        Action("golden.run_all", "R", "run_suite", "Run all", "Run the whole suite on both tiers", True, display="R"),
        Action(
            "golden.open", "enter", "open", "Open", "The row's prompt in full, with every answer", True, display="⏎"
        ),
        Action("golden.review", "a", "review", "Review", "Accept or reject what differs", True),
        Action("golden.runs", "h", "runs", "Runs", "Earlier runs of the suite, and how they compare", True),
        Action("golden.matrix", "t", "matrix", "Matrix", "Cases by tiers or models, disagreements first", True),
        Action("golden.run_marked", "m", "run_marked", "Run marked", "Run the marked prompts", True),
        Action("golden.run_failed", "x", "run_failed", "Run failed", "Run the prompts that failed", True),
        Action("golden.mark", "space", "mark", "Mark", "Mark the row, or take its mark off"),
        Action("golden.mark_all", "asterisk", "mark_all", "Mark all", "Mark all rows, or take all marks off"),
        Action("golden.filter", "slash", "filter", "Filter", "Filter the prompts", True, display="/"),
        Action("golden.fold", "left", "fold", "Fold", "Make one row of the row's folder"),
        Action("golden.unfold", "right", "unfold", "Unfold", "Show what is in the row's folder"),
        Action("golden.next", "n", "next_disagreement", "Next ≠", "Go to the next disagreement", True),
        Action("golden.previous", "p", "previous_disagreement", "Previous ≠", "Go to the disagreement before", True),
        Action("golden.why", "d", "why", "Why ≠", "Where both answers part, how likely they are", True),
        Action("golden.picture", "v", "view_picture", "View", "Show the prompt's images in full size", True),
        Action("golden.duel", "b", "duel", "Judge", "Judge answers, not told whose", True),
        Action("golden.export", "e", "export", "Export", "Write the run as a page, Markdown, CSV or JUnit", True),
        Action("golden.stop", "escape", "app.stop_pane('golden')", "Stop golden run", "Stop the run", True),
    ),
    "review": (
        Action("review.accept", "a", "accept", "Accept", "Accept the answer: it is written into the suite", True),
        Action("review.reject", "r", "reject", "Reject", "Reject the answer; the accepted one stays", True),
        Action("review.skip", "s", "skip", "Skip", "Leave the answer pending", True),
        Action("review.undo", "u", "undo", "Undo", "Take the last decision back", True),
        Action("review.next", "n", "turn(1)", "Next", "The next answer, without a decision", True),
        Action("review.previous", "p", "turn(-1)", "Before", "The answer before, without a decision", True),
        Action("review.picture", "v", "view_picture", "View", "Show the case's images in full size", True),
        Action("review.close", "escape,q", "close", "Close", "Back to the suite; what was decided stays", True),
    ),
    "runs": (
        Action(
            "runs.compare", "enter", "compare", "Compare", "Compare with the base, or run before", True, display="⏎"
        ),
        Action("runs.base", "b,space", "base", "Base", "Make the row the base of comparisons", True, display="b"),
        Action("runs.open", "o", "open", "Open", "Show the run's answers in the pane", True),
        Action("runs.close", "escape,q", "close", "Close", "Back to the suite", True),
    ),
    "comparison": (
        Action("comparison.same", "s", "same", "Same too", "Show or hide cases with the same answer", True),
        Action("comparison.why", "d", "why", "Why ≠", "Where both answers part, how likely they are", True),
        Action("comparison.close", "escape,q", "close", "Close", "Back to the runs", True),
    ),
    "matrix": (
        Action("matrix.open", "enter", "open", "Show", "Go to the row's prompt in the pane", True, display="⏎"),
        Action("matrix.close", "escape,q,t", "close", "Close", "Back to the suite", True),
    ),
    "explanation": (
        Action("explanation.close", "escape,q,enter", "close", "Close", "Close; no model is asked on", True),
    ),
    "case": (
        Action("case.next", "n", "turn(1)", "Next", "The next prompt", True),
        Action("case.previous", "p", "turn(-1)", "Before", "The prompt before", True),
        Action("case.why", "d", "why", "Why ≠", "Where both answers part, how likely they are", True),
        Action("case.picture", "v", "view_picture", "View", "Show the prompt's images in full size", True),
        Action("case.close", "escape,q,enter", "close", "Close", "Back to the suite", True),
    ),
    "report": (
        Action("report.write", "enter", "write", "Write", "Write the file", True, True, "⏎"),
        Action("report.next", "down", "turn(1)", "Format", "The next kind of file", True, True, "↓"),
        Action("report.previous", "up", "turn(-1)", "Before", "The kind of file before", False, True, "↑"),
        Action("report.close", "escape", "close", "Leave", "Write nothing", True),
    ),
    "duel": (
        Action("duel.first", "1", "vote('left')", "First", "The first answer is better", True),
        Action("duel.second", "2", "vote('right')", "Second", "The second answer is better", True),
        Action("duel.tie", "0", "vote('tie')", "Tie", "Neither is better", True),
        Action("duel.skip", "s", "skip", "Skip", "Judge it after the others", True),
        Action("duel.undo", "u", "undo", "Undo", "Take the last vote back", True),
        Action("duel.picture", "v", "view", "View", "Show the images in full size", True),
        Action("duel.close", "escape,q", "close", "Close", "Close it; votes are kept", True),
    ),
    "wire": (
        Action("wire.open", "enter", "open", "Open", "The row's request as a conversation", True, display="⏎"),
        Action("wire.kill", "x", "kill", "Kill", "Cancel the row's request", True),
        Action("wire.panel", "s", "snippets", "Snippets", "Show URL, key and client snippets", True),
        Action("wire.filter", "slash", "filter", "Filter", "Filter the requests", True, display="/"),
        Action("wire.keep", "o", "keep", "Keep", "Forget what was said, or keep it again"),
    ),
    "exchange": (
        Action("exchange.chat", "r", "go_on('chat')", "Chat", "Go on with it in the chat", True),
        Action("exchange.golden", "g", "go_on('golden')", "Golden", "Make a golden prompt of it", True),
        Action("exchange.beside", "m", "beside", "Compare", "Ask another model, side by side", True),
        Action("exchange.prompt", "p", "prompt", "Prompt", "The prompt as the model read it, and back", True),
        Action("exchange.witness", "w", "witness", "Witness", "What the engine says that it did, and back", True),
        Action("exchange.curl", "c", "curl", "Curl", "Copy the request as a curl command", True),
        Action("exchange.kill", "x", "kill", "Kill", "Cancel the request", True),
        Action("exchange.close", "escape,q,enter", "close", "Close", "Close the request", True),
    ),
    "beside": (
        Action("beside.model", "m", "choose", "Model", "Choose the model that is asked", True),
        Action("beside.again", "a", "again", "Again", "Ask it once more", True),
        Action("beside.words", "d", "words", "Words", "Which words differ, and back", True),
        Action("beside.stop", "x", "stop", "Stop", "Stop its answer", True),
        Action("beside.close", "escape,q", "close", "Close", "Back to the request", True),
    ),
    "text": (
        Action("text.start", "home,ctrl+a", "edit('start')", "Start", "To the beginning of the line"),
        Action("text.end", "end,ctrl+e", "edit('end')", "End", "To the end of the line"),
        Action("text.left", "ctrl+b", "edit('left')", "Left", "A character back"),
        Action("text.right", "ctrl+f", "edit('right')", "Right", "A character on"),
        Action("text.word_left", "alt+b,ctrl+left,alt+left", "edit('word_left')", "Word back", "A word back"),
        Action("text.word_right", "alt+f,ctrl+right,alt+right", "edit('word_right')", "Word on", "A word on"),
        Action("text.delete", "delete,ctrl+d", "edit('delete')", "Delete", "Delete the character under the cursor"),
        Action(
            "text.kill_word_left",
            "ctrl+w,alt+backspace,ctrl+backspace",
            "edit('kill_word_left')",
            "Kill word back",
            "Cut to the beginning of the word",
        ),
        Action(
            "text.kill_word_right",
            "alt+d,alt+delete",
            "edit('kill_word_right')",
            "Kill word",
            "Cut to the end of the word",
        ),
        Action("text.kill_to_start", "ctrl+u", "edit('kill_to_start')", "Kill back", "Cut to the start of the line"),
        Action("text.kill_to_end", "ctrl+k", "edit('kill_to_end')", "Kill", "Cut to the end of the line"),
        Action("text.yank", "ctrl+y", "edit('yank')", "Yank", "Put what was cut last back in"),
    ),
}

PLACES = {
    "app": "Everywhere",
    "models": "Models",
    "hub": "Models, on the Hub",
    "card": "A model of the Hub",
    "composer": "Chat, while writing",
    "message": "Chat, on a message",
    "chat": "Chat",
    "settings": "Chat settings",
    "saved": "Saved chats",
    "golden": "Golden prompts",
    "review": "Golden prompts, reviewing",
    "runs": "Earlier runs of a suite",
    "comparison": "Two runs compared",
    "matrix": "Prompts by tiers or models",
    "explanation": "Why two answers differ",
    "case": "A golden prompt in full",
    "report": "Export of a golden run",
    "duel": "Two answers to judge",
    "wire": "Wire",
    "text": "In text fields",
    "completing": "Chat, while a path is completed",
    "choice": "In a list of choices",
    "export": "Export of a chat",
    "question": "A question",
    "unsaved": "Changes that are not applied",
    "pictures": "An image in full size",
    "api": "The API's address and programs",
    "exchange": "A request over the API",
    "beside": "A request, asked of another model",
    "keys": "This list",
    "jump": "Jumping",
}

DIALOGUES = (
    "completing",
    "choice",
    "export",
    "question",
    "unsaved",
    "pictures",
    "duel",
    "api",
    "exchange",
    "beside",
    "review",
    "runs",
    "comparison",
    "matrix",
    "explanation",
    "case",
    "report",
    "keys",
    "jump",
)
"""Places that are open for a moment: what they do means nothing elsewhere, so that the palette has no twin of it."""

STOPS = "app.stop_pane("
"""How the actions begin that stop something. They are there while it runs, and first in the footer then."""


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
