import { html } from '../lib/preact.js';

/** A label with its control, a hint, and what is wrong. */
export const Field = ({ id, label, hint = null, wrong = null, children }) => html`
  <div class="field" data-wrong=${wrong ? '' : null}>
    <label for=${id}>${label}</label>
    ${children}
    ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
    ${wrong && html`<p class="wrong" id="${id}-wrong" role="alert">${wrong}</p>`}
  </div>
`;

const described = (id, hint, wrong) => [hint && `${id}-hint`, wrong && `${id}-wrong`].filter(Boolean).join(' ') || null;

/** A line or some lines of text. */
export const Text = ({ id, label, value, onInput, hint = null, wrong = null, lines = 1, ...rest }) => html`
  <${Field} id=${id} label=${label} hint=${hint} wrong=${wrong}>
    <${lines > 1 ? 'textarea' : 'input'}
      id=${id}
      value=${value}
      rows=${lines > 1 ? lines : null}
      aria-describedby=${described(id, hint, wrong)}
      aria-invalid=${wrong ? 'true' : null}
      onInput=${(event) => onInput(event.target.value)}
      ...${rest}
    />
  <//>
`;

/** One of several words. */
export const Choice = ({ id, label, value, onInput, options, hint = null, wrong = null, ...rest }) => html`
  <${Field} id=${id} label=${label} hint=${hint} wrong=${wrong}>
    <select
      id=${id}
      value=${value}
      aria-describedby=${described(id, hint, wrong)}
      onChange=${(event) => onInput(event.target.value)}
      ...${rest}
    >
      ${options.map(
        ([key, text, disabled]) => html`<option key=${key} value=${key} selected=${key === value} disabled=${disabled}>${text}</option>`,
      )}
    </select>
  <//>
`;
