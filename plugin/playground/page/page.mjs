// The page: what is written goes to the worker, what comes back is shown. Everything is shown as text, never as markup, and
// nothing is kept: a reload forgets it all.
import { examples } from './examples.mjs';

/** How long the hands must rest before what they wrote is looked at, in milliseconds. */
const PAUSE_MS = 120;
/** How long the worker may take; it is bounded inside, this is for a defect. In milliseconds. */
const LIMIT_MS = 5000;
/** The largest file that is read, in bytes: more than any configuration. */
const MAX_FILE_BYTES = 1024 * 1024;
/** The mapped fields in the order in which people read them; attributes follow. */
const FIELDS = ['username', 'email', 'email_verified', 'given_name', 'family_name', 'display_name', 'phone'];

/** How long a browser may take to begin with a file that it was given, in milliseconds. */
const DOWNLOAD_MS = 10000;
const WORKER = './worker.mjs';
/** The one address of a script that this page asks for: no other is taken (Trusted Types, where browsers have them). */
const trusted = globalThis.trustedTypes?.createPolicy('worker', { createScriptURL: () => WORKER });

const byId = (id) => document.getElementById(id);
const configuration = byId('configuration');
const input = byId('input');
const provider = byId('provider');

/** An element with a class, if one is given, and texts or elements in it. */
function element(name, className, ...content) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

// Asking the worker

let worker;
let answered = false; // whether the worker is there and has nothing to do
let asked = 0; // the number of the last question
let waiting = true; // whether something was written since
let pause;
let limit;

function startWorker() {
  worker = new Worker(trusted?.createScriptURL('') ?? WORKER, { type: 'module' });
  worker.addEventListener('message', ({ data }) => receive(data));
  worker.addEventListener('error', () => say('The plugin could not be loaded: this browser may be too old.'));
}

/** Over what was written last it won't be asked again. */
function restartWorker(reason) {
  worker.terminate();
  answered = false;
  startWorker();
  byId('outcome').hidden = true;
  byId('results').ariaBusy = 'false';
  say(reason);
}

function ask() {
  if (!answered) {
    waiting = true;
    return;
  }
  waiting = false;
  answered = false;
  asked += 1;
  byId('results').ariaBusy = 'true';
  const question = { configuration: configuration.value, provider: Math.max(provider.selectedIndex, 0), input: input.value };
  worker.postMessage({ number: asked, ...question });
  limit = setTimeout(() => {
    restartWorker(`This took longer than ${LIMIT_MS / 1000} s and was stopped. Change something to try again.`);
  }, LIMIT_MS);
}

/** What is shown is of what was there before. */
function askSoon() {
  byId('results').ariaBusy = 'true';
  clearTimeout(pause);
  pause = setTimeout(ask, PAUSE_MS);
}

function receive(answer) {
  clearTimeout(limit);
  if (answer.failed) {
    restartWorker(`The plugin failed over this, which is a defect: ${answer.failed}`);
    return;
  }
  if (answer.version === undefined) show(answer);
  else byId('version').textContent = answer.version; // the first message, once it can be asked
  answered = true;
  if (waiting) ask();
  else byId('results').ariaBusy = 'false';
}

// Showing the answer

/** Says it to everybody; what is said already isn't said again. */
function say(text) {
  const status = byId('status');
  if (status.textContent !== text) status.textContent = text;
}

function show({ checked, played }) {
  showProviders(checked.providers);
  // The configuration's first problem is told once, by the check.
  const unplayed = played?.problem?.path.startsWith('input') ? [played.problem] : [];
  showProblems([...checked.problems, ...unplayed]);
  showSamples(checked.samples);
  const preview = played?.preview;
  byId('outcome').hidden = !preview;
  byId('token-note').hidden = played?.input !== 'unverified_token';
  if (preview) showPreview(preview, played.header);
  say(summary(checked, unplayed.length, played));
}

function summary(checked, unplayed, played) {
  const count = (severity) => checked.problems.filter((problem) => problem.severity === severity).length;
  const words = (number, word) => (number === 0 ? [] : [`${number} ${word}${number === 1 ? '' : 's'}`]);
  const problems = [...words(count('error'), 'error'), ...words(count('warning'), 'warning')];
  const configured = problems.length === 0 ? 'The configuration is good.' : `The configuration has ${problems.join(' and ')}.`;
  const preview = played?.preview;
  if (preview) {
    const unverified = played.input === 'unverified_token' ? ' The token is decoded, not verified.' : '';
    const outcome = preview.outcome === 'let_in' ? 'let in' : `refused: ${preview.refusal.code}`;
    return `${configured} This person would be ${outcome}.${unverified}`;
  }
  if (unplayed > 0) return `${configured} The person's claims can't be read.`;
  return configured;
}

function showProviders(providers) {
  if (providers.length === 0) return; // half a line isn't TOML: whose turn it is stays
  const known = Array.from(provider.options, (option) => option.textContent);
  if (known.length !== providers.length || known.some((name, position) => name !== providers[position])) {
    const chosen = provider.selectedIndex;
    provider.replaceChildren(...providers.map((name) => element('option', '', name)));
    provider.selectedIndex = Math.min(Math.max(chosen, 0), providers.length - 1);
    // What was asked about is gone: ask about what is chosen now.
    if (chosen >= providers.length) askSoon();
  }
  byId('provider-choice').hidden = providers.length < 2;
}

