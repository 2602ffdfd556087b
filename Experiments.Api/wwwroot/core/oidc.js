// Sign-in with OpenID Connect: the authorization code flow with PKCE, as a public client.

const PENDING = 'experiments.oidc';
const redirect = () => `${location.origin}/app/sign-in`;

const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
const random = () => base64(crypto.getRandomValues(new Uint8Array(32)));

const discover = async (provider) => {
  const response = await fetch(`${provider.authority}/.well-known/openid-configuration`);
  if (!response.ok) throw new Error(`The sign-in at ${provider.authority} cannot be reached.`);
  return response.json();
};

/** Leads to the provider. @param {{ authority: string, client_id: string, scope: string }} provider @param {string} back */
export const begin = async (provider, back) => {
  if (!crypto.subtle) throw new Error('Signing in with a provider needs HTTPS. An API key works without it.');
  const { authorization_endpoint: endpoint } = await discover(provider);
  const [state, verifier] = [random(), random()];
  sessionStorage.setItem(PENDING, JSON.stringify({ state, verifier, back }));
  const challenge = base64(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));
  const address = new URL(endpoint);
  const asked = {
    response_type: 'code',
    client_id: provider.client_id,
    redirect_uri: redirect(),
    scope: provider.scope,
    state,
    code_challenge: challenge,
    code_challenge_method: 'S256',
  };
  Object.entries(asked).forEach(([name, value]) => address.searchParams.set(name, value));
  location.assign(address.href);
};

/** Takes the answer of the provider, and returns what signs in and where to go on. @param {any} provider @param {URLSearchParams} query */
export const finish = async (provider, query) => {
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? 'null');
  sessionStorage.removeItem(PENDING);
  if (query.get('error')) throw new Error(query.get('error_description') ?? query.get('error'));
  if (!pending || pending.state !== query.get('state')) throw new Error('This sign-in was not begun here. Begin again.');
  const { token_endpoint: endpoint } = await discover(provider);
  const response = await fetch(endpoint, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: provider.client_id,
      redirect_uri: redirect(),
      code: query.get('code') ?? '',
      code_verifier: pending.verifier,
    }),
  });
  const tokens = await response.json();
  if (!response.ok) throw new Error(tokens.error_description ?? 'The provider gave no token.');
  return { credential: `Bearer ${tokens.access_token}`, back: pending.back };
};
