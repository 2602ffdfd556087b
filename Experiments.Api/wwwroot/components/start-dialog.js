import { html } from '../lib/preact.js';
import { post } from '../core/api.js';
import { eventsOf } from '../core/definition.js';
import { useMe } from '../core/me.js';
import { useData } from '../core/use-data.js';
import { plural } from '../core/format.js';
import { Dialog } from './dialog.js';

const Check = ({ isMet, children }) => html`
  <li class="choice"><span class="mark ${isMet ? 'tone-good' : 'tone-warn'}" aria-hidden="true">${isMet ? '✓' : '!'}</span>
    <span><span class="hidden">${isMet ? 'Done: ' : 'Missing: '}</span>${children}</span></li>
`;

/** What should be there before an experiment starts, as far as the service can tell. */
export const Checklist = ({ experiment }) => {
  const { environment } = useMe();
  const path = `environments/${environment.key}`;
  const names = useData(`${path}/events/names/?page_size=100`).data?.results ?? null;
  const code = useData(`${path}/experiments/requires-flag-implementation/?event=%24flag_exposure&feature=${experiment.feature.id}`).data;
  const metrics = useData(`${path}/experiments/${experiment.id}/metrics/?page_size=100`).data?.results ?? null;
  const primary = experiment.metrics.find((one) => one.role === 'primary');
  const missing =
    metrics && names
      ? metrics.flatMap((one) => eventsOf(one.definition)).filter((event) => names.every((name) => name.event !== event))
      : [];
  return html`
    <ul class="stack">
      <${Check} isMet=${experiment.hypothesis.trim().length > 20}>A hypothesis that says why<//>
      <${Check} isMet=${primary !== undefined}>A primary metric${primary ? html`: ${primary.metric_name}` : ''}<//>
      <${Check} isMet=${missing.length === 0}>
        ${missing.length === 0
          ? 'The events of all metrics have been received before'
          : html`These events have never been received: ${[...new Set(missing)].map((event) => html`<code>${event}</code> `)}`}
      <//>
      <${Check} isMet=${code ? !code.result : false}>
        ${code && !code.result
          ? 'The flag has been seen in the application'
          : 'No exposure to the flag was received in the last seven days: is it in the code?'}
      <//>
      <${Check} isMet=${Boolean(experiment.parameters?.recommended_sample_size)}>
        ${experiment.parameters?.recommended_sample_size
          ? html`A plan: ${plural(experiment.parameters.recommended_sample_size, 'identity', 'identities')}`
          : 'A plan that says how many identities it takes'}
      <//>
    </ul>
  `;
};

export const StartDialog = ({ experiment, path, onClose, onDone }) => html`
  <${Dialog}
    title=${experiment.status === 'paused' ? `Resume “${experiment.name}”?` : `Start “${experiment.name}”?`}
    action=${experiment.status === 'paused' ? 'Resume' : 'Start'}
    onClose=${onClose}
    onSubmit=${async () => onDone(await post(`${path}start/`))}
  >
    <p>
      From now on ${experiment.rollout_percentage} % of identities take part:
      ${experiment.variants.map((one) => ` ${one.key} ${one.weight} %`).join(',')}. What is compared can no longer be changed.
    </p>
    ${experiment.status === 'created' && html`<${Checklist} experiment=${experiment} />`}
  <//>
`;
