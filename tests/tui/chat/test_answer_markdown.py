"""What a model writes is shown; it can do nothing."""

from __future__ import annotations

import re

import pytest
from textual.app import App
from textual.style import Style

from tui.chat.answer_markdown import AnswerMarkdown
from tui.chat.lines import text_of
from tui.chat.markdown_blocks import Paragraph
from tui.chat.markdown_parse import Parser
from tui.widgets.look import Look

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

<div onclick="x">\x1b[2Jraw</div>
"""
LOOK = Look(Style(), lambda style: style if isinstance(style, Style) else Style())


def shown(answer: AnswerMarkdown, width: int = 80) -> str:
    return text_of(answer.lines(width, LOOK))


def whole(text: str) -> AnswerMarkdown:
    answer = AnswerMarkdown()
    answer.set(text)
    return answer


def test_brackets_and_control_characters_are_harmless_and_nothing_is_lost() -> None:
    text = shown(whole(NASTY))
    for words in ("[bold]heading[/bold] [sys:X=1]", "[@click=app.quit]cell", "[/bold] [sys:X=…]", "two [", "<script>"):
        assert words in text
    assert 'quote [@click="app.bell"]' in text
    assert '<div onclick="x">[2Jraw</div>' in text
    assert "\x1b" not in text


def test_only_links_can_be_clicked_and_they_copy() -> None:
    answer = whole(f"{NASTY}\n[ok](http://example.com)\n\n|[a](b.html)|\n|-|\n")
    found = [segment.style.meta for line in answer.lines(80, LOOK) for segment in line.strip if segment.style]
    assert {meta["@click"] for meta in found if "@click" in meta} == {
        ("copy_link", ("http://example.com",)),
        ("copy_link", ("/etc/passwd",)),
        ("copy_link", ("b.html",)),
    }


@pytest.mark.parametrize("width", [20, 80])
async def test_streaming_ends_in_what_one_rendering_gives(width: int) -> None:
    text = "See [the page][1].\n\n- a\n- b\n\n```py\nx = 1\n```\n\n" + NASTY + "\n[1]: http://example.com\n"
    answer = AnswerMarkdown()
    for end in range(0, len(text), 3):
        await answer.grow(text[:end])
        answer.lines(width, LOOK)
    await answer.finish(text)
    assert answer.lines(width, LOOK) == whole(text).lines(width, LOOK)


async def test_what_has_been_laid_out_while_streaming_is_not_laid_out_again() -> None:
    text = "one\n\n```py\nx = 1\n```\n\nlast"
    answer = AnswerMarkdown()
    await answer.grow(text)
    code = answer.blocks[1].lines(80, LOOK)
    await answer.finish(text)
    assert answer.blocks[1].lines(80, LOOK) is code


async def test_a_long_answer_is_read_off_the_loop_and_ends_the_same() -> None:
    text = "\n\n".join(f"paragraph **{number}**" for number in range(300))
    answer = AnswerMarkdown()
    await answer.grow(text)
    await answer.finish(text)
    assert shown(answer) == shown(whole(text))
    assert answer.open_text == ""


async def test_the_open_block_is_plain_and_the_settled_ones_are_markdown() -> None:
    answer = AnswerMarkdown()
    await answer.grow("**done**\n\n**open")
    assert shown(answer) == "done\n\n**open"
    assert (answer.settled_text, answer.open_text) == ("**done**\n\n", "**open")


@pytest.mark.parametrize("width", [8, 30, 79])
async def test_an_open_block_grows_as_if_it_had_been_there_at_once(width: int) -> None:
    text = "```\n" + "".join(f"line {number} {'x' * number}\n\t and more\n" for number in range(20))
    growing = AnswerMarkdown()
    for end in range(1, len(text)):
        await growing.grow(text[:end])
        at_once = AnswerMarkdown()
        await at_once.grow(text[:end])
        assert growing.lines(width, LOOK) == at_once.lines(width, LOOK)


@pytest.mark.parametrize("width", [10, 24, 40, 80])
def test_nothing_of_a_wide_table_or_a_long_line_of_code_is_lost(width: int) -> None:
    cells = [f"cell{row}of{column}withmuchtosay" for row in range(3) for column in range(6)]
    rows = "\n".join("| " + " | ".join(cells[start : start + 6]) + " |" for start in range(0, 18, 6))
    table = f"| {' | '.join('abcdef')} |\n|{'---|' * 6}\n{rows}"
    lines = whole(f"{table}\n\n```py\nvalue = '{'漢字' * 40}'\n```").lines(width, LOOK)
    assert all(line.strip.cell_length <= width for line in lines)
    letters = re.sub(r"[^\w漢字]", "", text_of(lines))
    assert "漢字" * 40 in letters
    assert sorted(letters.replace("漢字", "")) == sorted(
        re.sub(r"\W", "", "value" + "".join(cells) + ("abcdef" * (3 if width < 54 else 1)))
    )


def test_broken_lines_are_put_together_when_they_are_copied() -> None:
    words = " ".join(f"word{number}" for number in range(40))
    assert shown(whole(f"> - {words}"), 30) == f"▌ • {words}"


def test_lists_count_on_and_nest() -> None:
    assert shown(whole("3. a\n4. b\n   - c\n     - d")).splitlines() == ["3. a", "4. b", "   ▪ c", "     ‣ d"]


async def test_every_language_that_is_named_or_not_is_shown() -> None:
    async with App[None]().run_test():
        for info in ("py", "nolanguage", "", "py title=x"):
            assert shown(whole(f"```{info}\nx = [1]\n```")).strip() == "x = [1]"


def test_what_is_nested_too_deep_to_be_read_is_shown_as_it_was_written() -> None:
    """The reader gives up at twenty levels, and drops all that comes after."""
    blocks = Parser().blocks("# head\n\n" + "- " * 200 + "list\n\n```\ncode\n```\n\nend")
    assert len(blocks) == 2
    assert isinstance(blocks[1], Paragraph)
    assert blocks[1].content.plain.endswith("list\n\n```\ncode\n```\n\nend")
    assert len(Parser().blocks("- " * 5 + "list\n\nend")) == 2, "no deeper than people write"
