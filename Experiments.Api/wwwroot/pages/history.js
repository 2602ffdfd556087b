import { html } from '../lib/preact.js';
import { day, plural, time } from '../core/format.js';
import { useMay, useMe } from '../core/me.js';
import { useData } from '../core/use-data.js';
import { AuditList } from '../components/audit-list.js';
import { Loaded } from '../components/states.js';

const Former = ({ path }) => {
  const { data } = useData(`${path}former-runs/?page_size=100`);
  return !data || data.results.length === 0
    ? null
    : html`
        <section class="card stack" aria-labelledby="former">
          <h2 id="former">Former runs</h2>
          <ul class="timeline">
            ${data.results.map(
              (run) => html`
                <li key=${run.id}>
                  <b>${day(run.started_at)} to ${day(run.reset_at)}</b>, reset by ${run.reset_by}
                  ${run.results && html`<p class="muted">${plural(run.results.total, 'identity', 'identities')}: ${run.results.recommendation.action.replaceAll('_', ' ')}</p>`}
                </li>
              `,
            )}
          </ul>
        </section>
      `;
};

const capital = (text) => text[0].toUpperCase() + text.slice(1);

/** What was done to an experiment, by whom, and what it was before. */
export const History = ({ experiment, path }) => {
  const { environment } = useMe();
  const isAdmin = useMay('admin');
  const audit = useData(
    isAdmin ? `environments/${environment.key}/audit/?object_type=experiment&object_id=${experiment.id}&page_size=100` : null,
  );
  const days = useData(`${path}results/history/`);
  return html`
    <div class="stack-wide">
      ${days.data?.points.length > 0 &&
      html`
        <section class="card stack" aria-labelledby="by-day">
          <h2 id="by-day">Recommendation by day</h2>
          <ol class="timeline">
            ${[...days.data.points].reverse().map(
              (point) => html`
                <li key=${point.day} class="row spread">
                  <span>${day(point.day)}</span>
                  <b>${capital(point.recommendation.action.replaceAll('_', ' '))}${point.recommendation.variant ? ` “${point.recommendation.variant}”` : ''}</b>
                  <span class="muted">${plural(point.total, 'identity', 'identities')}</span>
                </li>
              `,
            )}
          </ol>
        </section>
      `}
      <section class="card stack" aria-labelledby="changes">
        <h2 id="changes">Changes</h2>
        ${isAdmin
          ? html`<${Loaded} of=${audit}>${(data) => html`<${AuditList} entries=${data.results.filter((one) => one.action !== 'experiment.results_refreshed')} />`}<//>`
          : html`<p class="muted">Created by ${experiment.created_by} at ${time(experiment.created_at)}, last changed at ${time(experiment.updated_at)}. Admins see each change.</p>`}
      </section>
      <${Former} path=${path} />
    </div>
  `;
};
