import { html } from '../lib/preact.js';
import { useMay, useMe } from '../core/me.js';
import { to, useRoute } from '../core/router.js';
import { useData } from '../core/use-data.js';
import { AuditList } from '../components/audit-list.js';
import { Empty, Loaded } from '../components/states.js';
import { Pages } from '../components/tabs.js';

const SIZE = 50;

/** Who changed what in the environment. */
export const Audit = () => {
  const { environment } = useMe();
  const isAdmin = useMay('admin');
  const { query } = useRoute();
  const page = Number(query.get('page') ?? 1);
  const audit = useData(isAdmin ? `environments/${environment.key}/audit/?page=${page}&page_size=${SIZE}` : null);
  return html`
    <div class="page-head"><h1>Audit log</h1></div>
    ${isAdmin
      ? html`
          <div class="card"><${Loaded} of=${audit} lines=${8}>${(data) => html`<${AuditList} entries=${data.results} />`}<//></div>
          ${audit.data && html`<${Pages} count=${audit.data.count} page=${page} size=${SIZE} href=${(n) => to([environment.key, 'audit'], { page: n })} />`}
        `
      : html`<div class="card"><${Empty} title="Only admins read the audit log"><p>Ask an admin of the project.</p><//></div>`}
  `;
};
