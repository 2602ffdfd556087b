import { html, useState } from '../lib/preact.js';
import { post, remove } from '../core/api.js';
import { ago, day } from '../core/format.js';
import { useMay, useMe } from '../core/me.js';
import { useAction } from '../core/use-action.js';
import { useData } from '../core/use-data.js';
import { Copy } from '../components/copy.js';
import { Dialog } from '../components/dialog.js';
import { Choice, Text } from '../components/field.js';
import { Empty, Loaded } from '../components/states.js';

const Sure = ({ title, action, text, act, onClose }) => html`
  <${Dialog} title=${title} action=${action} tone="danger" onSubmit=${act} onClose=${onClose}><p>${text}</p><//>
`;

const NewKey = ({ path, onClose, onDone }) => {
  const [form, setForm] = useState({ name: '', scopes: 'read,write' });
  const submit = async () => onDone(await post(path, { name: form.name.trim(), scopes: form.scopes.split(',') }));
  return html`
    <${Dialog} title="New API key" action="Make" onClose=${onClose} onSubmit=${submit} disabled=${!form.name.trim()}>
      <${Text} id="key-name" label="Name" value=${form.name} onInput=${(name) => setForm({ ...form, name })} hint="What or whom it is for." />
      <${Choice} id="scopes" label="May" value=${form.scopes} onInput=${(scopes) => setForm({ ...form, scopes })}
        options=${[['read', 'read'], ['read,write', 'read and change'], ['read,write,admin', 'read, change and manage access']]} />
    <//>
  `;
};

const Keys = ({ path }) => {
  const [revoked, setRevoked] = useState(null);
  const keys = useData(`${path}?page_size=100`);
  const [isOpen, setOpen] = useState(false);
  const [made, setMade] = useState(null);
  const done = (key) => {
    setMade(key);
    keys.reload();
  };
  return html`
    <section class="card stack" aria-labelledby="keys">
      <div class="row spread"><h2 id="keys">API keys</h2><button type="button" onClick=${() => setOpen(true)}>New key…</button></div>
      ${made && html`<p role="status">The key of “${made.name}”, shown only now: <code class="break">${made.key}</code> <${Copy} text=${made.key}>Copy<//></p>`}
      <${Loaded} of=${keys}>
        ${(data) => html`
          <ul class="timeline">
            ${data.results.map(
              (one) => html`
                <li key=${one.id} class="row spread">
                  <span><b>${one.name}</b> <span class="muted small">${one.scopes.join(', ')} · by ${one.created_by} · ${one.last_used_at ? `used ${ago(one.last_used_at)}` : 'never used'}</span></span>
                  <button type="button" class="plain" onClick=${() => setRevoked(one)}>Revoke…<span class="hidden"> ${one.name}</span></button>
                </li>
              `,
            )}
            ${data.results.length === 0 && html`<li class="muted">None but those of the project and of the instance.</li>`}
          </ul>
        `}
      <//>
      ${revoked && html`<${Sure} title="Revoke the key “${revoked.name}”?" action="Revoke" text="Whoever uses it is refused from now on."
        onClose=${() => setRevoked(null)} act=${() => remove(`${path}${revoked.id}/`).then(() => keys.reload())} />`}
      ${isOpen && html`<${NewKey} path=${path} onClose=${() => setOpen(false)} onDone=${done} />`}
    </section>
  `;
};

const Admins = ({ path }) => {
  const [removed, setRemoved] = useState(null);
  const [run, failure] = useAction();
  const admins = useData(`${path}?page_size=100`);
  const [form, setForm] = useState({ subject: '', role: 'viewer' });
  const add = (event) => {
    event.preventDefault();
    run(async () => {
      await post(path, { subject: form.subject.trim(), role: form.role });
      setForm({ ...form, subject: '' });
      admins.reload();
    });
  };
  return html`
    <section class="card stack" aria-labelledby="people">
      <h2 id="people">People</h2>
      <${Loaded} of=${admins}>
        ${(data) => html`
          <ul class="timeline">
            ${data.results.map(
              (one) => html`
                <li key=${one.id} class="row spread"><span><b>${one.subject}</b> <span class="muted small">${one.role} · since ${day(one.created_at)}</span></span>
                  <button type="button" class="plain" onClick=${() => setRemoved(one)}>Remove…<span class="hidden"> ${one.subject}</span></button></li>
              `,
            )}
          </ul>
        `}
      <//>
      ${failure}
      ${removed && html`<${Sure} title="Remove “${removed.subject}”?" action="Remove" text="They have no access to this environment any more, unless the project or the instance gives it."
        onClose=${() => setRemoved(null)} act=${() => remove(`${path}${removed.id}/`).then(() => admins.reload())} />`}
      <form class="inline" onSubmit=${add}>
        <${Text} id="subject" label="Subject of their token" value=${form.subject} onInput=${(subject) => setForm({ ...form, subject })} />
        <${Choice} id="role" label="Role" value=${form.role} onInput=${(role) => setForm({ ...form, role })} options=${['viewer', 'editor', 'admin'].map((one) => [one, one])} />
        <button type="submit" disabled=${!form.subject.trim()}>Add</button>
      </form>
    </section>
  `;
};

/** The keys of the environment, and who may do what in it. */
export const Settings = () => {
  const { environment } = useMe();
  const isAdmin = useMay('admin');
  const path = `environments/${environment.key}/`;
  return html`
    <div class="page-head"><h1>Settings</h1></div>
    <div class="stack-wide">
      <section class="card stack" aria-labelledby="public">
        <h2 id="public">Key of the environment</h2>
        <p>Public: applications evaluate flags and send events with it.</p>
        <p class="row"><code class="break">${environment.key}</code><${Copy} text=${environment.key}>Copy<//></p>
      </section>
      ${isAdmin
        ? html`<div class="columns"><${Keys} path="${path}api-keys/" /><${Admins} path="${path}admins/" /></div>`
        : html`<div class="card"><${Empty} title="Only admins manage access"><p>Ask an admin of the project.</p><//></div>`}
    </div>
  `;
};
