import { html, useState } from '../lib/preact.js';
import { count, day, equals, percent, time } from '../core/format.js';
import { EXCLUDED } from '../core/words.js';
import { useData } from '../core/use-data.js';
import { useMe } from '../core/me.js';
import { LinePlot } from '../components/line-plot.js';
import { countScale } from '../components/scale.js';
import { Loaded, Notice } from '../components/states.js';
import { HowToExpose } from '../components/how-to-expose.js';
import { eventsOf } from '../core/definition.js';

/**
 * What is wrong with the exposures of an experiment.
 * @param {import('#api').ExposuresView} exposures
 */
export const issuesOf = (exposures) => {
  const excluded = exposures.excluded;
  const share = (excluded.several_variants + excluded.not_its_own_variant) / Math.max(1, exposures.total);
  return [
    exposures.sample_ratio.is_healthy === false && 'Identities did not arrive in the configured proportions.',
    share > 0.02 && `${percent(share)} of identities saw another variant than their own, or several.`,
    excluded.no_identifier > exposures.total * 0.05 && `${count(excluded.no_identifier)} exposures have no identifier.`,
    exposures.counting_held && 'Counting stands still.',
  ].filter(Boolean);
};

const OverTime = ({ exposures, experiment }) => {
  const [isCumulative, setCumulative] = useState(true);
  const keys = exposures.variants.map((one) => one.key);
  const { interval, points } = exposures.series;
  const series = keys.map((key, n) => {
    let sum = 0;
    return {
      name: key,
      colour: n,
      values: points.map((point) => {
        const one = point.identities[key] ?? 0;
        sum += one;
        return isCumulative ? sum : one;
      }),
    };
  });
  const scale = countScale(Math.max(1, ...series.flatMap((one) => one.values)));
  return html`
    <section class="card stack" aria-labelledby="over-time">
      <div class="row spread">
        <h2 id="over-time">Identities over time</h2>
        <label class="choice"><input type="checkbox" checked=${isCumulative} onChange=${(event) => setCumulative(event.target.checked)} />Cumulative</label>
      </div>
      <${LinePlot}
        label="Identities in each variant ${isCumulative ? 'in all' : `per ${interval}`}: at the end ${series.map((one) => `${one.name} ${count(one.values.at(-1))}`).join(', ')}."
        instants=${points.map((point) => point.at)}
        series=${series}
        scale=${scale}
        show=${count}
        marks=${[
          ...(experiment.started_at ? [{ at: experiment.started_at, text: 'start' }] : []),
          ...(experiment.ended_at ? [{ at: experiment.ended_at, text: 'end' }] : []),
        ]}
        date=${(at) => (interval === 'day' ? day(at).slice(0, -5) : time(at))}
      />
      <details>
        <summary>The same as a table</summary>
        <div class="scroll" tabindex="0" role="group" aria-label="Identities over time">
          <table>
            <thead><tr><th scope="col">From</th>${keys.map((key) => html`<th key=${key} scope="col" class="number">${key}</th>`)}</tr></thead>
            <tbody>
              ${points.map(
                (point, at) => html`
                  <tr key=${point.at}>
                    <th scope="row">${interval === 'day' ? day(point.at) : time(point.at)}</th>
                    ${series.map((one) => html`<td key=${one.name} class="number">${count(one.values[at])}</td>`)}
                  </tr>
                `,
              )}
            </tbody>
          </table>
        </div>
      </details>
    </section>
  `;
};

