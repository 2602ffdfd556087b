import { html } from '../lib/preact.js';
import { useData } from '../core/use-data.js';
import { useRoute } from '../core/router.js';
import { Decision } from '../components/decision.js';
import { ResultsCards } from '../components/results-cards.js';
import { ResultsTable } from '../components/results-table.js';
import { EffectLegend } from '../components/effect-plot.js';
import { ShareResults } from '../components/share-results.js';
import { Empty, Loaded, Notice } from '../components/states.js';
import { HowToExpose } from '../components/how-to-expose.js';
import { WarehouseState } from '../components/warehouse-state.js';
import { plural } from '../core/format.js';

const ROLES = ['primary', 'secondary', 'guardrail'];

// While a refresh is on its way, or events are being counted, the results are read again every other second.
const pace = (data) =>
  data.is_final ? null
  : data.events_not_counted > 0 || (data.refresh_requested_at && data.refresh_requested_at > data.as_of) ? 2000
  : 20_000;

const WARNING = {
  rollout_lowered: (one) =>
    `The rollout was lowered: ${one.identities === null ? 'some identities' : plural(one.identities, 'identity', 'identities')} count in a variant that they no longer get.`,
  effect_changed: (one) => `The effect on ${one.variant} has changed over time: the intervals of all looks have nothing in common.`,
  pre_period_difference: (one) => `Control and ${one.variant} differed before anybody was exposed, so they are not comparable.`,
};

/** Which variant won, and whether the numbers can be trusted. */
export const Results = ({ experiment, path, exposures }) => {
  const { query } = useRoute();
  const results = useData(`${path}results/`, { every: pace });
  if (experiment.status === 'created') {
    return html`
      <div class="card">
        <${Empty} title="Results come with the first exposures">
          <p>Once the experiment has started, this page says what to do, and how sure that is.</p>
        <//>
      </div>
    `;
  }
  return html`
    <${Loaded} of=${results} lines=${10}>
      ${(data) => {
        const isWaiting = data.total === 0 && data.held_out === 0 && !data.is_final;
        return html`
          <div class="stack-wide">
            <${Decision} results=${data} />
            ${data.counting_held &&
            html`<${Notice} tone="bad" icon="!">Counting stands still for this environment: ${data.counting_held.reason}. Nothing is lost.<//>`}
            ${data.last_error && html`<${Notice} tone="bad" icon="!">The last computation failed: ${data.last_error}<//>`}
            ${data.warehouse && html`<${WarehouseState} of=${data.warehouse} />`}
            ${data.warnings.map((one) => html`<${Notice} key=${one.code} tone="warn" icon="!">${(WARNING[one.code] ?? (() => one.code))(one)}<//>`)}
            <${ResultsCards} experiment=${experiment} results=${data} path=${path} reload=${results.reload} exposures=${exposures.data} />
            ${isWaiting
              ? experiment.source
                ? html`<div class="card"><${Empty} title="No assignment yet"><p>The table <code>${experiment.source.assignments.table}</code> has no row of this experiment since it was started.</p><//></div>`
                : html`<${HowToExpose} experiment=${experiment} />`
              : html`
                  <div class="row spread"><${EffectLegend} /><${ShareResults} experiment=${experiment} results=${data} /></div>
                  ${ROLES.map((role) => {
                    const metrics = data.metrics.filter((metric) => metric.role === role);
                    return metrics.length > 0
                      ? html`<${ResultsTable} key=${role} role=${role} metrics=${metrics} results=${data} path=${path} opened=${query.getAll('open')} />`
                      : null;
                  })}
                `}
            ${data.metrics.length === 0 &&
            html`<div class="card"><${Empty} title="No metric is attached"><p>Attach one under Setup; events that came before count as well.</p><//></div>`}
          </div>
        `;
      }}
    <//>
  `;
};
