import { html, useState } from '../lib/preact.js';
import { post, remove } from '../core/api.js';
import { count, percent, plural } from '../core/format.js';
import { useMay, useMe } from '../core/me.js';
import { useAction } from '../core/use-action.js';
import { useData } from '../core/use-data.js';
import { DIRECTION, ROLE } from '../core/words.js';
import { Copy } from '../components/copy.js';
import { Dialog } from '../components/dialog.js';
import { Choice } from '../components/field.js';
import { Loaded } from '../components/states.js';
import { Checklist } from '../components/start-dialog.js';
import { snippet } from '../components/how-to-expose.js';
import { SplitBar } from '../components/split-bar.js';

const AttachDialog = ({ experiment, path, onClose, onDone }) => {
  const { environment } = useMe();
  const known = useData(`environments/${environment.key}/metrics/?page_size=100`).data?.results ?? [];
  const free = known.filter((one) => experiment.metrics.every((own) => own.metric !== one.id));
  const [form, setForm] = useState({ metric: '', role: 'secondary' });
  const attach = async () => {
    await post(`${path}metrics/`, { metric: Number(form.metric), role: form.role });
    onDone();
  };
  return html`
    <${Dialog} title="Attach a metric" action="Attach" onClose=${onClose} onSubmit=${attach} disabled=${!form.metric}>
      <${Choice} id="metric" label="Metric" value=${form.metric} onInput=${(metric) => setForm({ ...form, metric })}
        options=${[['', free.length === 0 ? 'There is no other metric' : 'Choose a metric'], ...free.map((one) => [String(one.id), one.name])]} />
      <${Choice} id="role" label="Role" value=${form.role} onInput=${(role) => setForm({ ...form, role })}
        options=${Object.entries(ROLE).map(([key, { name }]) => [key, name])} />
      <p class="muted small">Events that came before count as well. What is attached after the start is marked so.</p>
    <//>
  `;
};

const MetricsOf = ({ experiment, path, changed }) => {
  const mayEdit = useMay('editor') && experiment.status !== 'completed';
  const metrics = useData(`${path}metrics/?page_size=100`);
  const [isOpen, setOpen] = useState(false);
  const done = () => {
    metrics.reload();
    changed();
  };
  const [run, failure] = useAction();
  const detach = (link) => run(() => remove(`${path}metrics/${link}/`).then(done));
  return html`
    <section class="card stack" aria-labelledby="metrics">
      <div class="row spread"><h2 id="metrics">Metrics</h2>${mayEdit && html`<button type="button" onClick=${() => setOpen(true)}>Attach a metric…</button>`}</div>
      ${failure}
      <${Loaded} of=${metrics}>
        ${(data) => html`
          <div class="scroll" tabindex="0" role="group" aria-label="Metrics">
            <table>
              <caption class="hidden">Metrics of the experiment</caption>
              <thead><tr><th scope="col">Metric</th><th scope="col">Role</th><th scope="col">Expected</th><th><span class="hidden">Action</span></th></tr></thead>
              <tbody>
                ${data.results.map(
                  (one) => html`
                    <tr key=${one.id}>
                      <th scope="row">${one.metric_name}</th>
                      <td>${ROLE[one.role].name}</td>
                      <td>${DIRECTION[one.expected_direction]}${one.role === 'guardrail' ? html` <span class="muted">by more than ${percent(one.margin)}</span>` : ''}</td>
                      <td>${mayEdit && experiment.status === 'created' && html`<button type="button" class="plain" onClick=${() => detach(one.id)}>Detach<span class="hidden"> ${one.metric_name}</span></button>`}</td>
                    </tr>
                  `,
                )}
              </tbody>
            </table>
          </div>
          ${data.results.length === 0 && html`<p class="muted">No metric yet. A primary metric is what the verdict rests on.</p>`}
        `}
      <//>
      ${isOpen && html`<${AttachDialog} experiment=${experiment} path=${path} onClose=${() => setOpen(false)} onDone=${done} />`}
    </section>
  `;
};

