"""What a model writes is shown; it can do nothing."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Markdown

from tests.tui.conftest import until
from tui.chat.answer_markdown import AnswerMarkdown, ForeignMarkdown

NASTY = """# [bold]heading[/bold] [sys:X=1]

| [sys:X=1] | [/tmp/x] |
|---|---|
| [@click=app.quit]cell | `[/]` |
| [bold | b |

[link](javascript:alert(1)) ![image](/etc/passwd) <script>x</script>

```[bold]
code [/bold] [sys:X=…]
```

1. [x] one
2. two [

> quote [@click="app.bell"]
"""


class Showing(App[None]):
    def compose(self) -> ComposeResult:
        yield AnswerMarkdown()


def shown(app: App[None]) -> str:
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


async def test_brackets_in_tables_headings_and_code_are_harmless() -> None:
    app = Showing()
    async with app.run_test(size=(100, 50), tooltips=True) as pilot:
        await app.query_one(AnswerMarkdown).finish(NASTY)
        await until(pilot, lambda: "quote" in shown(app))
        cells = list(app.query("MarkdownTableCellContents"))
        assert len(cells) == 6
        for cell in cells:
            assert cell.tooltip is None
            await pilot.hover(cell)
        assert "[sys:X=1]" in shown(app)
        assert "[@click=app.quit]cell" in shown(app)


async def test_a_table_that_grows_while_it_streams_stays_harmless() -> None:
    app = Showing()
    async with app.run_test(size=(100, 50), tooltips=True) as pilot:
        answer = app.query_one(AnswerMarkdown)
        for end in range(0, len(NASTY), 7):
            await answer.grow(NASTY[:end])
        await answer.finish(NASTY)
        await until(pilot, lambda: "quote" in shown(app))
        assert all(cell.tooltip is None for cell in app.query("MarkdownTableCellContents"))


async def test_streaming_ends_in_what_one_rendering_gives() -> None:
    text = "See [the page][1].\n\n- a\n- b\n\n```py\nx = 1\n```\n\n[1]: http://example.com\n"
    app = Showing()
    async with app.run_test(size=(80, 30)) as pilot:
        answer = app.query_one(AnswerMarkdown)
        for end in range(len(text)):
            await answer.grow(text[:end])
        await answer.finish(text)
        await pilot.pause()
        streamed = shown(app)
    at_once = Showing()
    async with at_once.run_test(size=(80, 30)) as pilot:
        await at_once.query_one(AnswerMarkdown).finish(text)
        await pilot.pause()
        assert shown(at_once) == streamed


async def test_the_open_block_is_plain_and_the_settled_ones_are_markdown() -> None:
    app = Showing()
    async with app.run_test(size=(80, 30)) as pilot:
        answer = app.query_one(AnswerMarkdown)
        await answer.grow("**done**\n\n**open")
        await pilot.pause()
        assert answer.settled.source == "**done**\n\n"
        assert str(answer.open_block.content) == "**open"


async def test_a_link_is_copied_not_opened() -> None:
    app = Showing()
    opened: list[str] = []
    app.open_url = lambda url, new_tab=True: opened.append(url)  # type: ignore[method-assign]
    async with app.run_test(size=(80, 30)) as pilot:
        markdown = app.query_one(ForeignMarkdown)
        markdown.post_message(Markdown.LinkClicked(markdown, "http://example.com"))
        await until(pilot, lambda: app.clipboard == "http://example.com")
        assert opened == []
