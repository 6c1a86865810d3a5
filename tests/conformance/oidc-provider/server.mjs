// An independent, certified OpenID provider on a loopback port, for the conformance tests:
//
//     node server.mjs '{"clients": […], "issuer_path": "/tenant", "claims_in_id_token": true}'
//
// Standard input and output are a conversation in JSON lines. The first says {"issuer", "port"} once it listens, then each
// command is answered by one line:
//
//     {"command": "rotate"}                                replaces every signing key: {"keys": [kid, …]}
//     {"command": "redirect_uris", "redirect_uris": […]}   replaces those of every client: {"redirect_uris": […]}
//
// Sessions, codes and tokens live on through both. It ends with standard input, so it never outlives its test.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

import { interaction } from './interaction.mjs';
import { createProvider, generateKeys, memory } from './provider.mjs';

const options = JSON.parse(process.argv[2] ?? '{"clients": []}');
const prefix = options.issuer_path ?? '';
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
console.info = console.error; // the library's notices don't belong into the conversation

const server = createServer();
await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
const { port } = server.address();
const issuer = `http://127.0.0.1:${port}${prefix}`;

const adapter = memory();
let keys = generateKeys();
let provider;
let answer;

/** A provider as options and keys are now. */
function install() {
  provider = createProvider(issuer, options, keys, adapter);
  answer = provider.callback();
}

const commands = {
  rotate() {
    keys = generateKeys();
    install();
    return { keys: keys.map(({ kid }) => kid) };
  },
  redirect_uris({ redirect_uris }) {
    for (const client of options.clients) client.redirect_uris = redirect_uris;
    install();
    return { redirect_uris };
  },
};

function obey(line) {
  try {
    const message = JSON.parse(line);
    return commands[message.command](message);
  } catch (error) {
    return { error: `${line}: ${error.error_description ?? error.message}` };
  }
}

async function handle(request, response) {
  if (!request.url.startsWith(`${prefix}/`)) {
    response.writeHead(404).end();
    return;
  }
  // How a mounted application is told its mount point.
  request.originalUrl = request.url;
  request.url = request.url.slice(prefix.length);
  if (request.url.startsWith('/interaction/')) await interaction(provider, request, response);
  else await answer(request, response);
}

server.on('request', (request, response) => {
  handle(request, response).catch((error) => {
    console.error(error.stack);
    if (!response.headersSent) response.writeHead(error.statusCode ?? 500, { 'content-type': 'text/plain' });
    response.end(`${error.name}: ${error.error_description ?? error.message}\n`);
  });
});

install();
say({ issuer, port });

const stop = () => process.exit(0);
process.on('SIGTERM', stop);
createInterface({ input: process.stdin })
  .on('line', (line) => say(obey(line)))
  .on('close', stop);
