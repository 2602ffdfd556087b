import { html, useState } from '../../lib/preact.js';
import { post } from '../../core/api.js';
import { percent, plural } from '../../core/format.js';
import { useMe } from '../../core/me.js';
import { go, to } from '../../core/router.js';
import { Copy } from '../copy.js';
import { Field } from '../field.js';
import { snippet } from '../how-to-expose.js';
import { Checklist, StartDialog } from '../start-dialog.js';
import { Failure } from '../states.js';

const Plan = ({ experiment, path, reload }) => {
  const [effect, setEffect] = useState(experiment.parameters?.minimum_detectable_effect ?? 0.1);
  const [state, setState] = useState({ isBusy: false, error: null });
  const plan = experiment.parameters;
  const calculate = async () => {
    setState({ isBusy: true, error: null });
    try {
      reload(await post(`${path}plan/`, { minimum_detectable_effect: effect }));
      setState({ isBusy: false, error: null });
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };
  return html`
    <section class="card stack" aria-labelledby="plan">
      <h2 id="plan">How many identities does it take?</h2>
      <${Field} id="effect" label="The smallest effect worth finding: ${percent(effect, 0)}">
        <input id="effect" type="range" min="0.01" max="0.5" step="0.01" value=${effect} onInput=${(event) => setEffect(Number(event.target.value))} />
      <//>
      <button type="button" disabled=${state.isBusy} onClick=${calculate}>${state.isBusy ? 'Calculating…' : 'Calculate'}</button>
      ${state.error && html`<${Failure} error=${state.error} />`}
      ${plan?.recommended_sample_size &&
      html`<p role="status"><b>${plural(plan.recommended_sample_size, 'identity', 'identities')}</b>${plan.recommended_running_time
          ? html`, about <b>${plural(Math.ceil(plan.recommended_running_time), 'day')}</b> at the pace of the last two weeks`
          : ''}, to find ${percent(plan.minimum_detectable_effect ?? effect, 0)}.</p>`}
      ${plan?.baseline && html`<p class="small muted">From what ${plural(plan.baseline.identities, 'identity', 'identities')} did.</p>`}
    </section>
  `;
};

/** The last look before the start. */
export const Review = ({ experiment, path, reload }) => {
  const { environment } = useMe();
  const [isOpen, setOpen] = useState(false);
  if (!experiment) return null;
  const code = snippet(environment.key, experiment.feature.name);
  return html`
    <section class="card stack" aria-labelledby="checks"><h2 id="checks">Before the start</h2><${Checklist} experiment=${experiment} /></section>
    <${Plan} experiment=${experiment} path=${path} reload=${reload} />
    <section class="card stack" aria-labelledby="code">
      <div class="row spread"><h2 id="code">In the application</h2><${Copy} text=${code}>Copy<//></div>
      <pre tabindex="0">${code}</pre>
    </section>
    <button type="button" class="primary" onClick=${() => setOpen(true)}>Start the experiment…</button>
    ${isOpen &&
    html`<${StartDialog} experiment=${experiment} path=${path} onClose=${() => setOpen(false)}
      onDone=${() => go(to([environment.key, 'experiments', experiment.id]))} />`}
  `;
};
