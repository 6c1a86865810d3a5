// The provider's configuration: plain authorization code flow with PKCE, as a relying party for people's logins meets it.
// Everything that oidc-provider can do beyond that is switched off.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';

// oidc-provider asks for Node 22; this is all that it misses in Node 20.12, which Debian 13 has.
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);
const { Provider, interactionPolicy } = await import('oidc-provider');

/** The people of accounts.json, by login name. */
export const accounts = new Map(
  JSON.parse(readFileSync(new URL('accounts.json', import.meta.url), 'utf8')).map((account) => [account.login, account]),
);

const bySubject = new Map([...accounts.values()].map((account) => [account.claims.sub, account]));

/** One fresh key of each kind. The RSA key names no `alg`: it signs RS256 to RS512 and PS256. */
export function generateKeys() {
  return [
    generateKeyPairSync('rsa', { modulusLength: 2048 }),
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ed25519'),
  ].map(({ privateKey }) => ({ ...privateKey.export({ format: 'jwk' }), use: 'sig', kid: randomBytes(8).toString('hex') }));
}

/** What the provider remembers, kept apart from it: a provider with new keys goes on where the former one stopped. */
export function memory() {
  const records = new Map();
  const uids = new Map();
  return (model) => {
    const key = (id) => `${model}:${id}`;
    const find = async (id) => {
      const record = records.get(key(id));
      if (record && record.expires > Date.now()) return record.payload;
      records.delete(key(id));
      return undefined;
    };
    return {
      find,
      findByUid: (uid) => find(uids.get(uid)),
      findByUserCode: async () => undefined,
      async upsert(id, payload, expiresIn) {
        if (model === 'Session') uids.set(payload.uid, id);
        records.set(key(id), { payload, expires: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
      },
      async consume(id) {
        records.get(key(id)).payload.consumed = Math.floor(Date.now() / 1000);
      },
      async destroy(id) {
        records.delete(key(id));
      },
      async revokeByGrantId(grantId) {
        for (const [name, { payload }] of records) if (payload.grantId === grantId) records.delete(name);
      },
    };
  };
}

function policy() {
  const prompts = interactionPolicy.base();
  prompts.add(new interactionPolicy.Prompt({ name: 'select_account', requestable: true }), 0);
  return prompts;
}

const off = { enabled: false };
const cookieKeys = [randomBytes(32).toString('hex')];

/**
 * @param issuer the issuer identifier, with the path if there is one
 * @param options `clients`: OpenID client metadata; `claims_in_id_token`: whether e-mail and names are in the ID token
 *   too, and not only at the userinfo endpoint (Core 5.4); `pushed_requests`: `no`, `yes` or `only` (RFC 9126)
 */
export function createProvider(issuer, options, keys, adapter) {
  const provider = new Provider(issuer, {
    adapter,
    clients: options.clients,
    jwks: { keys },
    cookies: { keys: cookieKeys },
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      phone: ['phone_number', 'phone_number_verified'],
      profile: ['name', 'given_name', 'family_name', 'preferred_username'],
    },
    // No more than is registered: the relying party goes by what discovery says.
    clientAuthMethods: [...new Set(options.clients.map((client) => client.token_endpoint_auth_method))],
    conformIdTokenClaims: !options.claims_in_id_token,
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'EdDSA'] },
    features: {
      devInteractions: off,
      dPoP: off,
      pushedAuthorizationRequests: {
        enabled: ['yes', 'only'].includes(options.pushed_requests),
        requirePushedAuthorizationRequests: options.pushed_requests === 'only',
      },
      resourceIndicators: off,
      rpInitiatedLogout: off,
    },
    findAccount(_context, id) {
      const account = bySubject.get(id);
      return account && { accountId: id, claims: async () => account.claims };
    },
    interactions: {
      policy: policy(),
      url: (_context, interaction) => `${new URL(issuer).pathname.replace(/\/$/, '')}/interaction/${interaction.uid}`,
    },
    pkce: { required: () => true },
    responseTypes: ['code'],
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, Session: 3600 },
  });
  for (const event of ['authorization.error', 'grant.error', 'pushed_authorization_request.error', 'server_error', 'userinfo.error']) {
    provider.on(event, (_context, error) => console.error(`${event}: ${error.error_detail ?? error.stack ?? error}`));
  }
  return provider;
}
