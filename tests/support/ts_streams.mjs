// Some calls with the official TypeScript SDK, one after the other, as a subagent of Claude Code makes them; for tests marked `client`.
//
//   node ts_streams.mjs FOLDER BASE_URL COUNT
//
// FOLDER is where npm installed the SDK. Prints one JSON list: of each call the `message` as the SDK accumulated it, or the
// `error` that it raised, as text.

import { createRequire } from "node:module";
import { join } from "node:path";

const [folder, baseURL, count] = process.argv.slice(2);
const { default: Anthropic } = createRequire(join(folder, "package.json"))("@anthropic-ai/sdk");

const defaultHeaders = {
  "x-claude-code-session-id": "s",
  "x-claude-code-agent-id": "a1",
  "x-claude-code-agent-type": "Explore",
};
const client = new Anthropic({ apiKey: process.env.ANTHROPIC_API_KEY, baseURL, maxRetries: 0, defaultHeaders });
const messages = [{ role: "user", content: "?" }];

const told = [];
for (let number = 0; number < Number(count); number++) {
  try {
    const stream = client.messages.stream({ model: "claude-sonnet-4-5", max_tokens: 1000, messages });
    told.push({ message: await stream.finalMessage() });
  } catch (error) {
    told.push({ error: String(error) });
  }
}
process.stdout.write(JSON.stringify(told) + "\n");
