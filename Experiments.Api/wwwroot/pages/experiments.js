import { html, useEffect, useRef } from '../lib/preact.js';
import { ago, count, daysBetween } from '../core/format.js';
import { useMay, useMe } from '../core/me.js';
import { setQuery, to, useRoute } from '../core/router.js';
import { useData } from '../core/use-data.js';
import { useSearch } from '../core/use-search.js';
import { StatusBadge, VerdictBadge } from '../components/badge.js';
import { EffectPlot } from '../components/effect-plot.js';
import { effectScale } from '../components/scale.js';
import { Empty, Loaded } from '../components/states.js';
import { Pages, Tabs } from '../components/tabs.js';

const SIZE = 25;
const FILTERS = [
  ['', 'All'],
  ['running', 'Running'],
  ['created', 'Drafts'],
  ['paused', 'Paused'],
  ['completed', 'Completed'],
  ['archived', 'Archived'],
];
const ORDERINGS = [
  ['-created_at', 'Newest first'],
  ['-updated_at', 'Last changed first'],
  ['-started_at', 'Last started first'],
  ['name', 'By name'],
];

const Alarm = ({ summary }) =>
  summary?.is_split_healthy === false
    ? html`<div class="small tone-bad"><span aria-hidden="true">✕</span> not split as meant</div>`
    : summary?.is_guardrail_harmed
      ? html`<div class="small tone-bad"><span aria-hidden="true">▼</span> harms a guardrail</div>`
      : null;

const Row = ({ experiment, summary, environment }) => {
  const primary = experiment.metrics.find((one) => one.role === 'primary');
  const shown = summary?.primary ?? null;
  const days = daysBetween(experiment.started_at, experiment.ended_at);
  const planned = experiment.parameters?.recommended_running_time;
  return html`
    <tr>
      <th scope="row">
        <a href=${to([environment.key, 'experiments', experiment.id])}>${experiment.name}</a>
        <div class="small muted clip">${experiment.hypothesis}</div>
      </th>
      <td><code>${experiment.feature.name}</code><div class="small muted">${experiment.variants.length} variants</div></td>
      <td><${StatusBadge} status=${experiment.status} /><${Alarm} summary=${summary} /></td>
      <td>
        ${primary ? primary.metric_name : html`<span class="muted">none</span>`}
        ${shown && html`<div><${VerdictBadge} treatment=${shown} /></div>`}
      </td>
      <td class="mini">${shown && shown.effect !== null && html`<${EffectPlot} metric=${shown} treatment=${shown} scale=${effectScale([shown])} width=${160} />`}</td>
      <td class="number">${summary ? count(summary.total) : '–'}</td>
      <td class="number">${days === null ? '–' : days}${planned ? html`<span class="muted"> / ${Math.ceil(planned)}</span>` : ''}</td>
      <td class="small muted when">${ago(experiment.updated_at)}</td>
    </tr>
  `;
};

const Nothing = ({ isFiltered, environment, mayEdit }) =>
  isFiltered
    ? html`<${Empty} title="Nothing matches" actions=${html`<a class="button" href=${to([environment.key, 'experiments'])}>Clear the filter</a>`}>
        <p>No experiment has this status and this text.</p><//>`
    : html`
        <${Empty} title="No experiment yet" actions=${mayEdit && html`<a class="button primary" href=${to([environment.key, 'experiments', 'new'])}>New experiment</a>`}>
          <ol class="steps">
            <li>Make a flag with the variants that you want to compare.</li>
            <li>Pick the metric that decides.</li>
            <li>Start, and ask for the flag in your application.</li>
          </ol>
        <//>
      `;

/** The experiments of an environment. */
export const Experiments = () => {
  const { environment } = useMe();
  const mayEdit = useMay('editor');
  const { query } = useRoute();
  const [status, page, ordering] = [query.get('status') ?? '', Number(query.get('page') ?? 1), query.get('ordering') ?? '-created_at'];
  const [text, setText] = useSearch();
  const search = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => {
    const focus = (event) => {
      if (event.key === '/' && !/INPUT|TEXTAREA|SELECT/.test(/** @type {Element} */ (event.target).tagName)) {
        event.preventDefault();
        search.current?.focus();
      }
    };
    addEventListener('keydown', focus);
    return () => removeEventListener('keydown', focus);
  }, []);

  const q = query.get('q') ?? '';
  const wanted = new URLSearchParams({ page: String(page), page_size: String(SIZE), ordering, ...(q && { q }) });
  if (status === 'archived') wanted.set('archived', 'true');
  else if (status) wanted.set('status', status);
  const path = `environments/${environment.key}/experiments/`;
  const list = useData(`${path}?${wanted}`, { every: 20_000 });
  const started = list.data?.results.filter((one) => one.started_at).map((one) => one.id) ?? [];
  const summaries = useData(started.length === 0 ? null : `${path}summaries/?${started.map((id) => `id=${id}`).join('&')}`, { every: 20_000 });
  const counts = list.data?.status_counts;
  const all = counts ? counts.created + counts.running + counts.paused + counts.completed : null;
  return html`
    <div class="page-head">
      <div><h1>Experiments</h1></div>
      ${mayEdit && html`<a class="button primary" href=${to([environment.key, 'experiments', 'new'])}>New experiment</a>`}
    </div>
    <${Tabs}
      label="Status"
      current=${status}
      items=${FILTERS.map(([key, label]) => ({
        key,
        text: label,
        href: to([environment.key, 'experiments'], { status: key, q, ordering: query.get('ordering') }),
        mark: status === 'archived' || !counts || key === 'archived' ? null : html`<span class="muted">${count(key === '' ? all : counts[key])}</span>`,
      }))}
    />
    <div class="inline filter">
      <div class="field">
        <label class="hidden" for="q">Search</label>
        <input id="q" type="search" ref=${search} placeholder="Search by name or flag ( / )" value=${text} onInput=${(event) => setText(event.target.value)} />
      </div>
      <div class="field order">
        <label class="hidden" for="ordering">Order</label>
        <select id="ordering" value=${ordering} onChange=${(event) => setQuery({ ordering: event.target.value, page: null })}>
          ${ORDERINGS.map(([key, label]) => html`<option key=${key} value=${key} selected=${key === ordering}>${label}</option>`)}
        </select>
      </div>
    </div>
    <div class="card flush">
      <${Loaded} of=${list} lines=${8}>
        ${(data) =>
          data.results.length === 0
            ? html`<${Nothing} isFiltered=${Boolean(q || status)} environment=${environment} mayEdit=${mayEdit} />`
            : html`
                <div class="scroll" tabindex="0" role="group" aria-label="Experiments">
                  <table class="lined list">
                    <caption class="hidden">Experiments</caption>
                    <thead>
                      <tr>
                        <th scope="col">Experiment</th><th scope="col">Flag</th><th scope="col">Status</th><th scope="col">Primary metric</th>
                        <th scope="col"><span class="hidden">Effect</span></th><th scope="col" class="number">Identities</th>
                        <th scope="col" class="number">Days</th><th scope="col">Changed</th>
                      </tr>
                    </thead>
                    <tbody>
                      ${data.results.map(
                        (one) => html`<${Row} key=${one.id} experiment=${one} environment=${environment}
                          summary=${summaries.data?.results.find((known) => known.experiment === one.id)} />`,
                      )}
                    </tbody>
                  </table>
                </div>
              `}
      <//>
    </div>
    ${list.data && html`<${Pages} count=${list.data.count} page=${page} size=${SIZE} href=${(n) => to([environment.key, 'experiments'], { status, q, ordering: query.get('ordering'), page: n })} />`}
  `;
};
