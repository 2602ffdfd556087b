import { html } from '../lib/preact.js';
import { setQuery } from '../core/router.js';
import { chance, count, effect, interval, mean, sum } from '../core/format.js';
import { AGGREGATION, DIRECTION, ROLE, isShare } from '../core/words.js';
import { VerdictBadge } from './badge.js';
import { EffectAxis, EffectPlot } from './effect-plot.js';
import { MetricDetail } from './metric-detail.js';
import { effectScale } from './scale.js';

const Value = ({ arm, metric }) => html`
  ${mean(arm.mean, isShare(metric.aggregation))}
  <div class="small muted">
    ${sum(arm.sum)} / ${sum(arm.denominator_sum ?? arm.n)}
  </div>
`;

const Name = ({ metric, isOpen }) => {
  const toggle = () => {
    const open = new URLSearchParams(location.search).getAll('open').filter((one) => one !== String(metric.metric));
    setQuery({ open: isOpen ? open[0] ?? null : metric.metric }, { replace: true });
  };
  return html`
    <button type="button" class="expand" aria-expanded=${isOpen} onClick=${toggle}>
      <span class="icon" aria-hidden="true">${isOpen ? '▾' : '▸'}</span>${metric.name}
    </button>
    <div class="small muted">${AGGREGATION[metric.aggregation]}</div>
    <div class="small">
      <span class="tag">${DIRECTION[metric.expected_direction]}</span>
      ${metric.added_after_start && html` <span class="tag">added after the start</span>`}
      ${metric.corrected_after_start && html` <span class="tag">corrected after the start</span>`}
    </div>
    ${metric.missing_events &&
    html`<p class="small tone-warn">Never received: ${metric.missing_events.map((one) => html`<code>${one}</code> `)}</p>`}
    ${metric.not_numbers && html`<p class="small tone-warn">${count(metric.not_numbers)} events have no number</p>`}
    ${metric.is_backfilling && html`<p class="small tone-warn">Earlier events are still being counted</p>`}
    ${metric.windows?.waiting > 0 && html`<p class="small muted">${count(metric.windows.waiting)} identities wait for the end of their window</p>`}
  `;
};

// In percent, the same for all roles, so that their columns stand in line.
const WIDTHS = [19, 10, 12, 10, 13, 8, 18, 10];

const Missing = ({ treatment }) =>
  treatment.missing
    ? html`<div class="small muted">${count(treatment.missing.have)} of ${count(treatment.missing.needed)} needed</div>`
    : null;

/**
 * The metrics of one role: a row for each variant, all on one axis.
 * @param {{ role: string, metrics: import('#api').MetricResult[], results: import('#api').ResultsView, path: string, opened: string[] }} props
 */
export const ResultsTable = ({ role, metrics, results, path, opened }) => {
  const treatments = metrics.flatMap((metric) => metric.treatments);
  const scale = effectScale(treatments, metrics.map((metric) => metric.margin).filter((margin) => margin !== undefined));
  const isBroken = results.recommendation.action === 'fix_the_experiment';
  return html`
    <section aria-labelledby="role-${role}">
      <h2 id="role-${role}">${ROLE[role].plural}</h2>
      <div class="card flush scroll" tabindex="0" role="group" aria-label=${ROLE[role].plural}>
        <table class="results-table ${isBroken ? 'dimmed' : ''}">
          <caption class="hidden">${ROLE[role].plural}: each variant compared with control</caption>
          <colgroup>${WIDTHS.map((width, n) => html`<col key=${n} style="width: ${width}%" />`)}</colgroup>
          <thead>
            <tr>
              <th scope="col">Metric</th>
              <th scope="col" class="number">Control</th>
              <th scope="col">Variant</th>
              <th scope="col" class="number">Value</th>
              <th scope="col">Verdict</th>
              <th scope="col" class="number">Chance to win</th>
              <th scope="col" class="plot-cell"><span class="hidden">Effect as a plot</span><${EffectAxis} scale=${scale} /></th>
              <th scope="col" class="number">Effect</th>
            </tr>
          </thead>
          ${metrics.map((metric) => {
            const isOpen = opened.includes(String(metric.metric));
            const [control, ...arms] = metric.arms;
            const rows = Math.max(1, metric.treatments.length);
            return html`
              <tbody key=${metric.metric} id="metric-${metric.metric}">
                ${metric.error
                  ? html`<tr><th scope="row" class="metric"><${Name} metric=${metric} isOpen=${isOpen} /></th><td colspan="7">${metric.error}</td></tr>`
                  : metric.treatments.map(
                      (treatment, n) => html`
                        <tr key=${treatment.key}>
                          ${n === 0 &&
                          html`
                            <th scope="rowgroup" class="metric" rowspan=${rows}><${Name} metric=${metric} isOpen=${isOpen} /></th>
                            <td class="number" data-label="Control" rowspan=${rows}><${Value} arm=${control} metric=${metric} /></td>
                          `}
                          <td data-label="Variant" class="variant"><span class="dot" style="background: var(--series-${n + 1})"></span>${treatment.key}</td>
                          <td class="number" data-label="Value"><${Value} arm=${arms[n]} metric=${metric} /></td>
                          <td data-label="Verdict"><${VerdictBadge} treatment=${treatment} /><${Missing} treatment=${treatment} /></td>
                          <td class="number" data-label="Chance to win">${chance(treatment.bayesian?.chance_to_win)}</td>
                          <td class="plot-cell"><${EffectPlot} metric=${metric} treatment=${treatment} scale=${scale} /></td>
                          <td class="number" data-label="Effect">
                            <b>${effect(treatment.effect)}</b>
                            <div class="small muted wrap">${interval(treatment.sequential?.ci)}</div>
                          </td>
                        </tr>
                      `,
                    )}
                ${isOpen && html`<tr class="detail"><td colspan="8"><${MetricDetail} metric=${metric} path=${path} /></td></tr>`}
              </tbody>
            `;
          })}
        </table>
      </div>
    </section>
  `;
};
