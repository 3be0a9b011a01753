// An identity provider for the tests: npm's oidc-provider, a certified OpenID Connect provider. It signs whoever comes in
// as the person whom the header x-person names, by the proof that x-proof names, and asks nothing. It prints its port.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto; // Node.js 18
// Advice for those who run it for real, some of it to a pipe that nobody reads any more.
console.info = console.warn = () => {};
const [tools, redirect, signedOut] = process.argv.slice(2);
const found = createRequire(`${tools}/`).resolve('oidc-provider');
const { default: Provider } = await import(pathToFileURL(found));

let answer;
const server = createServer((request, response) => answer(request, response));
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const { port } = server.address();

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'homeward',
    client_secret: 'a-secret-of-homeward-and-the-provider',
    redirect_uris: [redirect],
    post_logout_redirect_uris: [signedOut],
    grant_types: ['authorization_code'],
    response_types: ['code'],
  }],
  pkce: { required: () => true },
  acrValues: ['one-factor', 'two-factors'],
  cookies: { keys: ['a key'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

async function signIn(request, response) {
  const { params } = await provider.interactionDetails(request, response);
  const person = request.headers['x-person'];
  if (!person) {
    return provider.interactionFinished(request, response, { error: 'access_denied' });
  }
  const grant = new provider.Grant({ accountId: person, clientId: params.client_id });
  grant.addOIDCScope('openid');
  return provider.interactionFinished(request, response, {
    login: { accountId: person, acr: request.headers['x-proof'] },
    consent: { grantId: await grant.save() },
  });
}

const others = provider.callback();
answer = (request, response) =>
  request.url.startsWith('/interaction/') ? signIn(request, response) : others(request, response);
console.log(port);
