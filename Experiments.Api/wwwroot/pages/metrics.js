import { html } from '../lib/preact.js';
import { time } from '../core/format.js';
import { useMay, useMe } from '../core/me.js';
import { to } from '../core/router.js';
import { AGGREGATION } from '../core/words.js';
import { ListPage } from '../components/list-page.js';
import { eventsOf } from '../core/definition.js';
import { Empty } from '../components/states.js';

/** What experiments are measured by. */
export const Metrics = () => {
  const { environment } = useMe();
  const mayEdit = useMay('editor');
  const action = mayEdit && html`<a class="button primary" href=${to([environment.key, 'metrics', 'new'])}>New metric</a>`;
  return html`
    <${ListPage}
      title="Metrics"
      path="environments/${environment.key}/metrics/"
      action=${action}
      head=${['Metric', 'What is measured', 'Events', 'Used by', 'Changed']}
      empty=${html`<${Empty} title="No metric" actions=${action}><p>A metric says which events count and what is taken from them.</p><//>`}
      row=${(one) => html`
        <tr key=${one.id}>
          <th scope="row"><a href=${to([environment.key, 'metrics', one.id])}>${one.name}</a><div class="small muted clip">${one.description}</div></th>
          <td>${AGGREGATION[one.aggregation]}</td>
          <td>${[...new Set(eventsOf(one.definition))].map((event) => html`<code key=${event}>${event}</code> `)}</td>
          <td>${one.experiments.length === 0 ? html`<span class="muted">nothing</span>` : one.experiments.map((used) => used.name).join(', ')}</td>
          <td class="small muted">${time(one.updated_at)}</td>
        </tr>
      `}
    />
  `;
};
