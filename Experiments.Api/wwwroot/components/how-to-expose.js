import { html } from '../lib/preact.js';
import { useMe } from '../core/me.js';
import { Copy } from './copy.js';

/** Complete code for two clients, with the key of the environment. */
export const snippet = (key, feature) => `import { createFlagsmithInstance } from '@flagsmith/flagsmith/isomorphic';

const flagsmith = createFlagsmithInstance();
await flagsmith.init({
  environmentID: '${key}',
  api: '${location.origin}/api/v1/',
  identity: 'user-1',
  enableEvents: true,
  eventProcessorConfig: { eventsApiUrl: '${location.origin}' },
});
const { variant, value } = flagsmith.getExperimentFlag('${feature}'); // also sends the exposure
flagsmith.trackEvent('purchase', { value: '12.50' });`;

/** What is shown until the first exposure comes. */
export const HowToExpose = ({ experiment }) => {
  const { environment } = useMe();
  const code = snippet(environment.key, experiment.feature.name);
  return html`
    <section class="card stack" aria-labelledby="waiting">
      <h2 id="waiting">Waiting for the first exposure…</h2>
      <p class="muted">An application that asks for the flag tells the service who saw which variant. This page notices by itself.</p>
      <pre tabindex="0">${code}</pre>
      <p class="row"><${Copy} text=${code}>Copy the code<//><a href="/docs" target="_blank">Other clients and the API</a></p>
    </section>
  `;
};
