// One call with the official TypeScript SDK, with tools and thinking, for the tests marked `client`.
//
//   node ts_sdk.mjs FOLDER BASE_URL stream|create
//
// FOLDER is where npm installed the SDK. Prints one JSON object: `message`, the message as the SDK accumulated it, and
// `events`, the types of the stream's events in their order (empty for `create`). An API error is printed as `error`, with
// its status and body, and is no failure of this script.

import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, baseURL, mode] = process.argv.slice(2);
const { default: Anthropic } = createRequire(join(folder, "package.json"))("@anthropic-ai/sdk");

const client = new Anthropic({ apiKey: process.env.ANTHROPIC_API_KEY, baseURL, maxRetries: 0 });

const asked = {
  model: "claude-sonnet-4-5",
  max_tokens: 4096,
  thinking: { type: "enabled", budget_tokens: 1024 },
  tools: [
    {
      name: "weather",
      description: "Tells the weather in a place.",
      input_schema: { type: "object", properties: { place: { type: "string" } }, required: ["place"] },
    },
  ],
  messages: [{ role: "user", content: "What is the weather in 東京?" }],
};

async function streamed() {
  const events = [];
  const stream = client.messages.stream(asked);
  stream.on("streamEvent", (event) => events.push(event.type));
  return { message: await stream.finalMessage(), events };
}

async function created() {
  return { message: await client.messages.create(asked), events: [] };
}

async function told() {
  try {
    return await (mode === "stream" ? streamed() : created());
  } catch (error) {
    if (!(error instanceof Anthropic.APIError)) throw error;
    return { error: { status: error.status ?? null, body: error.error ?? null, message: error.message } };
  }
}

process.stdout.write(JSON.stringify(await told()) + "\n");