const Plan = ({ experiment }) => {
  const plan = experiment.parameters;
  return html`
    <section class="card stack" aria-labelledby="plan">
      <h2 id="plan">Plan</h2>
      ${plan?.recommended_sample_size
        ? html`
            <p>
              To find an effect of ${percent(plan.minimum_detectable_effect ?? 0)} it takes
              <b> ${plural(plan.recommended_sample_size, 'identity', 'identities')}</b>${plan.recommended_running_time
                ? html`, about <b>${plural(Math.ceil(plan.recommended_running_time), 'day')}</b>`
                : ''}.
            </p>
            <p class="muted small">
              ${[plan.baseline && `From what ${count(plan.baseline.identities)} identities did.`, `Power ${percent(plan.power ?? 0.8, 0)}, ${percent(plan.alpha ?? 0.05, 0)} false positives, however often it is looked at.`].filter(Boolean).join(' ')}
            </p>
          `
        : html`<p class="muted">There is no plan. The wizard makes one from recent events.</p>`}
    </section>
  `;
};

/**
 * What an experiment compares, among whom, and how an application takes part.
 * @param {{ experiment: import('#api').ExperimentView, path: string, changed: () => void }} props
 */
export const Setup = ({ experiment, path, changed }) => {
  const { environment } = useMe();
  const code = snippet(environment.key, experiment.feature.name);
  const exposure = experiment.exposure ?? {};
  return html`
    <div class="stack-wide">
      ${experiment.status === 'created' &&
      html`<section class="card stack" aria-labelledby="checks"><h2 id="checks">Before the start</h2><${Checklist} experiment=${experiment} /></section>`}
      <div class="columns">
        <section class="card stack" aria-labelledby="variants">
          <h2 id="variants">Variants</h2>
          <${SplitBar} variants=${experiment.variants} />
          <div class="scroll" tabindex="0" role="group" aria-label="Variants">
          <table>
            <caption class="hidden">Variants with their values and weights</caption>
            <thead><tr><th scope="col">Variant</th><th scope="col">Serves</th><th scope="col" class="number">Weight</th></tr></thead>
            <tbody>
              ${experiment.variants.map(
                (one, n) => html`
                  <tr key=${one.key}>
                    <th scope="row"><span class="dot" style="background: var(--series-${n})"></span>${one.key}</th>
                    <td><code>${JSON.stringify(one.value)}</code></td>
                    <td class="number">${one.weight} %</td>
                  </tr>
                `,
              )}
            </tbody>
          </table>
          </div>
        </section>
        <section class="card stack" aria-labelledby="who">
          <h2 id="who">Who takes part</h2>
          <dl class="facts">
            <dt>Rollout</dt><dd>${experiment.rollout_percentage} % of ${experiment.unit ? html`all values of <code>${experiment.unit.key}</code>` : 'all identities'}</dd>
            <dt>Holdout</dt><dd>${experiment.holdout ? `“${experiment.holdout.name}”, ${experiment.holdout.percentage} %` : 'none'}</dd>
            <dt>Counts as exposed</dt><dd>${experiment.source
              ? html`whoever has a row in <code>${experiment.source.assignments.table}</code>; events are read from <code>${experiment.source.events.table}</code>`
              : html`who sends <code>${exposure.event ?? '$flag_exposure'}</code>`}</dd>
            <dt>Several variants seen</dt><dd>${exposure.multiple_variants === 'first_seen' ? 'counts in the first one' : 'left out'}</dd>
            ${experiment.breakdowns.length > 0 && html`<dt>Broken down by</dt><dd>${experiment.breakdowns.join(', ')}</dd>`}
          </dl>
        </section>
      </div>
      <${MetricsOf} experiment=${experiment} path=${path} changed=${changed} />
      <${Plan} experiment=${experiment} />
      <section class="card stack" aria-labelledby="code">
        <div class="row spread"><h2 id="code">In the application</h2><${Copy} text=${code}>Copy<//></div>
        <pre tabindex="0">${code}</pre>
      </section>
    </div>
  `;
};
