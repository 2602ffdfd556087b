import { html } from '../lib/preact.js';
import { useMay, useMe } from '../core/me.js';
import { go, to } from '../core/router.js';
import { useData } from '../core/use-data.js';
import { MetricForm } from '../components/metric-form.js';
import { StatusBadge } from '../components/badge.js';
import { Empty, Loaded } from '../components/states.js';

const Used = ({ metric, environment }) =>
  metric.experiments.length === 0
    ? null
    : html`
        <section class="card stack" aria-labelledby="used">
          <h2 id="used">Used by</h2>
          <ul class="stack">
            ${metric.experiments.map(
              (one) => html`<li key=${one.id} class="row"><a href=${to([environment.key, 'experiments', one.id])}>${one.name}</a><${StatusBadge} status=${one.status} /></li>`,
            )}
          </ul>
        </section>
      `;

/** A metric, new or known. */
export const MetricEditor = ({ id }) => {
  const { environment } = useMe();
  const mayEdit = useMay('editor');
  const metric = useData(id === null ? null : `environments/${environment.key}/metrics/${id}/`);
  const crumbs = html`<p class="crumbs"><a href=${to([environment.key, 'metrics'])}>Metrics</a> /</p>`;
  const saved = () => go(to([environment.key, 'metrics']));
  if (id === null) {
    return html`${crumbs}<div class="page-head"><h1>New metric</h1></div>
      ${mayEdit ? html`<div class="card narrow"><${MetricForm} environment=${environment} saved=${saved} /></div>`
      : html`<${Empty} title="Only editors make metrics"><p>Ask an admin of the project.</p><//>`}`;
  }
  return html`
    ${crumbs}
    <${Loaded} of=${metric}>
      ${(data) => html`
        <div class="page-head"><h1>${data.name}</h1></div>
        <div class="columns">
          <div class="card">${mayEdit ? html`<${MetricForm} environment=${environment} metric=${data} saved=${saved} />`
            : html`<pre tabindex="0">${JSON.stringify(data.definition, null, 2)}</pre>`}</div>
          <${Used} metric=${data} environment=${environment} />
        </div>
      `}
    <//>
  `;
};
