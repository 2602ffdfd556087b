import { html, useState } from '../lib/preact.js';
import { patch, post, remove } from '../core/api.js';
import { ago, count, day, daysBetween, plural } from '../core/format.js';
import { useMay, useMe } from '../core/me.js';
import { go, to } from '../core/router.js';
import { useAction } from '../core/use-action.js';
import { CONCLUSION } from '../core/words.js';
import { StatusBadge } from './badge.js';
import { CompleteDialog } from './complete-dialog.js';
import { Dialog } from './dialog.js';
import { RolloutDialog } from './rollout-dialog.js';
import { StartDialog } from './start-dialog.js';
import { Notice } from './states.js';

const ACTIONS = {
  created: [['start', 'Start…', 'primary'], ['edit', 'Edit'], ['duplicate', 'Duplicate…'], ['delete', 'Delete…']],
  running: [['complete', 'Complete…', 'primary'], ['pause', 'Pause…'], ['rollout', 'Rollout…'], ['duplicate', 'Duplicate…'], ['reset', 'Reset…']],
  paused: [['resume', 'Resume…', 'primary'], ['complete', 'Complete…'], ['duplicate', 'Duplicate…'], ['reset', 'Reset…']],
  completed: [['duplicate', 'Duplicate…', 'primary'], ['archive', 'Archive']],
};

const RESET = 'It becomes a draft again. What was counted is kept as a former run, and the flag is put back as it was before the start.';
const DELETE = 'The draft goes; its flag stays.';
const PAUSE =
  'Nobody is enrolled and every identity gets the feature’s own value until it is resumed. Whoever is exposed meanwhile is not counted.';

const among = (experiment) =>
  [
    experiment.variants.map((one) => `${one.key} ${one.weight} %`).join(', '),
    `rollout ${experiment.rollout_percentage} %`,
    experiment.holdout && `holdout “${experiment.holdout.name}”`,
  ]
    .filter(Boolean)
    .join(' · ');

const when = (experiment) => {
  const ran = daysBetween(experiment.started_at, experiment.ended_at);
  const planned = experiment.parameters?.recommended_running_time ?? null;
  return [
    experiment.started_at ? `started ${ago(experiment.started_at)}` : `created ${ago(experiment.created_at)}`,
    experiment.ended_at ? `ended ${day(experiment.ended_at)} after ${plural(ran, 'day')}`
    : planned !== null && ran !== null ? `day ${count(ran)} of ${count(Math.ceil(planned))} planned`
    : null,
    `by ${experiment.created_by}`,
  ]
    .filter(Boolean)
    .join(' · ');
};

/** @param {{ experiment: import('#api').ExperimentView, path: string, changed: (fresh?: any) => void }} props */
export const ExperimentHeader = ({ experiment, path, changed }) => {
  const { environment } = useMe();
  const mayEdit = useMay('editor');
  const [open, setOpen] = useState(/** @type {string | null} */ (null));
  const close = () => setOpen(null);
  const act = (action) => async () => changed(await post(`${path}${action}/`));
  const [run, failure] = useAction();
  const archive = () => run(async () => changed(await patch(path, { archived: !experiment.archived })));
  const drop = async () => {
    await remove(path);
    go(to([environment.key, 'experiments']));
  };
  const duplicate = async () => {
    const made = await post(`${path}duplicate/`, {});
    go(to([environment.key, 'experiments', made.id, 'setup']));
  };
  return html`
    <div class="page-head">
      <div>
        <h1>${experiment.name} <${StatusBadge} status=${experiment.status} /></h1>
        <p class="muted">on flag <code>${experiment.feature.name}</code>${` · ${among(experiment)}`}</p>
        <p class="muted">${when(experiment)}</p>
        <p>${experiment.hypothesis}</p>
        ${experiment.conclusion &&
        html`<p><b>${CONCLUSION[experiment.conclusion]}</b>${experiment.shipped_variant ? html`, “${experiment.shipped_variant}” was shipped` : ''}${experiment.conclusion_comment ? `: ${experiment.conclusion_comment}` : ''}</p>`}
      </div>
      ${mayEdit &&
      html`
        <div class="row">
          ${ACTIONS[experiment.status].map(([key, text, tone]) =>
            key === 'archive' ? html`<button key=${key} type="button" onClick=${archive}>${experiment.archived ? 'Take out of the archive' : text}</button>`
            : key === 'edit'
              ? html`<a key=${key} class="button" href=${to([environment.key, 'experiments', experiment.id, 'edit'])}>${text}</a>`
              : html`<button key=${key} type="button" class=${tone ?? ''} onClick=${() => setOpen(key)}>${text}</button>`,
          )}
        </div>
      `}
    </div>
    ${failure}
    ${experiment.status === 'running' && !experiment.feature.enabled &&
    html`<${Notice} tone="warn" icon="!">The flag is switched off, so nobody takes part at the moment.<//>`}
    ${(open === 'start' || open === 'resume') &&
    html`<${StartDialog} experiment=${experiment} path=${path} onClose=${close} onDone=${changed} />`}
    ${open === 'pause' &&
    html`<${Dialog} title="Pause “${experiment.name}”?" action="Pause" onSubmit=${act('pause')} onClose=${close}><p>${PAUSE}</p><//>`}
    ${open === 'reset' &&
    html`<${Dialog} title="Reset “${experiment.name}”?" action="Reset" tone="danger" onSubmit=${act('reset')} onClose=${close}><p>${RESET}</p><//>`}
    ${open === 'delete' &&
    html`<${Dialog} title="Delete “${experiment.name}”?" action="Delete" tone="danger" onSubmit=${drop} onClose=${close}><p>${DELETE}</p><//>`}
    ${open === 'complete' && html`<${CompleteDialog} experiment=${experiment} path=${path} onClose=${close} onDone=${changed} />`}
    ${open === 'rollout' && html`<${RolloutDialog} experiment=${experiment} path=${path} onClose=${close} onDone=${changed} />`}
    ${open === 'duplicate' &&
    html`
      <${Dialog} title="Duplicate “${experiment.name}”?" action="Duplicate" onSubmit=${duplicate} onClose=${close}>
        <p>A draft is made with the same variants, metrics and settings. Only one experiment at a time can be open on a flag, so this one
          has to be completed first.</p>
      <//>
    `}
  `;
};