/** A button that goes to a line of the configuration. */
function goTo(line) {
  const button = element('button', 'line', `line ${line}`);
  button.type = 'button';
  button.ariaLabel = `Go to line ${line}`;
  button.addEventListener('click', () => {
    const lines = configuration.value.split('\n');
    const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    configuration.focus();
    configuration.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
    // Browsers don't scroll to a selection; no line is wrapped, so all are of one height. A third of the area stays above.
    const height = parseFloat(getComputedStyle(configuration).lineHeight);
    configuration.scrollTop = (line - 1) * height - configuration.clientHeight / 3;
    configuration.scrollLeft = 0;
    configuration.scrollIntoView({ block: 'nearest' });
  });
  return button;
}

function showProblems(problems) {
  const items = problems.map(({ severity, path, line, message, hint }) => {
    const item = element('li', '', element('span', `word ${severity}`, severity), ' ');
    if (line !== null) item.append(goTo(line), ' ');
    if (path) item.append(element('code', '', path), ': ');
    item.append(message);
    if (hint) item.append(element('div', 'note', hint));
    return item;
  });
  byId('problems').replaceChildren(...items);
  byId('no-problems').hidden = items.length > 0;
}

function showSamples(samples) {
  const words = { pass: 'pass', fail: 'fail', skip: 'not run' };
  const items = samples.map(({ name, verdict, line }) => {
    const item = element('li', '', element('span', `word ${verdict}`, words[verdict]), ' ', name);
    if (line !== null) item.append(' ', goTo(line));
    return item;
  });
  byId('samples').replaceChildren(...items);
  byId('samples-panel').hidden = items.length === 0;
}

/** A row of a table of two columns. */
function row(name, value, id) {
  const header = element('th', '', name);
  header.scope = 'row';
  const cell = element('td', '', value);
  cell.id = id;
  return element('tr', '', header, cell);
}

function showPreview(preview, header) {
  byId('refusal').hidden = !preview.refusal;
  byId('refusal-code').textContent = preview.refusal?.code ?? '';
  byId('refusal-message').textContent = preview.refusal?.message ?? '';
  byId('refusal-hint').textContent = preview.refusal?.hint ?? '';

  const others = Object.keys(preview.mapped).filter((name) => !FIELDS.includes(name));
  const names = [...FIELDS.filter((name) => name in preview.mapped), ...others];
  byId('identity').replaceChildren(...names.map((name) => row(name, preview.mapped[name], `identity-${name}`)));
  byId('no-identity').hidden = names.length > 0;

  const decisions = [
    row('sign-in', preview.outcome === 'let_in' ? 'would be let in' : 'would be refused', 'decision-outcome'),
    row('account', preview.account, 'decision-account'),
  ];
  if (preview.existing_account) {
    const [verdict, reason] = preview.existing_account;
    decisions.push(row('an account with this address', `${verdict}: ${reason}`, 'decision-existing-account'));
  }
  byId('decisions').replaceChildren(...decisions);
  showGroups(preview.groups);

  const checks = preview.checks.map(({ name, verdict, detail }) =>
    element('tr', '', element('td', `word ${verdict}`, verdict), element('td', '', element('code', '', name)), element('td', '', detail)),
  );
  byId('checks').replaceChildren(...checks);

  byId('header-title').hidden = !header;
  byId('header').hidden = !header;
  byId('header').textContent = header ? JSON.stringify(header, null, 2) : '';
  byId('claims').textContent = JSON.stringify(preview.claims, null, 2);
}

function showGroups(groups) {
  const states = {
    not_requested: () => 'Not asked for (groups.source).',
    unknown: () => `Unknown, which never means none: ${groups.reason}`,
    known: () => (groups.groups.length === 1 ? '1 group.' : `${groups.groups.length} groups.`),
  };
  byId('groups-state').textContent = states[groups.state]();
  const items = (groups.groups ?? []).map(({ id, name }) => element('li', '', element('code', '', id), name ? ` ${name}` : ''));
  byId('groups').replaceChildren(...items);
}

// What people do

configuration.addEventListener('input', askSoon);
input.addEventListener('input', askSoon);
provider.addEventListener('change', ask);

const example = byId('example');
example.append(
  ...Object.entries(examples).map(([name, { label }]) => {
    const option = element('option', '', label);
    option.value = name;
    return option;
  }),
);
example.addEventListener('change', () => {
  const chosen = examples[example.value];
  if (chosen) input.value = JSON.stringify(chosen.input, null, 2);
  ask();
});

const file = byId('file');
byId('load').addEventListener('click', () => file.click());
file.addEventListener('change', async () => {
  const [chosen] = file.files;
  file.value = ''; // the same file can be loaded again
  if (!chosen) return;
  if (chosen.size > MAX_FILE_BYTES) {
    say(`${chosen.name} has ${chosen.size} bytes: that is no configuration.`);
    return;
  }
  try {
    configuration.value = await chosen.text();
  } catch {
    say(`${chosen.name} can't be read.`);
    return;
  }
  provider.selectedIndex = 0;
  ask();
});

byId('export').addEventListener('click', () => {
  const url = URL.createObjectURL(new Blob([configuration.value], { type: 'application/toml' }));
  const link = element('a');
  link.href = url;
  link.download = 'provider.toml';
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), DOWNLOAD_MS);
});

const running = JSON.parse(byId('running').textContent);
if (running) configuration.value = running;
startWorker();
