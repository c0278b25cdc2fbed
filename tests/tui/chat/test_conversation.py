"""What a chat holds, and what is sent of it."""

from __future__ import annotations

from core.calls.events import GenerationResult, ToolCall
from core.calls.requests import Message, Role, TextPart, ThinkingPart, Tool, ToolCallPart, ToolResultPart
from core.chats.settings import ChatSettings
from core.chats.tree import Turn
from tests.tui.scripted import finished, red_square
from tui.chat.conversation import Conversation, answer_message, result_of


def said(*turns: tuple[Role, str]) -> Conversation:
    return Conversation(*(Turn(Message.text(role, text)) for role, text in turns))


def test_a_request_holds_the_system_prompt_and_every_turn() -> None:
    chat = said((Role.USER, "hi"), (Role.ASSISTANT, "hello"), (Role.USER, "and you?"))
    settings = ChatSettings(system="Be brief.", temperature=0.0, max_tokens=9, thinking=False, tools=(Tool("now"),))
    request = chat.request("m", settings)
    assert [message.role for message in request.messages] == [Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER]
    assert (request.sampling.temperature, request.sampling.max_tokens, request.thinking) == (0.0, 9, False)
    assert request.tools == (Tool("now"),)
    assert request.source == "chat"


def test_a_blank_system_prompt_is_not_sent() -> None:
    assert said((Role.USER, "hi")).request("m", ChatSettings(system="  \n")).messages[0].role is Role.USER


def test_an_answer_of_thinking_alone_is_not_sent() -> None:
    thought = Turn(Message(Role.ASSISTANT, (ThinkingPart("hm"), TextPart("\n\n"))))
    chat = Conversation(Turn(Message.text(Role.USER, "hi")), thought, Turn(Message.text(Role.USER, "well?")), thought)
    chat.add(Turn(Message.text(Role.USER, "so?")), chat.last)
    assert [message.plain_text for message in chat.request("m", ChatSettings()).messages] == ["hi", "well?", "so?"]


def test_behind_a_tools_result_an_answer_of_thinking_alone_keeps_the_turns_apart() -> None:
    result = Turn(Message(Role.TOOL, (ToolResultPart("c1", (TextPart("sunny"),)),)))
    thought = Turn(Message(Role.ASSISTANT, (ThinkingPart("hm"),)))
    call = Turn(Message(Role.ASSISTANT, (ThinkingPart("hm"), ToolCallPart("c1", "get_weather", {}))))
    chat = Conversation(
        Turn(Message.text(Role.USER, "hi")), call, result, thought, Turn(Message.text(Role.USER, "so?"))
    )
    roles = [message.role for message in chat.request("m", ChatSettings()).messages]
    assert roles == [Role.USER, Role.ASSISTANT, Role.TOOL, Role.ASSISTANT, Role.USER]


def test_images_go_before_the_text() -> None:
    question = Conversation().question("what is it?", [red_square()])
    assert question.images[0].name == "red_square.png"
    assert question.plain_text == "what is it?"


def test_after_a_tool_call_the_next_message_is_its_result() -> None:
    call = ToolCallPart("c1", "get_weather", {"location": "Tokyo"})
    chat = Conversation(Turn(Message(Role.ASSISTANT, (call,))))
    question = chat.question("sunny")
    assert question == Message(Role.TOOL, (ToolResultPart("c1", (TextPart("sunny"),)),))


def test_an_image_after_tool_calls_belongs_to_the_first_result_and_each_has_one() -> None:
    calls = (ToolCallPart("c1", "look", {}), ToolCallPart("c2", "look", {}))
    chat = Conversation(Turn(Message(Role.ASSISTANT, calls)))
    question = chat.question("this", [red_square()])
    assert question.role is Role.TOOL
    assert [part.call_id for part in question.parts if isinstance(part, ToolResultPart)] == ["c1", "c2"]
    assert [image.name for image in question.images] == ["red_square.png"]


def test_an_answer_becomes_a_turn_with_its_thinking_and_calls() -> None:
    result = GenerationResult("Hi.", "hm", [ToolCall("c", "now", '{"zone": "UTC"}')])
    message = answer_message(result)
    assert message is not None
    assert message.parts == (ThinkingPart("hm"), TextPart("Hi."), ToolCallPart("c", "now", {"zone": "UTC"}))


def test_an_answer_that_said_nothing_is_no_turn() -> None:
    assert answer_message(GenerationResult()) is None


def test_thinking_alone_is_a_turn() -> None:
    message = answer_message(GenerationResult(thinking="only this"))
    assert message is not None
    assert message.parts == (ThinkingPart("only this"),)


def test_a_stored_answer_reads_back_as_it_was() -> None:
    result = GenerationResult("Hi.", "hm", [ToolCall("c", "now", '{"zone": "UTC"}')], finished=finished())
    message = answer_message(result)
    assert message is not None
    assert result_of(Turn(message, "m", result.finished)) == result


def test_the_title_is_the_first_question_on_one_line() -> None:
    assert said((Role.USER, "a\nb")).title == "a b"
    assert len(said((Role.USER, "x" * 100)).title) == 60
    assert Conversation(Turn(Conversation().question("", [red_square()]))).title == "an image"


def test_a_branch_is_asked_with_the_turns_above_it_alone() -> None:
    chat = said((Role.USER, "one"), (Role.ASSISTANT, "call"), (Role.USER, "two"))
    one = chat.branch[0]
    assert [message.plain_text for message in chat.request("m", ChatSettings(), one).messages] == ["one"]
    assert chat.question("three", place=chat).role is Role.USER
