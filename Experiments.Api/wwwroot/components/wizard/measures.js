import { html, useState } from '../../lib/preact.js';
import { post, remove } from '../../core/api.js';
import { useAction } from '../../core/use-action.js';
import { useMe } from '../../core/me.js';
import { useData } from '../../core/use-data.js';
import { DIRECTION, ROLE } from '../../core/words.js';
import { Choice } from '../field.js';
import { MetricForm } from '../metric-form.js';
import { Failure, Loaded } from '../states.js';

const Attached = ({ metrics, path, changed }) => {
  const [run, failure] = useAction();
  return html`
  ${failure}
  <ul class="stack">
    ${metrics.map(
      (one) => html`
        <li key=${one.id} class="card row spread">
          <span><b>${one.metric_name}</b> <span class="tag">${ROLE[one.role].name}</span> <span class="muted small">${DIRECTION[one.expected_direction]}</span></span>
          <button type="button" class="plain" onClick=${() => run(() => remove(`${path}metrics/${one.id}/`).then(changed))}>Remove<span class="hidden"> ${one.metric_name}</span></button>
        </li>
      `,
    )}
  </ul>
`;
};

/** What decides, what else is looked at, and what must not get worse. */
export const Measures = ({ path, reload }) => {
  const { environment } = useMe();
  const attached = useData(`${path}metrics/?page_size=100`);
  const known = useData(`environments/${environment.key}/metrics/?page_size=100`);
  const [form, setForm] = useState({ metric: '', role: 'primary', isNew: false, error: null });
  const changed = () => {
    attached.reload();
    reload();
  };
  const attach = async (metric) => {
    try {
      await post(`${path}metrics/`, { metric: Number(metric), role: form.role });
      setForm({ metric: '', role: 'secondary', isNew: false, error: null });
      known.reload();
      changed();
    } catch (error) {
      setForm((last) => ({ ...last, error }));
    }
  };
  return html`
    <${Loaded} of=${attached}>
      ${(data) => {
        const hasPrimary = data.results.some((one) => one.role === 'primary');
        const free = (known.data?.results ?? []).filter((one) => data.results.every((own) => own.metric !== one.id));
        const role = form.role === 'primary' && hasPrimary ? 'secondary' : form.role;
        return html`
          <${Attached} metrics=${data.results} path=${path} changed=${changed} />
          ${!hasPrimary && html`<p class="muted">Begin with the primary metric: the verdict rests on it.</p>`}
          ${form.error && html`<${Failure} error=${form.error} />`}
          <div class="inline">
            <${Choice} id="role" label="Role" value=${role} onInput=${(value) => setForm({ ...form, role: value })}
              options=${Object.entries(ROLE).map(([key, { name }]) => [key, name, key === 'primary' && hasPrimary])} />
            <${Choice} id="metric" label="Metric" value=${form.metric} onInput=${(metric) => setForm({ ...form, metric, isNew: metric === 'new' })}
              options=${[['', 'Choose a metric'], ...free.map((one) => [String(one.id), one.name]), ['new', 'Make a new one…']]} />
            <button type="button" disabled=${!form.metric || form.isNew} onClick=${() => attach(form.metric)}>Attach</button>
          </div>
          ${form.isNew && html`<div class="card"><${MetricForm} environment=${environment} isPart saved=${(metric) => attach(metric.id)} /></div>`}
        `;
      }}
    <//>
  `;
};
