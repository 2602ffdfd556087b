import { html, useState } from '../lib/preact.js';
import { post } from '../core/api.js';
import { useMe } from '../core/me.js';
import { go, to } from '../core/router.js';
import { Text } from '../components/field.js';
import { Empty, Failure } from '../components/states.js';

/** What is shown before there is anything: admins of the instance make the first project, others are told whom to ask. */
export const NoEnvironment = () => {
  const { me, reload } = useMe();
  const [form, setForm] = useState({ project: '', organisation: '', environment: 'production', error: null });
  if (me.instance_role !== 'admin') {
    return html`<${Empty} isPage title="Nothing to see yet"><p>You have no access to a project. Ask one of its admins to add ${me.name}.</p><//>`;
  }
  const submit = async (event) => {
    event.preventDefault();
    try {
      const project = await post('projects/', { name: form.project.trim(), organisation: form.organisation.trim() });
      const made = await post(`projects/${project.id}/environments/`, { name: form.environment.trim() });
      reload();
      go(to([made.key, 'experiments']));
    } catch (error) {
      setForm((last) => ({ ...last, error }));
    }
  };
  return html`
    <div class="page-head"><h1>The first project</h1></div>
    <form class="card stack narrow" onSubmit=${submit}>
      ${form.error && html`<${Failure} error=${form.error} />`}
      <${Text} id="project" label="Project" value=${form.project} onInput=${(project) => setForm({ ...form, project })} />
      <${Text} id="organisation" label="Organisation" value=${form.organisation} onInput=${(organisation) => setForm({ ...form, organisation })} />
      <${Text} id="environment-name" label="Environment" value=${form.environment} onInput=${(environment) => setForm({ ...form, environment })} />
      <button type="submit" class="primary" disabled=${!form.project.trim() || !form.organisation.trim()}>Make them</button>
    </form>
  `;
};
