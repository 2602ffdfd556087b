import { html } from '../../lib/preact.js';
import { useMe } from '../../core/me.js';
import { useData } from '../../core/use-data.js';
import { Choice, Field } from '../field.js';

const round = (number) => Math.round(number * 10) / 10;

/** Who takes part. */
export const Who = ({ draft, set }) => {
  const { environment } = useMe();
  const holdouts = (useData(`environments/${environment.key}/holdouts/?page_size=100`).data?.results ?? []).filter((one) => !one.retired_at && !one.unit);
  const names = useData(`environments/${environment.key}/events/names/?page_size=100`).data?.results ?? [];
  const holdout = holdouts.find((one) => String(one.id) === draft.holdout);
  const share = (draft.rollout / 100) * (1 - (holdout?.percentage ?? 0) / 100);
  return html`
    <${Field} id="rollout" label="Rollout: ${draft.rollout} %">
      <input id="rollout" type="range" min="0" max="100" value=${draft.rollout} onInput=${(event) => set({ rollout: Number(event.target.value) })} />
    <//>
    <${Choice} id="holdout" label="Holdout" value=${draft.holdout} onInput=${(value) => set({ holdout: value })}
      options=${[['', 'none'], ...holdouts.map((one) => [String(one.id), `${one.name} (${one.percentage} %)`])]}
      hint="Identities that are kept out of experiments, to show what all of them together do." />
    <p class="card" role="status">
      ${round(share * 100)} % of identities take part:
      ${draft.variants.map((one) => ` ${one.key} ${round(share * one.weight)} %`).join(',')}${holdout ? `; ${holdout.percentage} % are held out` : ''}.
    </p>
    <${Choice} id="event" label="Counts as an exposure" value=${draft.event} onInput=${(event) => set({ event })}
      options=${[
        ['', 'The exposure that the SDK sends'],
        ...(draft.event && names.every((one) => one.event !== draft.event) ? [[draft.event, draft.event]] : []),
        ...names.filter((one) => !one.event.startsWith('$')).map((one) => [one.event, one.event]),
      ]}
      hint="With another event, whoever sends it has seen its assigned variant." />
    <label class="choice">
      <input type="checkbox" checked=${draft.isFirstSeen} onChange=${(event) => set({ isFirstSeen: event.target.checked })} />
      <span>Count those who saw several variants in the first one. <span class="muted">Otherwise they are left out.</span></span>
    </label>
  `;
};
