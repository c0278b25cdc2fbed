// The AI SDK's openai(), which speaks Responses, and OpenAI's own client for JavaScript. In an empty folder:
//   npm install ai @ai-sdk/openai openai zod
//   OPENAI_BASE_URL=http://127.0.0.1:8484/v1 OPENAI_API_KEY=$ASSAY_KEY node ai-sdk.mjs
import assert from 'node:assert';
import { openai } from '@ai-sdk/openai';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';

const name = process.env.MODEL ?? 'pocket/qwen3';
const question = 'What is the current weather in Oslo? Use the get_weather tool to find out.';
const description = 'Get the current weather in a given location';
const asked = {
  model: openai(name),
  prompt: question,
  temperature: 0,
  stopWhen: stepCountIs(3),
  providerOptions: { openai: { reasoningEffort: 'none' } },
  tools: {
    get_weather: tool({
      description,
      inputSchema: z.object({ location: z.string().describe("City name, e.g. 'Tokyo'") }),
      execute: async () => 'Sunny, 21 degrees.',
    }),
  },
};
const whole = await generateText(asked);
assert.match(whole.text, /21/);
assert.equal(whole.steps.length, 2);
const stream = streamText(asked);
for await (const part of stream.fullStream) assert.notEqual(part.type, 'error', String(part.error));
assert.equal(await stream.text, whole.text);
console.log('AI SDK:', whole.text);

const client = new OpenAI();
const first = await client.responses.create({ model: name, input: 'Hello!' });
const events = [];
for await (const event of await client.responses.create({
  model: name, input: 'And in French?', previous_response_id: first.id, stream: true,
})) events.push(event.type);
assert.equal(events.at(-1), 'response.completed');
const items = [];
for await (const item of client.responses.inputItems.list(first.id)) items.push(item.type);
assert.deepEqual(items, ['message']);
assert.equal((await client.responses.cancel(first.id)).status, 'completed');
await client.responses.delete(first.id);
await assert.rejects(client.responses.retrieve(first.id), { status: 404 });
console.log('openai:', first.output_text);
