import { html } from '../../lib/preact.js';
import { evenly, text } from '../../core/draft.js';
import { useMe } from '../../core/me.js';
import { useData } from '../../core/use-data.js';
import { Choice, Text } from '../field.js';
import { SplitBar } from '../split-bar.js';

const busy = (feature) => feature.experiments.find((one) => one.status !== 'completed');

const Existing = ({ draft, set, wrong }) => {
  const { environment } = useMe();
  const features = useData(`environments/${environment.key}/features/?type=multivariate&page_size=100`).data?.results ?? [];
  const choose = (id) => {
    const feature = features.find((one) => String(one.id) === id);
    if (!feature) return set({ feature: null });
    return set({
      feature: feature.id,
      variants: evenly([
        { key: 'control', value: text(feature.initial_value), weight: 0 },
        ...feature.multivariate_options.map((one) => ({ key: one.key, value: text(one.value), weight: 0 })),
      ]),
    });
  };
  return html`
    <${Choice}
      id="feature"
      label="Flag"
      value=${draft.feature === null ? '' : String(draft.feature)}
      onInput=${choose}
      wrong=${wrong.feature}
      options=${[
        ['', 'Choose a flag'],
        ...features.map((one) => [String(one.id), busy(one) ? `${one.name} (in “${busy(one).name}”)` : one.name, Boolean(busy(one))]),
      ]}
    />
  `;
};

const Variant = ({ variant, n, isFixed, change, remove }) => html`
  <fieldset class="inline">
    <legend class="hidden">Variant ${n + 1}</legend>
    <${Text} id="key-${n}" label="Key" value=${variant.key} disabled=${n === 0 || isFixed} onInput=${(key) => change({ key })} />
    <${Text} id="value-${n}" label="Serves" value=${variant.value} disabled=${isFixed} onInput=${(value) => change({ value })} />
    <${Text} id="weight-${n}" label="Weight in %" type="number" min="0" max="100" step="0.01" value=${variant.weight} onInput=${(weight) => change({ weight })} />
    ${n > 1 && !isFixed && html`<button type="button" onClick=${remove}>Remove<span class="hidden"> ${variant.key}</span></button>`}
  </fieldset>
`;

/** Which flag, and what its variants serve. */
export const Flag = ({ draft, set, wrong, experiment }) => {
  const isOld = draft.mode === 'existing';
  const change = (n, changes) => set({ variants: draft.variants.map((one, at) => (at === n ? { ...one, ...changes } : one)) });
  const isFixed = isOld && experiment === null;
  return html`
    ${experiment === null
      ? html`
          <fieldset class="stack">
            <legend>The flag</legend>
            <label class="choice"><input type="radio" name="mode" checked=${!isOld} onChange=${() => set({ mode: 'new' })} />Make a new one</label>
            <label class="choice"><input type="radio" name="mode" checked=${isOld} onChange=${() => set({ mode: 'existing' })} />Take one that is there</label>
          </fieldset>
          ${isOld
            ? html`<${Existing} draft=${draft} set=${set} wrong=${wrong} />`
            : html`<${Text} id="flag" label="Name of the flag" value=${draft.flag} onInput=${(flag) => set({ flag })} wrong=${wrong.flag ?? wrong.name}
                hint="As applications ask for it, such as checkout_button." />`}
        `
      : html`<p>On the flag <code>${experiment.feature.name}</code>.</p>`}
    ${(!isOld || draft.feature !== null) &&
    html`
      <section class="stack" aria-labelledby="variants">
        <div class="row spread">
          <h2 id="variants">Variants</h2>
          <button type="button" onClick=${() => set({ variants: evenly(draft.variants) })}>Split evenly</button>
        </div>
        ${draft.variants.map(
          (variant, n) => html`
            <${Variant} key=${n} variant=${variant} n=${n} isFixed=${isFixed} change=${(changes) => change(n, changes)}
              remove=${() => set({ variants: evenly(draft.variants.filter((_, at) => at !== n)) })} />
          `,
        )}
        <${SplitBar} variants=${draft.variants} />
        ${wrong.variants && html`<p class="wrong" role="alert">${wrong.variants}</p>`}
        ${!isFixed && draft.variants.length < 11 &&
        html`<button type="button" onClick=${() => set({ variants: evenly([...draft.variants, { key: `variant_${draft.variants.length}`, value: `variant_${draft.variants.length}`, weight: 0 }]) })}>Add a variant</button>`}
        <p class="muted small">Control is what the flag serves to everybody who does not take part. Values are text, or JSON such as 12, true or {"a": 1}.</p>
      </section>
    `}
  `;
};
