import { html } from '../lib/preact.js';
import { time } from '../core/format.js';

// Whatever it is of, most things have a name.
const nameOf = (entry) => /** @type {any} */ (entry.after)?.name ?? /** @type {any} */ (entry.before)?.name ?? null;

const sentence = (action) => action.replace('.', ' ').replaceAll('_', ' ');

// Only what differs.
const changes = ({ before, after }) =>
  [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])]
    .filter((name) => name !== 'updated_at' && JSON.stringify(before?.[name]) !== JSON.stringify(after?.[name]))
    .map((name) => [name, before?.[name], after?.[name]]);

const short = (value) => {
  const text = value === undefined ? '–' : JSON.stringify(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
};

/**
 * Entries of the audit log, newest first.
 * @param {{ entries: import('#api').AuditEntry[] }} props
 */
export const AuditList = ({ entries }) => html`
  <ol class="timeline">
    ${entries.map(
      (entry) => html`
        <li key=${entry.id}>
          <div class="row spread">
            <b>${sentence(entry.action)}${nameOf(entry) ? html` · ${nameOf(entry)}` : ''}</b>
            <span class="muted small">${time(entry.at)} · ${entry.actor}</span>
          </div>
          ${changes(entry).length > 0 &&
          html`
            <details class="small">
              <summary>What changed</summary>
              <dl class="facts">
                ${changes(entry).map(([name, before, after]) => html`<dt key=${name}>${name}</dt><dd class="mono">${short(before)} → ${short(after)}</dd>`)}
              </dl>
            </details>
          `}
        </li>
      `,
    )}
    ${entries.length === 0 && html`<li class="muted">Nothing yet.</li>`}
  </ol>
`;
