import { html, useEffect, useState } from '../lib/preact.js';
import { get, send } from '../core/api.js';
import { begin, finish } from '../core/oidc.js';
import { go, useRoute } from '../core/router.js';
import { setCredential } from '../core/session.js';
import { Text } from '../components/field.js';
import { Failure, Loading } from '../components/states.js';

// Addresses that the service printed sign in once; the code is in the fragment, which no server and no log sees.
const redeem = async () => {
  const code = location.hash.slice(1);
  history.replaceState(null, '', '/app/sign-in');
  const { json } = await send('POST', '/app/sign-in', { body: { code } });
  setCredential(`Api-Key ${json.key}`);
  go('/app/', { replace: true });
};

export const SignIn = () => {
  const { parts, query } = useRoute();
  const [state, setState] = useState({ provider: null, isBusy: true, error: null, key: '' });
  const fail = (error) => setState((last) => ({ ...last, isBusy: false, error }));
  const back = parts[0] === 'sign-in' ? '/app/' : location.pathname + location.search;

  useEffect(() => {
    const arrive = async () => {
      const { oidc } = await get('/app/settings.json');
      setState((last) => ({ ...last, provider: oidc }));
      if (parts[0] === 'sign-in' && location.hash.length > 1) await redeem();
      if (oidc && parts[0] === 'sign-in' && (query.has('code') || query.has('error'))) {
        // An answer counts once, also one that is a refusal.
        go('/app/sign-in', { replace: true });
        const { credential, back: there } = await finish(oidc, query);
        go(there, { replace: true });
        setCredential(credential);
      }
      setState((last) => ({ ...last, isBusy: false }));
    };
    arrive().catch(fail);
  }, []);

  const submit = async (event) => {
    event.preventDefault();
    setState((last) => ({ ...last, isBusy: true, error: null }));
    const authorization = `Api-Key ${state.key.trim()}`;
    try {
      await send('GET', 'me/', { authorization });
      setCredential(authorization);
      if (parts[0] === 'sign-in') go('/app/', { replace: true });
    } catch (error) {
      fail(error.status === 401 ? new Error('This key is not known, has expired, or was revoked.') : error);
    }
  };

  return html`
    <main class="main sign-in">
      <div class="card stack">
        <h1 class="row"><img src="/app/icon.svg" alt="" width="32" height="32" />Experiments</h1>
        ${state.error && html`<${Failure} error=${state.error} />`}
        ${state.isBusy && html`<${Loading} lines=${2} what="Signing in" />`}
        ${state.provider &&
        html`
          <button type="button" class="primary" onClick=${() => begin(state.provider, back).catch(fail)}>Sign in</button>
          <p class="muted small">at ${state.provider.authority}</p>
        `}
        <form class="stack" onSubmit=${submit}>
          <${Text}
            id="key"
            label="API key"
            type="password"
            autocomplete="off"
            required
            value=${state.key}
            onInput=${(key) => setState((last) => ({ ...last, key }))}
            hint="It is kept for this tab only. The service printed one when it started; admins make more under Settings."
          />
          <button type="submit" class=${state.provider ? '' : 'primary'} disabled=${!state.key.trim()}>Sign in with the key</button>
        </form>
      </div>
    </main>
  `;
};
