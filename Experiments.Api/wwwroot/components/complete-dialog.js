import { html, useEffect, useState } from '../lib/preact.js';
import { post } from '../core/api.js';
import { useData } from '../core/use-data.js';
import { CONCLUSION } from '../core/words.js';
import { Dialog } from './dialog.js';
import { Choice, Text } from './field.js';
import { Notice } from './states.js';

const suggested = (recommendation) =>
  recommendation.action === 'ship' ? ['won', recommendation.variant]
  : recommendation.action === 'keep_control' ? ['lost', 'control']
  : recommendation.action === 'fix_the_experiment' ? ['invalid', '']
  : ['inconclusive', ''];

/**
 * Completes an experiment: how it ended, why, and what everybody gets from now on.
 * @param {{ experiment: import('#api').ExperimentView, path: string, onClose: () => void, onDone: (fresh: any) => void }} props
 */
export const CompleteDialog = ({ experiment, path, onClose, onDone }) => {
  const { data } = useData(`${path}results/`);
  const [form, setForm] = useState({ conclusion: 'inconclusive', ship: '', comment: '' });
  const [isTouched, setTouched] = useState(false);
  const set = (changes) => {
    setTouched(true);
    setForm((last) => ({ ...last, ...changes }));
  };
  useEffect(() => {
    if (data && !isTouched) {
      const [conclusion, ship] = suggested(data.recommendation);
      setForm((last) => ({ ...last, conclusion, ship }));
    }
  }, [data]);
  const [wanted, wantedShip] = data ? suggested(data.recommendation) : [null, null];
  const isAgainst = data && form.ship !== '' && form.ship !== wantedShip;
  const value = experiment.variants.find((one) => one.key === form.ship)?.value;
  const submit = async () =>
    onDone(
      await post(`${path}complete/`, {
        conclusion: form.conclusion,
        ...(form.comment.trim() && { comment: form.comment.trim() }),
        ...(form.ship && { ship: form.ship }),
      }),
    );
  return html`
    <${Dialog} title="Complete “${experiment.name}”" action="Complete" onSubmit=${submit} onClose=${onClose}
      disabled=${isAgainst && !form.comment.trim()}>
      <${Choice} id="conclusion" label="Conclusion" value=${form.conclusion} onInput=${(conclusion) => set({ conclusion })}
        options=${Object.entries(CONCLUSION)} hint=${wanted ? `The results suggest: ${CONCLUSION[wanted].toLowerCase()}.` : null} />
      <${Choice} id="ship" label="From now on, serve to everybody" value=${form.ship} onInput=${(ship) => set({ ship })}
        options=${[['', 'what the flag serves now'], ...experiment.variants.map((one) => [one.key, one.key])]} />
      ${form.ship &&
      html`<p>The flag <code>${experiment.feature.name}</code> will serve <code>${JSON.stringify(value)}</code> to everyone${experiment.holdout ? ', except to the holdout' : ''}.</p>`}
      ${isAgainst &&
      html`<${Notice} tone="warn" icon="!">This is not what the results recommend. Say why below.<//>`}
      <${Text} id="comment" label=${isAgainst ? 'Why' : 'Comment'} lines=${3} value=${form.comment} required=${isAgainst}
        onInput=${(comment) => set({ comment })} />
      <p class="muted small">A completed experiment can't be started again. Late events still count for a day.</p>
    <//>
  `;
};
