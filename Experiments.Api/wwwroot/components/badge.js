import { html } from '../lib/preact.js';
import { STATUS, verdictOf } from '../core/words.js';

/** A word with an icon: never colour alone. */
export const Badge = ({ icon, tone = 'neutral', children }) =>
  html`<span class="badge ${tone}"><span class="icon" aria-hidden="true">${icon}</span>${children}</span>`;

/** @param {{ status: string }} props */
export const StatusBadge = ({ status }) => {
  const { label, icon, tone } = STATUS[status] ?? STATUS.created;
  return html`<${Badge} icon=${icon} tone=${tone}>${label}<//>`;
};

export const VerdictBadge = ({ treatment }) => {
  const { label, icon, tone } = verdictOf(treatment);
  return html`<${Badge} icon=${icon} tone=${tone}>${label}<//>`;
};
