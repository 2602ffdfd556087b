import { html, useState } from '../lib/preact.js';
import { patch } from '../core/api.js';
import { Dialog } from './dialog.js';
import { Field } from './field.js';

/** Changes how many identities take part. */
export const RolloutDialog = ({ experiment, path, onClose, onDone }) => {
  const [share, setShare] = useState(experiment.rollout_percentage);
  const isLower = share < experiment.rollout_percentage;
  return html`
    <${Dialog}
      title="Rollout"
      action="Change"
      onClose=${onClose}
      onSubmit=${async () => onDone(await patch(`${path}rollout/`, { rollout_percentage: Number(share) }))}
    >
      <${Field} id="rollout" label="${share} % of identities take part">
        <input id="rollout" type="range" min="0" max="100" step="1" value=${share} onInput=${(event) => setShare(Number(event.target.value))} />
      <//>
      ${isLower && html`<p>Those who are no longer included keep counting in the variant that they saw, and get the flag’s own value.</p>`}
    <//>
  `;
};
