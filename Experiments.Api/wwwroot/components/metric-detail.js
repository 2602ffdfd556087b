import { html } from '../lib/preact.js';
import { chance, count, day, effect, interval, mean, percent, pValue, sum } from '../core/format.js';
import { isShare } from '../core/words.js';
import { useMe } from '../core/me.js';
import { to } from '../core/router.js';
import { useData } from '../core/use-data.js';
import { Breakdowns } from './breakdowns.js';
import { LinePlot } from './line-plot.js';
import { effectScale } from './scale.js';
import { Loaded } from './states.js';

const Arms = ({ metric }) => html`
  <div class="scroll" tabindex="0" role="group" aria-label="Sums of ${metric.name}">
    <table>
      <caption class="hidden">The sums of each variant</caption>
      <thead>
        <tr>
          <th scope="col">Variant</th>
          <th scope="col" class="number">Identities</th>
          <th scope="col" class="number">Sum</th>
          <th scope="col" class="number">Mean</th>
          <th scope="col" class="number">Standard error</th>
          <th scope="col" class="number">Chance to be best</th>
        </tr>
      </thead>
      <tbody>
        ${metric.arms.map(
          (arm) => html`
            <tr key=${arm.key}>
              <th scope="row">${arm.key}</th>
              <td class="number">${count(arm.n)}</td>
              <td class="number">${sum(arm.sum)}</td>
              <td class="number">${mean(arm.mean, isShare(metric.aggregation))}</td>
              <td class="number">${mean(arm.standard_error, isShare(metric.aggregation))}</td>
              <td class="number">${chance(arm.chance_to_be_best)}</td>
            </tr>
          `,
        )}
      </tbody>
    </table>
  </div>
`;

/** @type {[string, (one: import('#api').TreatmentResult) => string | null][]} */
const ROWS = [
  ['Effect, relative to control', (one) => effect(one.effect)],
  ['Difference, in units of the metric', (one) => (one.difference === null ? '–' : `${mean(one.difference)} ± ${mean(one.standard_error)}`)],
  ['Always-valid 95 % interval', (one) => interval(one.sequential?.ci)],
  ['95 % interval for a single look', (one) => interval(one.frequentist?.ci)],
  ['Always-valid p-value', (one) => pValue(one.sequential?.p_value)],
  ['… after Holm’s adjustment (decides)', (one) => pValue(one.adjusted_sequential_p_value)],
  ['p-value for a single look', (one) => pValue(one.frequentist?.p_value)],
  ['… after Holm’s adjustment', (one) => pValue(one.adjusted_p_value)],
  ['… after Benjamini and Hochberg', (one) => pValue(one.benjamini_hochberg_p_value)],
  ['Chance to win', (one) => chance(one.bayesian?.chance_to_win)],
  ['Expected loss of keeping control, of shipping', (one) => (one.bayesian?.expected_loss ?? []).map((loss) => percent(loss, 2)).join(', ') || '–'],
  ['Chance to win, by the exact posterior', (one) => (one.exact ? chance(one.exact.chance_to_win) : null)],
  ['Covariate’s weight (CUPED)', (one) => (one.cuped ? one.cuped.theta.toPrecision(3) : null)],
  ['Harmed, p-value against the margin', (one) => (one.guardrail ? pValue(one.guardrail.harmed_p_value) : null)],
  ['Safe, p-value against the margin', (one) => (one.guardrail ? pValue(one.guardrail.safe_p_value) : null)],
];

const Tests = ({ metric }) => {
  const rows = ROWS.filter(([, show]) => metric.treatments.some((one) => show(one) !== null));
  return html`
    <div class="scroll" tabindex="0" role="group" aria-label="Tests of ${metric.name}">
      <table>
        <caption class="hidden">All tests of each variant against control</caption>
        <thead>
          <tr><th scope="col">Against control</th>${metric.treatments.map((one) => html`<th key=${one.key} scope="col" class="number">${one.key}</th>`)}</tr>
        </thead>
        <tbody>
          ${rows.map(
            ([name, show]) => html`
              <tr key=${name}>
                <th scope="row">${name}</th>
                ${metric.treatments.map((one) => html`<td key=${one.key} class="number">${show(one) ?? '–'}</td>`)}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </div>
  `;
};

/** How the effect has developed, with its always-valid band. */
export const EffectOverTime = ({ metric, points }) => {
  const known = points.filter((point) => point.metrics.some((one) => one.metric === metric.metric));
  const keys = metric.treatments.map((one) => one.key);
  const of = (point, key) => point.metrics.find((one) => one.metric === metric.metric)?.treatments.find((one) => one.key === key);
  if (known.length < 2) return html`<p class="muted">The effect over time is here from the second day on.</p>`;
  // Its first days know little: they may be cut off.
  const later = known.slice(Math.floor(known.length / 3)).flatMap((point) => keys.map((key) => of(point, key)).filter(Boolean));
  const { limit, ticks } = effectScale(later.map((one) => ({ frequentist: { ci: one.ci }, sequential: { ci: one.sequential_ci } })));
  const within = (value, otherwise) => (value === null || value === undefined ? otherwise : value);
  const series = keys.map((key, n) => {
    const values = known.map((point) => of(point, key));
    return {
      name: key,
      colour: n + 1,
      values: values.map((one) => one?.effect ?? null),
      low: values.map((one) => (one?.effect === null || !one ? null : within(one.sequential_ci?.[0], -limit))),
      high: values.map((one) => (one?.effect === null || !one ? null : within(one.sequential_ci?.[1], limit))),
    };
  });
  const last = series.map((one) => `${one.name} ${effect(one.values.at(-1))}`).join(', ');
  return html`
    <${LinePlot}
      label="Effect on ${metric.name} from ${day(known[0].day)} to ${day(known.at(-1).day)}: at the end ${last}."
      instants=${known.map((point) => point.day)}
      series=${series}
      scale=${{ limit, ticks, floor: -limit }}
      show=${(value) => (value === 0 ? '0' : effect(value).replace('.0', ''))}
      date=${(one) => day(one).slice(0, -5)}
    />
    <details>
      <summary>The same as a table</summary>
      <table>
        <thead><tr><th scope="col">Day</th>${keys.map((key) => html`<th key=${key} scope="col" class="number">${key}</th>`)}</tr></thead>
        <tbody>
          ${known.map(
            (point) => html`
              <tr key=${point.day}>
                <th scope="row">${day(point.day)}</th>
                ${keys.map((key) => html`<td key=${key} class="number">${effect(of(point, key)?.effect)} <span class="muted">(${interval(of(point, key)?.sequential_ci)})</span></td>`)}
              </tr>
            `,
          )}
        </tbody>
      </table>
    </details>
  `;
};

/**
 * Everything behind the row of a metric.
 * @param {{ metric: import('#api').MetricResult, path: string }} props
 */
export const MetricDetail = ({ metric, path }) => {
  const { environment } = useMe();
  const history = useData(`${path}results/history/`);
  return html`
    <div class="stack-wide">
      <section>
        <h3>Effect over time</h3>
        <${Loaded} of=${history}>${(data) => html`<${EffectOverTime} metric=${metric} points=${data.points} />`}<//>
      </section>
      <div class="columns wide">
        <section><h3>Variants</h3><${Arms} metric=${metric} /></section>
        <section><h3>Tests</h3><${Tests} metric=${metric} /></section>
      </div>
      <${Breakdowns} metric=${metric} path=${path} />
      <p class="small"><a href=${to([environment.key, 'how'])}>How these numbers come about</a></p>
    </div>
  `;
};
