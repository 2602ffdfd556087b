import { html } from '../lib/preact.js';
import { count, effect, interval } from '../core/format.js';
import { useData } from '../core/use-data.js';
import { EffectPlot } from './effect-plot.js';
import { effectScale } from './scale.js';

const asTreatment = (one) => ({ ...one, frequentist: { ci: one.ci }, bayesian: null, verdict: 'inconclusive', reason: null });

/** The effect by the traits that the experiment is broken down by. */
export const Breakdowns = ({ metric, path }) => {
  const { data } = useData(`${path}results/breakdowns/?metric=${metric.metric}`);
  const found = data?.breakdowns.filter((one) => one.levels.length > 0) ?? [];
  if (found.length === 0) return null;
  return html`
    <section>
      <h3>By the traits of the first exposure</h3>
      <p class="small muted">Small groups differ by chance: each interval is wider than that of all, and none of them decides.</p>
      ${found.map(({ trait, levels, rest, not_set: notSet }) => {
        const shown = [...levels, ...(rest ? [{ ...rest, level: 'the rest' }] : []), ...(notSet ? [{ ...notSet, level: 'not set' }] : [])];
        const scale = effectScale(shown.flatMap((level) => level.treatments.map(asTreatment)));
        return html`
          <div class="scroll" key=${trait} tabindex="0" role="group" aria-label="By ${trait}">
            <table>
              <caption class="hidden">Effect on ${metric.name} by ${trait}</caption>
              <thead>
                <tr>
                  <th scope="col">${trait}</th>
                  <th scope="col">Variant</th>
                  <th scope="col" class="number">Identities</th>
                  <th scope="col"><span class="hidden">Plot</span></th>
                  <th scope="col" class="number">Effect</th>
                </tr>
              </thead>
              <tbody>
                ${shown.flatMap((level) =>
                  level.treatments.map(
                    (one, n) => html`
                      <tr key=${`${level.level} ${one.key}`}>
                        <th scope="row">${n === 0 ? level.level : ''}</th>
                        <td>${one.key}</td>
                        <td class="number">${count(level.arms.reduce((sum, arm) => sum + arm.n, 0))}</td>
                        <td class="plot-cell"><${EffectPlot} metric=${{ ...metric, margin: null }} treatment=${asTreatment(one)} scale=${scale} /></td>
                        <td class="number">${effect(one.effect)} <span class="small muted">${interval(one.sequential?.ci ?? one.ci)}</span></td>
                      </tr>
                    `,
                  ),
                )}
              </tbody>
            </table>
          </div>
        `;
      })}
    </section>
  `;
};
