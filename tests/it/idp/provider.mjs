// A real OpenID Connect provider for tests. Arguments: the directory with `node_modules`.
//
// The first line on standard output is its state, as JSON, or says why there is none. Every line on standard input is a
// command, also JSON, and is answered with the state after it:
//   {"rotate": "kept" | "removed"}   a new signing key; the old ones stay published, or do not
//   {"mood": "well" | "gone" | "slow" | "oversized" | "mute"}   how it answers from now on
// It ends when standard input does.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

if (parseInt(process.versions.node, 10) < 20) {
  process.stdout.write(`${JSON.stringify({ unusable: `this is Node.js ${process.versions.node}, not 20 or later` })}\n`);
  process.exit();
}
const require = createRequire(pathToFileURL(`${process.argv[2]}/`));
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')));

// `asked`: questions about tokens so far; `under_way`: how many wait for their answer, `most_under_way` at a time.
const state = { issuer: '', mood: 'well', kids: [], fetches: 0, asked: 0, under_way: 0, most_under_way: 0 };
let keys = [];
let provider;
// Questions about tokens that wait until it is no longer mute.
let unanswered = [];

// Whose access tokens are opaque, and for which API. All others get JWTs for `workspace-api`.
const OPAQUE = { gleaner: 'workspace-api', kiosk: 'workspace-api', stranger: 'another-api' };

const configuration = () => ({
  jwks: { keys },
  cookies: { keys: ['a secret of this test'] },
  clients: [
    ...['harvester', 'gleaner', 'stranger'].map((client_id) => ({
      client_id,
      client_secret: `${client_id}-secret`,
      token_endpoint_auth_method: 'client_secret_post',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    })),
    // It may ask about tokens. Its secret has everything that has to be encoded (RFC 6749 section 2.3.1).
    {
      client_id: 'portcullis',
      client_secret: 'a secret: 100% +/=&',
      grant_types: [],
      response_types: [],
      redirect_uris: [],
    },
    // Where people log in. One has the name of the API, so its ID tokens have the audience of access tokens.
    ...['portal', 'workspace-api', 'kiosk'].map((client_id) => ({
      client_id,
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      redirect_uris: ['https://portal.example.test/callback'],
    })),
  ],
  findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  ttl: { AccessToken: 600, ClientCredentials: 600, IdToken: 600, Session: 600, Interaction: 600, Grant: 600 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === 'portcullis' },
    revocation: { enabled: true, allowedPolicy: (_, client, token) => client.clientId === token.clientId },
    // There is one resource, and nobody has to ask for it. Its access tokens are JWTs (RFC 9068), or opaque.
    resourceIndicators: {
      enabled: true,
      defaultResource: () => 'urn:workspace-api',
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource, client) => ({
        scope: 'catalogue workspaces',
        audience: OPAQUE[client.clientId] ?? 'workspace-api',
        accessTokenFormat: client.clientId in OPAQUE ? 'opaque' : 'jwt',
        jwt: { sign: { alg: client.clientId === 'harvester' ? 'ES256' : 'RS256' } },
      }),
    },
  },
});

// The provider holds its keys for as long as it lives: new keys need a new one, on the same port.
function rotate(old) {
  const pairs = [
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ];
  const fresh = pairs.map(([alg, { privateKey }]) => ({
    ...privateKey.export({ format: 'jwk' }), alg, use: 'sig', kid: `${alg}-${randomUUID()}`,
  }));
  // It signs with the first that fits.
  keys = old === 'kept' ? [...fresh, ...keys] : fresh;
  state.kids = keys.map((key) => key.kid);
  provider = new Provider(state.issuer, configuration());
}

// The login page, and the page that asks for consent: whoever comes is the user named in `login_hint` and agrees.
async function interact(req, res) {
  const { params } = await provider.interactionDetails(req, res);
  const accountId = params.login_hint;
  const grant = new provider.Grant({ accountId, clientId: params.client_id });
  grant.addOIDCScope('openid');
  grant.addResourceScope('urn:workspace-api', params.scope);
  const consent = { grantId: await grant.save() };
  await provider.interactionFinished(req, res, { login: { accountId }, consent });
}

const server = createServer((req, res) => {
  if (state.mood === 'gone') return req.socket.destroy();
  if (req.url === '/jwks') {
    state.fetches += 1;
    if (state.mood === 'slow') {
      // A byte now and then, so that no timeout between two of them helps.
      res.writeHead(200, { 'content-type': 'application/json' });
      const drip = setInterval(() => res.write(' '), 50);
      return res.on('close', () => clearInterval(drip));
    }
    if (state.mood === 'oversized') {
      res.writeHead(200, { 'content-type': 'application/json' });
      return res.end(JSON.stringify({ keys: [], padding: 'x'.repeat(8 << 20) }));
    }
  }
  if (req.url === '/token/introspection') {
    state.asked += 1;
    state.under_way += 1;
    state.most_under_way = Math.max(state.most_under_way, state.under_way);
    res.on('close', () => { state.under_way -= 1; });
    if (state.mood === 'mute') return unanswered.push(() => provider.callback()(req, res));
  }
  if (!req.url.startsWith('/interaction/')) return provider.callback()(req, res);
  return interact(req, res).catch((error) => res.writeHead(500).end(`${error.stack}`));
});

const say = () => process.stdout.write(`${JSON.stringify(state)}\n`);
server.listen(0, '127.0.0.1', () => {
  state.issuer = `http://127.0.0.1:${server.address().port}`;
  rotate('removed');
  say();
  const commands = createInterface({ input: process.stdin });
  commands.on('line', (line) => {
    const command = JSON.parse(line);
    if (command.rotate) rotate(command.rotate);
    if (command.mood) {
      state.mood = command.mood;
      if (command.mood === 'gone') server.closeAllConnections();
      if (command.mood !== 'mute') unanswered.splice(0).forEach((answer) => answer());
    }
    say();
  });
  commands.on('close', () => process.exit());
});
