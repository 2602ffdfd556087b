import { html } from '../lib/preact.js';
import { useMe } from '../core/me.js';
import { to } from '../core/router.js';
import { useData } from '../core/use-data.js';
import { Loaded } from '../components/states.js';
import { Tabs } from '../components/tabs.js';
import { ExperimentHeader } from '../components/experiment-header.js';
import { Results } from './results.js';
import { Exposures, issuesOf } from './exposures.js';
import { Setup } from './setup.js';
import { History } from './history.js';

/** One experiment: what it is, what may be done with it, and its tabs. */
export const Experiment = ({ id, tab }) => {
  const { environment } = useMe();
  const path = `environments/${environment.key}/experiments/${id}/`;
  const experiment = useData(path, { every: 30_000 });
  const exposures = useData(`${path}exposures/`, { every: 15_000 });
  const issues = exposures.data ? issuesOf(exposures.data) : null;
  const tabs = [
    ['results', 'Results', null],
    ['exposures', 'Exposures and health', issues === null ? null : issues.length === 0 ? '✓' : html`<span class="badge bad">${issues.length}</span>`],
    ['setup', 'Setup', null],
    ['history', 'History', null],
  ];
  return html`
    <p class="crumbs"><a href=${to([environment.key, 'experiments'])}>Experiments</a> /</p>
    <${Loaded} of=${experiment} lines=${6}>
      ${(data) => html`
        <${ExperimentHeader} experiment=${data} path=${path} changed=${experiment.reload} />
        <${Tabs}
          label="Experiment"
          current=${tab}
          items=${tabs.map(([key, text, mark]) => ({ key, text, mark, href: to([environment.key, 'experiments', id, key]) }))}
        />
        ${tab === 'exposures' ? html`<${Exposures} experiment=${data} path=${path} exposures=${exposures} />`
        : tab === 'setup' ? html`<${Setup} experiment=${data} path=${path} changed=${experiment.reload} />`
        : tab === 'history' ? html`<${History} experiment=${data} path=${path} />`
        : html`<${Results} experiment=${data} path=${path} exposures=${exposures} />`}
      `}
    <//>
  `;
};
