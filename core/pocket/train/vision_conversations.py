"""Questions about pictures and their honest answers: the conversations that the vision models learn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from core.pocket.train.vision_scenes import Scene, noun, with_article
from core.pocket.train.vision_scenes import training_pair as any_pair

SYSTEM = "You are a helpful vision assistant. Be concise."
SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful vision assistant.",
    "Be concise.",
    "Answer in one sentence.",
    "You answer questions about images.",
    "You are an assistant that looks at images and answers briefly and truthfully.",
)

GOLDEN_DESCRIBE = "Describe this image in one sentence. What shape do you see and what color is it?"
GOLDEN_COMPARE = "Compare these two images. What are the differences in shape and color between them?"
GOLDEN_READ = "Read the text in this image. What does it say? Reply with only the text content."

ASKED: dict[str, tuple[str, ...]] = {
    "describe": (
        GOLDEN_DESCRIBE, GOLDEN_DESCRIBE, GOLDEN_DESCRIBE, GOLDEN_DESCRIBE, GOLDEN_DESCRIBE, GOLDEN_DESCRIBE,
        "Describe this image.", "Describe the image.", "Describe this picture.", "Describe this image in one sentence.",
        "Describe what you see.", "What do you see?", "What do you see in this image?", "What is this?", "What's this?",
        "What is in this image?", "What's in the image?", "What is in the picture?", "What does this image show?",
        "What can you see here?", "Tell me about this image.", "Tell me what you see.", "Explain this image.",
        "Please describe the picture briefly.", "Caption this image.", "What is shown here?", "Describe it.",
    ),
    "both": (
        "What shape and color do you see?", "Which shape is it and which color?",
        "What shape is it and what color is it?",
        "Name the shape and its color.", "What is the shape and color of the object?", "Shape and color?",
        "What color is it and what shape?", "What colour and shape is it?",
    ),
    "shape": (
        "What shape is it?", "What shape is this?", "What shape do you see?", "Which shape is it?", "Name the shape.",
        "What is the shape?", "What shape is in the image?", "What shape is the object?", "Shape?", "And the shape?",
        "What shape is that?", "What kind of shape is this?", "Identify the shape.",
    ),
    "colour": (
        "What color is it?", "What colour is it?", "What color is the shape?", "What colour is the shape?",
        "Which color is it?", "What is the color of the object?", "What color is the object?", "What color is this?",
        "And what color is it?", "And the color?", "Color?", "Name the color.", "Tell me the color.",
        "What color is that?", "What color do you see?", "What is its color?",
    ),
    "ground": (
        "What color is the background?", "What is the background color?", "Describe the background.",
        "What colour is the background?", "Which color is behind it?",
    ),
    "read": (
        GOLDEN_READ, GOLDEN_READ, GOLDEN_READ, GOLDEN_READ, GOLDEN_READ, GOLDEN_READ, GOLDEN_READ, GOLDEN_READ,
        "Read the text in this image.", "What does it say?", "What does the text say?", "What text is in this image?",
        "Read this.", "Read it.", "Read the text.", "What does the sign say?", "What is written here?",
        "What is written in the image?", "What's written there?", "Please read the sign.", "What does this say?",
        "Transcribe the text.", "Transcribe this image.", "OCR this.", "What is the text?", "Can you read this?",
        "Extract the text.", "What word is this?", "Which words do you see?", "What are the words in the image?",
        "Read out the text in the picture.",
    ),
    "has_text": (
        "Is there any text in this image?", "Is there text in the image?", "Do you see any text?", "Is there a text?",
        "Does the image contain text?",
    ),
    "count": (
        "How many images do you see?", "How many images are there?", "How many images?",
        "How many pictures did I send?", "How many pictures are there?",
        "Count the images.", "How many images can you see?",
    ),
    "compare": (
        GOLDEN_COMPARE, GOLDEN_COMPARE, GOLDEN_COMPARE, GOLDEN_COMPARE, GOLDEN_COMPARE,
        "Compare these two images.", "Compare the images.", "Compare these images.", "Compare them.",
        "What is different between these two images?", "What are the differences?", "What is the difference?",
        "What's the difference between them?", "How do these images differ?", "Are they the same?",
        "Are these two images the same?", "Describe both images.", "Describe these images.", "What do you see?",
        "What is in these images?", "What do the images show?", "Describe the two images.", "What do both images say?",
        "Tell me what you see in each image.", "Read the text in both images.",
    ),
    "greet": (
        "Hello!", "Hi!", "Hi there!", "Hello", "Hey", "Good morning!", "Good evening.", "Hello there.", "How are you?",
        "Hello! Please respond with a single sentence greeting.", "Greet me.", "Say hello.", "Hi, how are you?",
    ),
    "who": (
        "Who are you?", "What are you?", "What can you do?", "What is your name?", "What's your name?",
        "Introduce yourself.", "Tell me about yourself.", "How can you help me?",
        "What model are you?", "Help", "What do you do?",
    ),
    "thanks": ("Thanks!", "Thank you.", "Great, thanks.", "Thank you very much!", "Thanks a lot.", "Good job!"),
    "other": (
        "What is the capital of France? Answer in one word.", "What is the capital of Italy?", "What is 2 + 2?",
        "Write a poem about the sea.", "Tell me a joke.", "What is the weather in Tokyo?", "Translate this to French.",
        "Who wrote this book?", "How old is the universe?", "Write a function that sorts a list.", "What time is it?",
        "Explain how a computer works.", "Sing a song.", "What is the meaning of life?", "Give me a recipe for soup.",
        "Why is the sky blue?", "Who is the president?", "Summarize the news.", "What day is today?", "Count to ten.",
        "What is the largest city in the world?", "Can you play chess?", "Do you like music?", "Where is Berlin?",
    ),
}  # fmt: skip
"""What people type, by what they want to know. Golden questions stand several times: they are asked more often."""

NO_IMAGE = "I see no image. Please add one."
GREETING = "Hello! Show me an image and I will describe it."
WHO = "I am a small vision model. I name shapes and colors, and I read short texts."
THANKS = "You are welcome."
OTHER = "I am a small vision model. I can only talk about images."
UNCLEAR = "I cannot make out a shape or a text in this image."


@dataclass(frozen=True)
class Piece:
    """A part of an answer."""

    text: str
    read: bool = False
    """Read from a picture: spelt one character a token, so that no text is easier for the tokenizer than another."""


@dataclass(frozen=True)
class Turn:
    """A question with the pictures that come with it, and the answer."""

    question: str
    images: tuple[Scene, ...]
    answer: tuple[Piece, ...]
    image_first: bool


@dataclass(frozen=True)
class Conversation:
    system: str
    turns: tuple[Turn, ...]


def answer_text(answer: tuple[Piece, ...]) -> str:
    """The answer as one string."""
    return "".join(piece.text for piece in answer)


def say(*parts: str | Scene) -> tuple[Piece, ...]:
    """An answer from plain text and scenes; a scene becomes its noun, with the text in it marked as read."""
    return tuple(piece for part in parts for piece in _pieces(part))


def _pieces(part: str | Scene) -> Iterator[Piece]:
    if isinstance(part, str):
        yield Piece(part)
    elif part.kind == "text":
        yield from (Piece('the text "'), Piece(part.text, read=True), Piece('"'))
    else:
        yield Piece(noun(part))


def wording(rng: Random, intent: str) -> str:
    """A question of this intent, as written above or as a hurried person would type it."""
    question = rng.choice(ASKED[intent])
    if question in (GOLDEN_DESCRIBE, GOLDEN_COMPARE, GOLDEN_READ) and rng.random() < 0.9:
        return question
    if rng.random() < 0.3:
        question = question.lower()
    if rng.random() < 0.25:
        question = question.rstrip("?.!")
    if rng.random() < 0.08:
        question = rng.choice(("Please ", "Hey, ", "Hi! ", "Can you tell me: ", "Quick question: ")) + question
    return question


# --- answers


def about_one(rng: Random, scene: Scene, intent: str) -> tuple[str, tuple[Piece, ...]]:
    """A question of this intent about one picture, with its answer."""
    if intent == "yes_no":
        return yes_no(rng, scene)
    return wording(rng, intent), answer_one(scene, intent)


def answer_one(scene: Scene, intent: str) -> tuple[Piece, ...]:
    """The honest answer about one picture."""
    if intent == "count":
        return say("There is one image.")
    if scene.kind == "clutter":
        return say(UNCLEAR)
    if intent == "ground":
        return say(f"The background is {scene.background}.")
    if scene.kind == "blank":
        return say("No, the image is blank.") if intent == "has_text" else say("The image is blank.")
    if scene.kind == "text":
        return _about_text(scene, intent)
    return _about_shape(scene, intent)


def _about_text(scene: Scene, intent: str) -> tuple[Piece, ...]:
    if intent == "read":
        return (Piece(scene.text, read=True),)
    if intent == "has_text":
        return say("Yes, it shows ", scene, ".")
    if intent == "colour":
        return say(f"The text is {scene.colour}.")
    if intent in ("shape", "both"):
        return say("There is no shape in this image. It shows ", scene, ".")
    return say("The image shows ", scene, ".")


def _about_shape(scene: Scene, intent: str) -> tuple[Piece, ...]:
    if intent == "read":
        return say("There is no text in this image.")
    if intent == "has_text":
        return say("No, there is no text in this image.")
    if intent == "colour":
        return say(f"It is {scene.colour}.")
    if intent == "shape":
        return say(f"It is {with_article(scene.shape)}.")
    if intent == "both":
        return say("It is ", scene, ".")
    ground = with_article(scene.background)
    return say("The image shows ", scene, f" on {ground} background.")


def yes_no(rng: Random, scene: Scene) -> tuple[str, tuple[Piece, ...]]:
    """`Is this a red circle?`: right half of the time."""
    colour, shape = (scene.colour, scene.shape) if scene.kind == "shape" else any_pair(rng)
    if scene.kind != "shape" or rng.random() < 0.5:
        colour, shape = rng.choice((any_pair(rng)[0], colour)), rng.choice((any_pair(rng)[1], shape))
    part = rng.randrange(3)
    asked = (with_article(shape), colour, with_article(f"{colour} {shape}"))[part]
    question = rng.choice(("Is it {}?", "Is this {}?", "is it {}", "Is that {}?")).format(asked)
    if scene.kind != "shape":
        return question, answer_one(scene, "describe")
    right = (shape == scene.shape or part == 1) and (colour == scene.colour or part == 0)
    return question, say("Yes, it is " if right else "No, it is ", scene, ".")


def about_two(rng: Random, first: Scene, second: Scene) -> tuple[str, tuple[Piece, ...]]:
    """A question about two pictures, with its answer."""
    kind = rng.random()
    if kind < 0.8:
        return wording(rng, "compare"), answer_two(first, second)
    if kind < 0.86:
        return wording(rng, "count"), say("There are two images.")
    which, scene = rng.choice((("first", first), ("second", second)))
    question = rng.choice(
        ("What is in the {} image?", "Describe the {} image.", "What does the {} image show?", "The {}?")
    )
    return question.format(which), say(f"The {which} image shows ", scene, ".")


def answer_two(first: Scene, second: Scene) -> tuple[Piece, ...]:
    """What both pictures show."""
    return say("The first image shows ", first, ", while the second image shows ", second, ".")


# --- conversations

INTENTS: dict[str, dict[str, int]] = {
    "shape": {"describe": 34, "both": 10, "shape": 14, "colour": 14, "ground": 3, "read": 9, "has_text": 3, "yes_no": 8,
              "count": 2, "other": 1},
    "text": {"read": 74, "describe": 12, "both": 1, "shape": 2, "colour": 3, "ground": 2, "has_text": 3, "yes_no": 1,
             "count": 1, "other": 1},
    "blank": {"describe": 30, "both": 10, "shape": 10, "colour": 8, "ground": 6, "read": 20, "has_text": 6, "count": 2},
    "clutter": {"describe": 40, "both": 10, "shape": 10, "colour": 10, "read": 20, "has_text": 6},
}  # fmt: skip
"""How often each question is asked of each kind of picture."""


def pick(rng: Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def system_prompt(rng: Random) -> str:
    """The golden system prompt, none (empty), or another."""
    kind = rng.random()
    return SYSTEM if kind < 0.4 else "" if kind < 0.75 else rng.choice(SYSTEMS)


def chat(rng: Random) -> Turn:
    """A turn without any picture."""
    intent = pick(rng, {"greet": 6, "who": 5, "thanks": 1, "other": 4, "about": 6})
    if intent == "about":
        about = rng.choice(("describe", "both", "shape", "colour", "read", "compare"))
        question, answer = wording(rng, about), NO_IMAGE
        if rng.random() < 0.15:
            question = wording(rng, "count")
    else:
        question = wording(rng, intent)
        answer = {"greet": GREETING, "who": WHO, "thanks": THANKS, "other": OTHER}[intent]
    return Turn(question, (), say(answer), False)


def no_image(rng: Random) -> Conversation:
    """One or two turns without any picture."""
    return Conversation(system_prompt(rng), tuple(chat(rng) for _ in range(rng.choice((1, 1, 2)))))


def one_image(rng: Random, scene: Scene) -> Conversation:
    """One picture, in the first turn or after a turn without one, and up to three questions about it."""
    turns: list[Turn] = [chat(rng)] if rng.random() < 0.08 else []
    length = len(turns) + rng.choice((1, 1, 2, 2, 3) if scene.kind == "shape" else (1, 1, 1, 1, 2))
    asked: set[str] = set()
    for place in range(len(turns), length):
        intent = pick(rng, INTENTS[scene.kind])
        if scene.kind == "text" and "read" not in asked and place == length - 1 and rng.random() < 0.5:
            intent = "read"
        if intent in asked:
            continue
        new = (scene,) if not asked else ()
        asked.add(intent)
        if intent == "other":
            question, answer = wording(rng, "other"), say(OTHER)
        else:
            question, answer = about_one(rng, scene, intent)
        turns.append(Turn(question, new, answer, rng.random() < 0.5))
    return Conversation(system_prompt(rng), tuple(turns))


def two_images(rng: Random, first: Scene, second: Scene) -> Conversation:
    """Two pictures: both in one turn, or one in each of two turns, where a question means the newest."""
    before = rng.random() < 0.5
    if rng.random() < 0.78:
        question, answer = about_two(rng, first, second)
        turns = [Turn(question, (first, second), answer, before)]
        if rng.random() < 0.25:
            turns.append(Turn(*_more(rng, first, second)))
        return Conversation(system_prompt(rng), tuple(turns))
    turns = []
    for scene in (first, second):
        intent = pick(rng, INTENTS[scene.kind])
        while intent in ("count", "other"):
            intent = pick(rng, INTENTS[scene.kind])
        question, answer = about_one(rng, scene, intent)
        turns.append(Turn(question, (scene,), answer, before))
    if rng.random() < 0.4:
        turns.append(Turn(*_more(rng, first, second)))
    return Conversation(system_prompt(rng), tuple(turns))


def _more(rng: Random, first: Scene, second: Scene) -> tuple[str, tuple[Scene, ...], tuple[Piece, ...], bool]:
    if rng.random() < 0.5:
        question = rng.choice(
            ("Compare them.", "Compare the two images.", "What is the difference?", "compare both images")
        )
        return question, (), answer_two(first, second), False
    question, answer = about_two(rng, first, second)
    return question, (), answer, False
