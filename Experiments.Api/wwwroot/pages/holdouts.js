import { html, useState } from '../lib/preact.js';
import { post } from '../core/api.js';
import { day } from '../core/format.js';
import { useMay, useMe } from '../core/me.js';
import { Badge } from '../components/badge.js';
import { Dialog } from '../components/dialog.js';
import { Text } from '../components/field.js';
import { ListPage } from '../components/list-page.js';
import { Empty } from '../components/states.js';

const NewHoldout = ({ path, onClose, onDone }) => {
  const [form, setForm] = useState({ name: '', percentage: 5 });
  const submit = async () => {
    await post(path, { name: form.name.trim(), percentage: Number(form.percentage) });
    onDone();
  };
  return html`
    <${Dialog} title="New holdout" action="Make" onClose=${onClose} onSubmit=${submit} disabled=${!form.name.trim()}>
      <${Text} id="holdout-name" label="Name" value=${form.name} onInput=${(name) => setForm({ ...form, name })} />
      <${Text} id="holdout-share" label="Share in %" type="number" min="0" max="100" step="0.1" value=${form.percentage}
        onInput=${(percentage) => setForm({ ...form, percentage })} hint="These identities see nothing of the experiments that name it." />
    <//>
  `;
};

const RetireDialog = ({ holdout, path, onClose, onDone }) => html`
  <${Dialog} title="Retire “${holdout.name}”?" action="Retire" onClose=${onClose} onSubmit=${async () => onDone(await post(`${path}${holdout.id}/retire/`))}>
    <p>Nobody is held out by it any more: they get what everybody gets.</p>
  <//>
`;

/** Identities that are kept out of experiments. */
export const Holdouts = () => {
  const { environment } = useMe();
  const mayEdit = useMay('editor');
  const [open, setOpen] = useState(null);
  const [turn, setTurn] = useState(0);
  const path = `environments/${environment.key}/holdouts/`;
  const action = mayEdit && html`<button type="button" class="primary" onClick=${() => setOpen('new')}>New holdout…</button>`;
  const done = () => setTurn((n) => n + 1);
  return html`
    <${ListPage}
      key=${turn}
      title="Holdouts"
      path=${path}
      action=${action}
      head=${['Holdout', 'Share', 'State', 'Experiments', 'Made', '']}
      empty=${html`<${Empty} title="No holdout" actions=${action}><p>A holdout shows what all experiments together have done.</p><//>`}
      row=${(one) => html`
        <tr key=${one.id}>
          <th scope="row">${one.name}<div class="small muted clip">${one.description}</div></th>
          <td class="number">${one.percentage} %</td>
          <td>${one.retired_at ? html`<${Badge} icon="■">retired<//>` : html`<${Badge} icon="●" tone="good">in force<//>`}</td>
          <td>${one.experiments.map((used) => used.name).join(', ') || html`<span class="muted">none</span>`}</td>
          <td class="small muted">${day(one.created_at)}</td>
          <td>${mayEdit && !one.retired_at && html`<button type="button" class="plain" onClick=${() => setOpen(one)}>Retire…<span class="hidden"> ${one.name}</span></button>`}</td>
        </tr>
      `}
    />
    ${open === 'new' && html`<${NewHoldout} path=${path} onClose=${() => setOpen(null)} onDone=${done} />`}
    ${open && open !== 'new' && html`<${RetireDialog} holdout=${open} path=${path} onClose=${() => setOpen(null)} onDone=${done} />`}
  `;
};
