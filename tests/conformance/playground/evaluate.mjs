// The playground page's own modules without a page, for the conformance tests:
//
//     node evaluate.mjs FOLDER < QUESTIONS
//
// FOLDER is what `./build.sh playground` made. Each line of standard input is a question as the page asks it,
// {"configuration", "provider", "input"}, or {"example": NAME, "configuration", "provider"} with one of the page's examples;
// each is answered by a line: {"input", "checked", "played"}, or {"error"} if the plugin failed over it.
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';

// What the page may not do, its modules can't do here either.
for (const name of ['fetch', 'XMLHttpRequest', 'WebSocket', 'EventSource', 'localStorage', 'indexedDB']) {
  Object.defineProperty(globalThis, name, {
    get() {
      throw new Error(`the playground reaches for ${name}`);
    },
  });
}

const folder = `${pathToFileURL(resolve(process.argv[2]))}/`;
const { evaluate } = await import(new URL('evaluator.mjs', folder));
const { examples } = await import(new URL('examples.mjs', folder));

for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line);
  const input = question.example ? JSON.stringify(examples[question.example].input) : question.input;
  let answer;
  try {
    answer = { input, ...evaluate({ ...question, input }) };
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
