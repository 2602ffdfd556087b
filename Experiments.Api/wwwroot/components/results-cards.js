import { html, useEffect, useState } from '../lib/preact.js';
import { post } from '../core/api.js';
import { ago, count, daysBetween, equals, percent } from '../core/format.js';
import { useMay } from '../core/me.js';

const Card = ({ title, children }) => html`<div class="card"><p class="muted small">${title}</p>${children}</div>`;

// A refresh may be asked for once in a while; until then the button says how long.
const Refresh = ({ path, reload }) => {
  const [state, setState] = useState({ wait: 0, error: null });
  useEffect(() => {
    if (state.wait <= 0) return undefined;
    const timer = setTimeout(() => setState((last) => ({ ...last, wait: last.wait - 1 })), 1000);
    return () => clearTimeout(timer);
  }, [state.wait]);
  const ask = async () => {
    try {
      await post(`${path}results/refresh/`);
      setState({ wait: 60, error: null });
    } catch (error) {
      setState({ wait: error.retryAfter ?? 0, error: error.retryAfter ? null : error });
    }
    reload();
  };
  return html`
    <button type="button" disabled=${state.wait > 0} onClick=${ask}>${state.wait > 0 ? `Again in ${state.wait} s` : 'Refresh'}</button>
    ${state.error && html`<p class="wrong" role="alert">${state.error.message}</p>`}
  `;
};

/**
 * How many, whether they are split as meant, who is left out, and how fresh that is.
 * @param {{ experiment: import('#api').ExperimentView, results: import('#api').ResultsView, path: string, reload: () => void }} props
 */
export const ResultsCards = ({ experiment, results, path, reload }) => {
  const mayEdit = useMay('editor');
  const ratio = results.sample_ratio;
  const excluded = Object.values(results.excluded).reduce((sum, one) => sum + one, 0);
  const days = daysBetween(experiment.started_at, experiment.ended_at);
  const progress = results.progress;
  return html`
    <div class="cards">
      <${Card} title="Identities">
        <p class="big">${count(results.total)}</p>
        ${progress
          ? html`
              <div class="bar" role="img" aria-label="${percent(progress.share, 0)} of the plan"><span style="width: ${Math.min(100, progress.share * 100)}%"></span></div>
              <p class="small muted">${percent(progress.share, 0)} of the ${count(progress.needed)} planned</p>
            `
          : html`<p class="small muted">${days > 0 ? `about ${count(Math.round(results.total / days))} a day` : 'in all variants'}</p>`}
      <//>
      <${Card} title="Split as meant?">
        <p class="big">
          ${ratio.is_healthy === null ? 'Not known yet'
          : ratio.is_healthy ? html`<span class="tone-good" aria-hidden="true">✓</span> Yes`
          : html`<span class="tone-bad" aria-hidden="true">✕</span> No`}
        </p>
        <p class="small muted">
          ${results.variants.map((one) => `${one.key} ${count(one.identities)}`).join(', ')}${ratio.sequential_p_value === null
            ? ''
            : `; p ${equals(ratio.sequential_p_value)}`}
        </p>
      <//>
      <${Card} title="Left out">
        <p class="big">${count(excluded)}</p>
        <p class="small muted">${results.held_out > 0 ? `and ${count(results.held_out)} held out` : excluded > 0 ? 'see Exposures and health' : 'nobody'}</p>
      <//>
      <${Card} title="As of">
        <p class="big">${results.is_final ? 'Final' : ago(results.as_of)}</p>
        ${results.events_not_counted > 0
          ? html`<p class="small tone-warn">${count(results.events_not_counted)} events are still being counted</p>`
          : !results.is_final && mayEdit && html`<${Refresh} path=${path} reload=${reload} />`}
      <//>
    </div>
  `;
};
