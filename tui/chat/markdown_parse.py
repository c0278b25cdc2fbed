"""Markdown read into blocks. It touches no widget, so it may run on any thread."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from textual.content import Content, Span
from textual.highlight import highlight
from textual.style import Style

from tui.chat.lines import Block
from tui.chat.markdown_blocks import Code, Grid, Heading, Items, Paragraph, Quote, Rule
from tui.foreign import clean

BULLETS = "•▪‣⭑◦"
_INLINE = {"em_open": "italic", "strong_open": "bold", "s_open": "strike"}
_CODE = "$text-warning on $warning 10%"
_SPACES = re.compile(r"\s+")


class _Markdown(threading.local):
    """What reads Markdown. What it looks for addresses with remembers where it is: each thread has its own."""

    def __init__(self) -> None:
        self.reader = MarkdownIt("gfm-like")


_MARKDOWN = _Markdown()


class Parser:
    """Reads texts into blocks. A block whose source was read before is the same object again, with its lines."""

    def __init__(self) -> None:
        self._known: dict[str, Block] = {}

    def blocks(self, text: str) -> list[Block]:
        """The blocks of a text, control characters taken out. From a block on that is nested deeper than the reader
        reads, after which it drops everything, the text is shown as it was written."""
        text = clean(text)
        env: dict[str, Any] = {}
        tokens = _MARKDOWN.reader.parse(text, env)
        source = text.splitlines(keepends=True)
        known = self._known if not env.get("references") else {}  # with references a block means more than its source
        found: list[Block] = []
        deepest = _MARKDOWN.reader.options.maxNesting - 1
        for group in _groups(tokens):
            first = group[0]
            if first.map and any(token.nesting == 1 and token.level >= deepest for token in group):
                found.append(Paragraph(Content("".join(source[first.map[0] :]).rstrip())))
                break
            key = "".join(source[first.map[0] : first.map[1]]).rstrip() if first.map else ""
            if key not in known:
                known[key] = _block(group)
            found.append(known[key])
        return found


def _groups(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each block of one level, from what opens it to what closes it."""
    depth, group = 0, []
    for token in tokens:
        group.append(token)
        depth += token.nesting
        if depth == 0:
            yield group
            group = []


def _block(tokens: Sequence[Token]) -> Block:
    first, inner = tokens[0], tokens[1:-1]
    match first.type:
        case "paragraph_open":
            return Paragraph(_inline(inner[0]))
        case "heading_open":
            return Heading(int(first.tag[1:]), _inline(inner[0]))
        case "fence" | "code_block":
            return Code(_highlighted(first.content, first.info))
        case "hr":
            return Rule()
        case "blockquote_open":
            return Quote([_block(group) for group in _groups(inner)])
        case "bullet_list_open" | "ordered_list_open":
            return _items(first, inner)
        case "table_open":
            return _grid(inner)
        case _:  # raw HTML and what plugins may bring: shown as it was written
            return Paragraph(Content(first.content.rstrip()), "$dim")


def _items(opening: Token, inner: Sequence[Token]) -> Block:
    items: list[tuple[str, list[Block]]] = []
    loose = False
    number = int(opening.attrs.get("start", 1))
    for group in _groups(inner):
        if opening.type == "ordered_list_open":
            mark = f"{number + len(items)}. "
        else:
            mark = f"{BULLETS[opening.level // 2 % len(BULLETS)]} "
        parts = list(_groups(group[1:-1]))
        loose = loose or any(part[0].type == "paragraph_open" and not part[0].hidden for part in parts)
        items.append((mark, [_block(part) for part in parts]))
    return Items(items, loose)


def _grid(inner: Sequence[Token]) -> Block:
    rows: list[list[Content]] = []
    alignment: list[str] = []
    for position, token in enumerate(inner):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(_inline(inner[position + 1]))
            if token.type == "th_open":
                alignment.append(str(token.attrs.get("style", "")).removeprefix("text-align:"))
    return Grid(rows[0], rows[1:], alignment)


def _highlighted(code: str, info: str) -> Content:
    """Code in colours; of a language that nobody named or knows, as it is. A guess would be wrong too often."""
    language = info.split()[0] if info.split() else "text"
    return highlight(code.rstrip("\n"), language=language)


def link(href: str) -> Style:
    """What is shown of an address: a click copies it."""
    return Style.from_meta({"@click": ("copy_link", (href,))}) + Style(underline=True)


def _inline(token: Token) -> Content:
    """A line of text with what is set apart in it."""
    text: list[str] = []
    spans: list[Span] = []
    open_styles: list[tuple[str | Style, int]] = []
    position = 0

    def add(piece: str, style: str | Style = "") -> None:
        nonlocal position
        if style:
            spans.append(Span(position, position + len(piece), style))
        text.append(piece)
        position += len(piece)

    for child in token.children or ():
        match child.type:
            case "text":
                add(_SPACES.sub(" ", child.content))
            case "softbreak":
                add(" ")
            case "hardbreak":
                add("\n")
            case "code_inline":
                add(child.content, _CODE)
            case "link_open":
                open_styles.append((link(_attribute(child.attrs, "href")), position))
            case "image":
                add(f"🖼  ({child.content})" if child.content else "🖼 ", link(_attribute(child.attrs, "src")))
            case kind if kind in _INLINE:
                open_styles.append((_INLINE[kind], position))
            case kind if kind.endswith("_close"):
                style, start = open_styles.pop()
                spans.append(Span(start, position, style))
            case _:  # raw HTML
                add(child.content)
    return Content("".join(text), spans)


def _attribute(attributes: Mapping[str, Any], name: str) -> str:
    return clean(str(attributes.get(name, "")))
