"""Ready-made lines that talk to the local API: shown in the workbench's panel and by `assay serve`."""

from __future__ import annotations

import json
import shlex


def snippets(url: str, key: str | None, model: str) -> dict[str, str]:
    """Name -> program text, for an API at `url` that asks for `key` (None: for none)."""
    secret = key or "not-needed"
    message = {"role": "user", "content": "Hello!"}
    body = json.dumps({"model": model, "stream": True, "messages": [message]}, ensure_ascii=False)
    named = json.dumps(model, ensure_ascii=False)  # Python reads it as well; a folder's name may hold quotes
    header = f"  -H {shlex.quote('Authorization: Bearer ' + key)} \\\n" if key else ""
    return {
        "openai": f'''from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key="{secret}")
stream = client.chat.completions.create(
    model={named},
    messages=[{{"role": "user", "content": "Hello!"}}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
''',
        "responses": f'''from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key="{secret}")
first = client.responses.create(model={named}, input="Hello!")
print(first.output_text)
with client.responses.stream(
    model={named},
    input="And in French?",
    previous_response_id=first.id,
) as stream:
    for event in stream:
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)
''',
        "anthropic": f'''from anthropic import Anthropic

client = Anthropic(base_url="{url}", api_key="{secret}")
with client.messages.stream(
    model={named},
    max_tokens=256,
    messages=[{{"role": "user", "content": "Hello!"}}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
''',
        "curl": f"""curl -N {url}/v1/chat/completions \\
{header}  -H 'Content-Type: application/json' \\
  -d {shlex.quote(body)}
""",
        "environment": f"""export OPENAI_BASE_URL={url}/v1
export OPENAI_API_KEY={secret}
export ANTHROPIC_BASE_URL={url}
export ANTHROPIC_API_KEY={secret}
""",
    }