const Split = ({ exposures }) => {
  const { sample_ratio: ratio, variants, total } = exposures;
  const weights = variants.reduce((sum, one) => sum + one.weight, 0);
  return html`
    <section class="card stack" aria-labelledby="split">
      <h2 id="split">Split</h2>
      <p>
        ${ratio.is_healthy === null ? 'There are too few identities to tell whether the split is as meant.'
        : ratio.is_healthy ? html`<b class="tone-good">✓ As meant.</b> What differs is within chance.`
        : html`<b class="tone-bad">✕ Not as meant.</b> This is not chance: some identities of a variant are lost or counted elsewhere, so the
            variants are not comparable. Look for redirects, crashes, bots and caches that concern one variant only.`}
        ${ratio.p_value !== null && html`<span class="muted"> ${`p ${equals(ratio.sequential_p_value)} however often it is looked at, p ${equals(ratio.p_value)} for a single look.`}</span>`}
      </p>
      <div class="scroll" tabindex="0" role="group" aria-label="Split">
      <table>
        <caption class="hidden">Identities of each variant, meant and actual</caption>
        <thead>
          <tr><th scope="col">Variant</th><th scope="col" class="number">Meant</th><th scope="col" class="number">Actual</th>
            <th scope="col" class="number">Identities</th><th scope="col" class="number">Deviation</th></tr>
        </thead>
        <tbody>
          ${variants.map((one) => {
            const meant = (total * one.weight) / weights;
            return html`
              <tr key=${one.key}>
                <th scope="row">${one.key}</th>
                <td class="number">${percent(one.weight / weights)}</td>
                <td class="number">${percent(one.share)}</td>
                <td class="number">${count(one.identities)}</td>
                <td class="number">${one.identities >= meant ? '+' : '−'}${count(Math.round(Math.abs(one.identities - meant)))}</td>
              </tr>
            `;
          })}
        </tbody>
      </table>
      </div>
    </section>
  `;
};

const LeftOut = ({ exposures }) => {
  const reasons = Object.entries(exposures.excluded).filter(([, number]) => number > 0);
  const most = Math.max(1, ...reasons.map(([, number]) => number));
  return html`
    <section class="card stack" aria-labelledby="left-out">
      <h2 id="left-out">Left out</h2>
      ${reasons.length === 0 && html`<p class="muted">Nobody who was exposed is left out.</p>`}
      <ul class="stack">
        ${reasons.map(
          ([reason, number]) => html`
            <li key=${reason}>
              <div class="row spread"><b>${EXCLUDED[reason]?.label ?? reason}</b><span>${count(number)}</span></div>
              <div class="bar"><span style="width: ${(100 * number) / most}%"></span></div>
              <p class="small">${EXCLUDED[reason]?.means} <span class="muted">${EXCLUDED[reason]?.todo}</span></p>
            </li>
          `,
        )}
      </ul>
      ${exposures.held_out > 0 && html`<p>${count(exposures.held_out)} identities are held out: they see what everybody saw before, and show what all experiments together do.</p>`}
    </section>
  `;
};

const MetricEvents = ({ path }) => {
  const { environment } = useMe();
  const metrics = useData(`${path}metrics/?page_size=100`).data?.results;
  const names = useData(`environments/${environment.key}/events/names/?page_size=100`).data?.results;
  if (!metrics || !names || metrics.length === 0) return null;
  return html`
    <section class="card stack" aria-labelledby="events">
      <h2 id="events">Events of the metrics</h2>
      <div class="scroll" tabindex="0" role="group" aria-label="Events of the metrics">
      <table>
        <caption class="hidden">When the events of each metric were last received</caption>
        <thead><tr><th scope="col">Metric</th><th scope="col">Event</th><th scope="col" class="number">Received</th><th scope="col">Last</th></tr></thead>
        <tbody>
          ${metrics.flatMap((metric) =>
            [...new Set(eventsOf(metric.definition))].map((event) => {
              const name = names.find((one) => one.event === event);
              return html`
                <tr key=${`${metric.id} ${event}`}>
                  <th scope="row">${metric.metric_name}</th>
                  <td><code>${event}</code></td>
                  <td class="number">${count(name?.count ?? 0)}</td>
                  <td>${name ? time(name.last_seen) : html`<span class="tone-warn">never</span>`}</td>
                </tr>
              `;
            }),
          )}
        </tbody>
      </table>
      </div>
    </section>
  `;
};

export const Exposures = ({ experiment, path, exposures }) => html`
  <${Loaded} of=${exposures} lines=${8}>
    ${(data) =>
      data.total === 0 && data.held_out === 0 && Object.values(data.excluded).every((one) => one === 0)
        ? html`<${HowToExpose} experiment=${experiment} />`
        : html`
            <div class="stack-wide">
              ${issuesOf(data).map((issue) => html`<${Notice} key=${issue} tone="bad" icon="!">${issue}<//>`)}
              <p class="muted">As of ${time(data.as_of)}${data.events_not_counted > 0 ? `; ${count(data.events_not_counted)} events are still being counted` : ''}.</p>
              ${data.series.points.length > 0 && html`<${OverTime} exposures=${data} experiment=${experiment} />`}
              <div class="columns"><${Split} exposures=${data} /><${LeftOut} exposures=${data} /></div>
              <${MetricEvents} path=${path} />
            </div>
          `}
  <//>
`;
