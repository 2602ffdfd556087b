import { html } from '../../lib/preact.js';
import { Text } from '../field.js';

const TEMPLATE = 'If we …, then …, because …';

/** What the experiment is to show. */
export const What = ({ draft, set, wrong }) => html`
  <${Text} id="name" label="Name" value=${draft.name} onInput=${(name) => set({ name })} wrong=${wrong.name} autofocus maxlength="255" />
  <${Text}
    id="hypothesis"
    label="Hypothesis"
    lines=${4}
    value=${draft.hypothesis}
    onInput=${(hypothesis) => set({ hypothesis })}
    placeholder=${TEMPLATE}
    hint="What changes, what you expect of it, and why. Whoever reads the results later will thank you."
    wrong=${wrong.hypothesis}
  />
  ${!draft.hypothesis && html`<button type="button" onClick=${() => set({ hypothesis: TEMPLATE })}>Use the template</button>`}
`;
