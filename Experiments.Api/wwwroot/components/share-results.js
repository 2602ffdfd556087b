import { html } from '../lib/preact.js';
import { chance, effect, interval, mean, pValue } from '../core/format.js';
import { isShare, verdictOf } from '../core/words.js';
import { Copy } from './copy.js';

const COLUMNS = ['Metric', 'Role', 'Variant', 'Control', 'Value', 'Verdict', 'Chance to win', 'Effect', 'Always-valid 95 % interval', 'p-value'];

const rows = (results) =>
  results.metrics.flatMap((metric) =>
    metric.treatments.map((one, n) => [
      metric.name,
      metric.role,
      one.key,
      mean(metric.arms[0].mean, isShare(metric.aggregation)),
      mean(metric.arms[n + 1].mean, isShare(metric.aggregation)),
      verdictOf(one).label,
      chance(one.bayesian?.chance_to_win),
      effect(one.effect),
      interval(one.sequential?.ci),
      pValue(one.adjusted_sequential_p_value),
    ]),
  );

// A spreadsheet takes what begins like this for a formula.
const cell = (text) => `"${(/^[=+\-@\t]/.test(text) ? `'${text}` : text).replace(/"/g, '""')}"`;

export const csv = (results) => [COLUMNS, ...rows(results)].map((row) => row.map(cell).join(',')).join('\r\n');

export const markdown = (experiment, results) =>
  [
    `## ${experiment.name}: ${results.recommendation.action.replaceAll('_', ' ')}${results.recommendation.variant ? ` “${results.recommendation.variant}”` : ''}`,
    '',
    ...results.recommendation.reasons.map((reason) => `- ${reason.text}`),
    '',
    `| ${COLUMNS.join(' | ')} |`,
    `|${COLUMNS.map(() => '---').join('|')}|`,
    ...rows(results).map((row) => `| ${row.map((one) => one.replaceAll('|', '\\|')).join(' | ')} |`),
    '',
    `As of ${results.as_of}, ${results.total} identities.`,
  ].join('\n');

/** The results for elsewhere. */
export const ShareResults = ({ experiment, results }) => html`
  <div class="row">
    <${Copy} text=${() => csv(results)}>Copy as CSV<//>
    <${Copy} text=${() => markdown(experiment, results)}>Copy as Markdown<//>
  </div>
`;
