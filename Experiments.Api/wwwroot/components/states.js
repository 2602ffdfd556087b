// What a page shows when there is nothing, nothing yet, or something is wrong.

import { html } from '../lib/preact.js';
import { Refused } from '../core/api.js';

export const Loading = ({ lines = 4, what = 'Loading' }) => html`
  <div class="stack" role="status" aria-label=${what}>
    ${Array.from({ length: lines }, (_, n) => html`<div class="skeleton" key=${n}></div>`)}
  </div>
`;

export const Notice = ({ tone = 'info', icon = 'i', role = 'note', children }) => html`
  <div class="notice ${tone}" role=${role}><span class="icon" aria-hidden="true">${icon}</span><div>${children}</div></div>
`;

/** @param {{ title: string, children: unknown, actions?: unknown, isPage?: boolean }} props Whether it is the whole page. */
export const Empty = ({ title, children, actions = null, isPage = false }) => html`
  <div class="empty">
    <${isPage ? 'h1' : 'h2'}>${title}<//>
    ${children}
    ${actions && html`<div class="row">${actions}</div>`}
  </div>
`;

/** Says what went wrong, and whom to ask. */
export const Failure = ({ error, retry = null }) => {
  const isRefused = error instanceof Refused;
  const says =
    isRefused && error.status === 403 && error.code !== 'access.role'
      ? 'You have no access to this. Ask an admin of the project to add you, or sign in with another key.'
    : isRefused && error.code === 'access.role'
      ? `${error.message} Ask an admin of the project.`
    : isRefused && error.code === 'gate.closed'
      ? 'Experiments are switched off on this service. Ask its operator to open the gate “experimental_flags”.'
      : error.message;
  return html`
    <${Notice} tone="bad" icon="!" role="alert">
      <p>${says}</p>
      ${isRefused && error.traceId && html`<p class="small">Trace id: <code>${error.traceId}</code></p>`}
      ${retry && html`<p><button type="button" onClick=${() => retry()}>Try again</button></p>`}
    <//>
  `;
};

/**
 * What was read, or why it is not there. A failure after a success is shown above what is known.
 * @param {{ of: import('../core/use-data.js').Data, lines?: number, children: (data: any) => unknown }} props
 */
export const Loaded = ({ of: { data, error, reload }, lines = 4, children }) =>
  data === null
    ? error
      ? html`<${Failure} error=${error} retry=${reload} />`
      : html`<${Loading} lines=${lines} />`
    : html`${error && html`<${Failure} error=${error} retry=${reload} />`}${children(data)}`;
