import { html, useEffect, useState } from './lib/preact.js';
import { credential, onCredential } from './core/session.js';
import { Me, readMe } from './core/me.js';
import { go, to, useRoute } from './core/router.js';
import { useData } from './core/use-data.js';
import { Shell } from './components/shell.js';
import { Empty, Failure, Loading } from './components/states.js';
import { SignIn } from './pages/sign-in.js';
import { Experiments } from './pages/experiments.js';
import { Experiment } from './pages/experiment.js';
import { Wizard } from './pages/wizard.js';
import { Metrics } from './pages/metrics.js';
import { MetricEditor } from './pages/metric-editor.js';
import { Flags } from './pages/flags.js';
import { Holdouts } from './pages/holdouts.js';
import { Audit } from './pages/audit.js';
import { Settings } from './pages/settings.js';
import { How } from './pages/how.js';
import { NoEnvironment } from './pages/no-environment.js';

/** @param {string[]} parts */
const page = ([, section = 'experiments', id, tab]) =>
  section === 'experiments'
    ? id === 'new' ? html`<${Wizard} id=${null} />`
    : tab === 'edit' ? html`<${Wizard} id=${Number(id)} />`
    : id ? html`<${Experiment} id=${Number(id)} tab=${tab ?? 'results'} />`
    : html`<${Experiments} />`
  : section === 'metrics' ? (id ? html`<${MetricEditor} id=${id === 'new' ? null : Number(id)} />` : html`<${Metrics} />`)
  : section === 'flags' ? html`<${Flags} />`
  : section === 'holdouts' ? html`<${Holdouts} />`
  : section === 'audit' ? html`<${Audit} />`
  : section === 'how' ? html`<${How} />`
  : section === 'settings' ? html`<${Settings} />`
  : html`<${Empty} isPage title="There is no such page"><p>Choose one on the left.</p><//>`;

const useCredential = () => {
  const [value, setValue] = useState(credential);
  useEffect(() => onCredential(() => setValue(credential())), []);
  return value;
};

const SignedIn = () => {
  const { parts } = useRoute();
  const { data, error, reload } = useData('me/', { read: readMe });
  const environment = data?.environments.find((one) => one.key === parts[0]) ?? null;
  useEffect(() => {
    if (data && !environment && data.environments.length > 0 && (parts.length === 0 || parts[0] === 'sign-in')) {
      go(to([data.environments.find((one) => one.project.name === 'Demo shop')?.key ?? data.environments[0].key, 'experiments']), {
        replace: true,
      });
    }
  }, [data, environment, parts[0]]);
  if (!data) return html`<main class="main">${error ? html`<${Failure} error=${error} retry=${reload} />` : html`<${Loading} />`}</main>`;
  return html`
    <${Me.Provider} value=${{ ...data, environment, reload }}>
      <${Shell} section=${parts[1] ?? 'experiments'}>
        ${environment ? page(parts)
        : data.environments.length === 0 ? html`<${NoEnvironment} />`
        : html`<${Empty} isPage title="There is no such environment"><p>It does not exist, or you have no access to it. Choose another one.</p><//>`}
      <//>
    <//>
  `;
};

export const App = () => {
  const value = useCredential();
  const { parts, query } = useRoute();
  const isComing = parts[0] === 'sign-in' && (location.hash.length > 1 || query.has('code') || query.has('error'));
  return value && !isComing ? html`<${SignedIn} key=${value} />` : html`<${SignIn} />`;
};
