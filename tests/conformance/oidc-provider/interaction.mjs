// The provider's one page: who are you? A browser gets a list of the accounts; a request with `login_hint` is answered at
// once, so a client without a browser only follows redirects. Consent is part of signing in.
import { accounts } from './provider.mjs';

const escape = (text) => String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

function page(client) {
  const rows = [...accounts.values()].map(
    ({ login, about }) =>
      `<li><button name="login" value="${escape(login)}">${escape(login)}</button> ${escape(about)}</li>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sign in</title>
<h1>Sign in to ${escape(client)}</h1><form method="post"><ul>${rows.join('')}</ul></form></html>`;
}

/** The account that a `login_hint` or the form names: by login name or e-mail address. */
function accountOf(name) {
  return accounts.get(name) ?? [...accounts.values()].find(({ claims }) => name && claims.email === name);
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return new URLSearchParams(Buffer.concat(parts).toString('utf8'));
}

async function outcome(provider, { params }, account) {
  if (account.declines) return { error: 'access_denied', error_description: 'the person said no' };
  const accountId = account.claims.sub;
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return { login: { accountId }, consent: { grantId: await grant.save() }, select_account: {} };
}

/** Answers GET and POST of an interaction's address. */
export async function interaction(provider, request, response) {
  const details = await provider.interactionDetails(request, response);
  const name = request.method === 'POST' ? (await bodyOf(request)).get('login') : details.params.login_hint;
  const account = accountOf(name);
  if (account) {
    await provider.interactionFinished(request, response, await outcome(provider, details, account));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(page(details.params.client_id));
}
