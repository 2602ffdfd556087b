import { html, useEffect, useState } from '../lib/preact.js';
import { patch, post } from '../core/api.js';
import { created, draftOf, emptyDraft, missing, patched } from '../core/draft.js';
import { useMay, useMe } from '../core/me.js';
import { go, to, useRoute } from '../core/router.js';
import { useData } from '../core/use-data.js';
import { Empty, Failure, Loading } from '../components/states.js';
import { What } from '../components/wizard/what.js';
import { Flag } from '../components/wizard/flag.js';
import { Who } from '../components/wizard/who.js';
import { Measures } from '../components/wizard/measures.js';
import { Review } from '../components/wizard/review.js';

/** @type {[string, string, (props: any) => unknown][]} */
const STEPS = [
  ['what', 'What', What],
  ['flag', 'Flag and variants', Flag],
  ['who', 'Who', Who],
  ['metrics', 'Metrics', Measures],
  ['review', 'Review and plan', Review],
];
const KEPT = 'experiments.draft';

/** Makes an experiment, or changes a draft, in five steps. It is kept as a draft once it has a flag. */
export const Wizard = ({ id }) => {
  const { environment } = useMe();
  const mayEdit = useMay('editor');
  const { query } = useRoute();
  const path = id === null ? null : `environments/${environment.key}/experiments/${id}/`;
  const { data: experiment, error: unread, reload } = useData(path);
  const [draft, setDraft] = useState(() => (id === null ? JSON.parse(sessionStorage.getItem(KEPT) ?? 'null') ?? emptyDraft() : null));
  const [state, setState] = useState({ isBusy: false, error: null, wrong: {} });
  const step = Math.max(0, STEPS.findIndex(([key]) => key === query.get('step')));

  useEffect(() => {
    if (experiment && draft === null) setDraft(draftOf(experiment));
  }, [experiment]);
  useEffect(() => {
    if (id === null && draft) sessionStorage.setItem(KEPT, JSON.stringify(draft));
  }, [draft]);

  if (!mayEdit) return html`<${Empty} isPage title="Only editors make experiments"><p>Ask an admin of the project to make you one.</p><//>`;
  if (unread) return html`<${Failure} error=${unread} retry=${reload} />`;
  if (draft === null || (id !== null && !experiment)) return html`<${Loading} lines=${6} />`;
  if (experiment && experiment.status !== 'created') {
    return html`<${Empty} isPage title="It has started" actions=${html`<a class="button" href=${to([environment.key, 'experiments', id])}>Open it</a>`}>
      <p>What is compared can no longer be changed.</p><//>`;
  }

  const address = (n, key = id ?? 'new') =>
    key === 'new' ? to([environment.key, 'experiments', 'new'], { step: STEPS[n][0] }) : to([environment.key, 'experiments', key, 'edit'], { step: STEPS[n][0] });

  const save = async () => {
    if (id === null) {
      const made = await post(`environments/${environment.key}/experiments/`, created(draft));
      sessionStorage.removeItem(KEPT);
      return made;
    }
    let saved = await patch(path, patched(draft, experiment.exposure));
    if (draft.rollout !== saved.rollout_percentage) saved = await patch(`${path}rollout/`, { rollout_percentage: Number(draft.rollout) });
    reload(saved);
    return saved;
  };

  // What was changed is kept, wherever one goes from here.
  const leave = (n) => async (event) => {
    if (id === null) return;
    event.preventDefault();
    setState({ isBusy: true, error: null, wrong: {} });
    try {
      await save();
      setState({ isBusy: false, error: null, wrong: {} });
      go(address(n));
    } catch (error) {
      setState({ isBusy: false, error, wrong: {} });
    }
  };

  const next = async (event) => {
    event.preventDefault();
    const wrong = step < 2 ? missing(draft, step) : {};
    if (Object.keys(wrong).length > 0) {
      setState({ isBusy: false, error: null, wrong });
      return;
    }
    setState({ isBusy: true, error: null, wrong: {} });
    try {
      const target = step === 0 && id === null ? null : await save();
      setState({ isBusy: false, error: null, wrong: {} });
      if (step < STEPS.length - 1) go(address(step + 1, target?.id ?? id ?? 'new'));
      else go(to([environment.key, 'experiments', id, 'setup']));
    } catch (error) {
      setState({ isBusy: false, error, wrong: {} });
    }
  };

  const [, , Step] = STEPS[step];
  return html`
    <div class="page-head"><h1>${id === null ? 'New experiment' : experiment.name}</h1></div>
    <div class="wizard">
      <ol aria-label="Steps">
        ${STEPS.map(
          ([key, label], n) => html`
            <li key=${key}>
              ${(id !== null || n <= step) && n !== step
                ? html`<a href=${address(n)} onClick=${leave(n)}>${n + 1}. ${label}</a>`
                : html`<span aria-current=${n === step ? 'step' : null}>${n + 1}. ${label}</span>`}
            </li>
          `,
        )}
      </ol>
      <form class="stack-wide" onSubmit=${next} novalidate>
        ${state.error && html`<${Failure} error=${state.error} />`}
        <${Step}
          draft=${draft}
          set=${(changes) => setDraft((last) => ({ ...last, ...changes }))}
          wrong=${{ ...state.wrong, ...firstOf(state.error?.errors) }}
          experiment=${experiment}
          path=${path}
          reload=${reload}
        />
        <div class="row spread">
          ${step > 0 ? html`<a class="button" href=${address(step - 1)} onClick=${leave(step - 1)}>Back</a>` : html`<span></span>`}
          <button type="submit" class=${step === STEPS.length - 1 ? '' : 'primary'} disabled=${state.isBusy}>
            ${step === STEPS.length - 1 ? 'Save the draft' : step === 1 && id === null ? 'Save and go on' : 'Next'}
          </button>
        </div>
      </form>
    </div>
  `;
};

const firstOf = (errors = {}) =>
  Object.fromEntries(Object.entries(errors).map(([name, list]) => [name.replace(/^feature\./, '').replace(/\[.*$/, ''), list[0]]));
