import { html, useState } from '../lib/preact.js';
import { patch, post } from '../core/api.js';
import { useMay, useMe } from '../core/me.js';
import { to } from '../core/router.js';
import { Badge, StatusBadge } from '../components/badge.js';
import { Dialog } from '../components/dialog.js';
import { Text } from '../components/field.js';
import { ListPage } from '../components/list-page.js';
import { Empty } from '../components/states.js';
import { valueOf } from '../core/draft.js';

const NewFlag = ({ path, onClose, onDone }) => {
  const [form, setForm] = useState({ name: '', value: 'control', options: 'treatment' });
  const submit = async () => {
    await post(path, {
      name: form.name.trim(),
      initial_value: valueOf(form.value),
      multivariate_options: form.options.split(',').map((one) => one.trim()).filter(Boolean).map((key) => ({ key, value: valueOf(key) })),
    });
    onDone();
  };
  return html`
    <${Dialog} title="New flag" action="Make" onClose=${onClose} onSubmit=${submit} disabled=${!form.name.trim()}>
      <${Text} id="flag-name" label="Name" value=${form.name} onInput=${(name) => setForm({ ...form, name })} />
      <${Text} id="flag-value" label="Serves" value=${form.value} onInput=${(value) => setForm({ ...form, value })} hint="What everybody gets: the variant control." />
      <${Text} id="flag-options" label="Other variants" value=${form.options} onInput=${(options) => setForm({ ...form, options })} hint="Separated by commas; each serves its name." />
    <//>
  `;
};

const Switch = ({ feature, path, done, mayEdit }) => {
  const [error, setError] = useState(null);
  const toggle = () => patch(`${path}${feature.id}/`, { enabled: !feature.enabled }).then(done, setError);
  return html`
    <label class="choice"><input type="checkbox" checked=${feature.enabled} disabled=${!mayEdit} onChange=${toggle} /><span><span class="hidden">${feature.name} is </span>${feature.enabled ? 'On' : 'Off'}</span></label>
    ${error && html`<p class="wrong" role="alert">${error.message}</p>`}
  `;
};

/** The flags of the environment, and the experiments on them. */
export const Flags = () => {
  const { environment } = useMe();
  const mayEdit = useMay('editor');
  const [open, setOpen] = useState(/** @type {null | (() => void)} */ (null));
  const [turn, setTurn] = useState(0);
  const path = `environments/${environment.key}/features/`;
  const action = mayEdit && html`<button type="button" class="primary" onClick=${() => setOpen(() => () => setTurn((n) => n + 1))}>New flag…</button>`;
  return html`
    <${ListPage}
      key=${turn}
      title="Flags"
      path=${path}
      action=${action}
      head=${['Flag', 'Here', 'Serves', 'Variants', 'Experiments']}
      empty=${html`<${Empty} title="No flag" actions=${action}><p>A flag has a value of its own, and options that an experiment compares.</p><//>`}
      row=${(one, reload) => html`
        <tr key=${one.id}>
          <th scope="row">${one.name}<div class="small muted clip">${one.description}</div></th>
          <td><${Switch} feature=${one} path=${path} done=${reload} mayEdit=${mayEdit} /></td>
          <td><code>${JSON.stringify(one.initial_value)}</code></td>
          <td>${one.multivariate_options.length === 0 ? html`<${Badge} icon="●">on and off<//>` : one.multivariate_options.map((option) => html`<code key=${option.id}>${option.key}</code> `)}</td>
          <td>${one.experiments.map((used) => html`<div class="row" key=${used.id}><a href=${to([environment.key, 'experiments', used.id])}>${used.name}</a><${StatusBadge} status=${used.status} /></div>`)}</td>
        </tr>
      `}
    />
    ${open !== null && html`<${NewFlag} path=${path} onClose=${() => setOpen(null)} onDone=${open} />`}
  `;
};
