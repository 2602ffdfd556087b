import { html, useState } from '../lib/preact.js';
import { useMe } from '../core/me.js';
import { go, to } from '../core/router.js';
import { setCredential } from '../core/session.js';
import { setTheme, theme } from '../core/theme.js';

const SECTIONS = [
  ['experiments', 'Experiments'],
  ['metrics', 'Metrics'],
  ['flags', 'Flags'],
  ['holdouts', 'Holdouts'],
  ['audit', 'Audit log'],
  ['settings', 'Settings'],
];

const Theme = () => {
  const [value, setValue] = useState(theme);
  const change = (event) => {
    setTheme(event.target.value);
    setValue(event.target.value);
  };
  return html`
    <label class="hidden" for="theme">Theme</label>
    <select id="theme" value=${value} onChange=${change}>
      ${['system', 'light', 'dark'].map((one) => html`<option key=${one} value=${one} selected=${one === value}>Theme: ${one}</option>`)}
    </select>
  `;
};

/** What is round every page: where one is, where one can go, and who one is. */
export const Shell = ({ section, children }) => {
  const { me, environments, environment } = useMe();
  return html`
    <a class="skip" href="#content">Skip to content</a>
    <div class="shell">
      <header class="side">
        <a class="brand" href="/app/"><img src="/app/icon.svg" alt="" />Experiments</a>
        <div>
          <label class="hidden" for="environment">Environment</label>
          <select id="environment" value=${environment?.key ?? ''} onChange=${(event) => go(to([event.target.value, section]))}>
            ${!environment && html`<option value="">Choose an environment</option>`}
            ${environments.map(
              (one) => html`
                <option key=${one.key} value=${one.key} selected=${one.key === environment?.key}>
                  ${one.project.name ? `${one.project.name} / ` : ''}${one.name}
                </option>
              `,
            )}
          </select>
        </div>
        ${environment &&
        html`
          <nav aria-label="Sections">
            <ul>
              ${SECTIONS.map(
                ([key, text]) => html`
                  <li key=${key}>
                    <a href=${to([environment.key, key])} aria-current=${section === key ? 'page' : null}>${text}</a>
                  </li>
                `,
              )}
            </ul>
          </nav>
        `}
        <div class="foot stack">
          <${Theme} />
          <p class="small muted who">${me.name}${environment ? ` · ${environment.role}` : ''}</p>
          <button type="button" onClick=${() => setCredential(null)}>Sign out</button>
        </div>
      </header>
      <main class="main" id="content" tabindex="-1">${children}</main>
    </div>
  `;
};
