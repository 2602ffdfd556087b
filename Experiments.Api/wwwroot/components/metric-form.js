import { html, useState } from '../lib/preact.js';
import { patch, post } from '../core/api.js';
import { useData } from '../core/use-data.js';
import { ago, count } from '../core/format.js';
import { AGGREGATION } from '../core/words.js';
import { Choice, Text } from './field.js';
import { Failure } from './states.js';

const DIRECTIONS = [
  ['up', 'More is better'],
  ['down', 'Less is better'],
  ['informational', 'Neither'],
];
const WITH_PROPERTY = ['sum', 'mean', 'max', 'min', 'count_distinct', 'ratio'];

/** @returns {import('#api').MetricDefinition} */
const definitionOf = (form) => {
  const own = { event: form.event };
  if (WITH_PROPERTY.includes(form.aggregation) && form.property) own.property = form.property;
  if (form.window && !['funnel', 'retention'].includes(form.aggregation)) own.conversion_window_hours = Number(form.window);
  return form.aggregation === 'ratio' ? { ...own, denominator: { event: form.other } }
    : form.aggregation === 'funnel' ? { steps: [{ event: form.event }, { event: form.other }], ...(form.window && { window_hours: Number(form.window) }) }
    : form.aggregation === 'retention' ? { event: form.event, from_hours: Number(form.from), to_hours: Number(form.to) }
    : own;
};

const formOf = (metric) => ({
  name: metric?.name ?? '',
  description: metric?.description ?? '',
  aggregation: metric?.aggregation ?? 'occurrence',
  direction: metric?.direction ?? 'up',
  event: metric?.definition?.event ?? metric?.definition?.steps?.[0]?.event ?? '',
  property: metric?.definition?.property ?? (metric ? '' : 'value'),
  other: metric?.definition?.denominator?.event ?? metric?.definition?.steps?.[1]?.event ?? '',
  window: metric?.definition?.conversion_window_hours ?? metric?.definition?.window_hours ?? '',
  from: metric?.definition?.from_hours ?? 24,
  to: metric?.definition?.to_hours ?? 168,
});

const EventField = ({ id, label, value, onInput, names, wrong }) => {
  const known = names.find((one) => one.event === value);
  return html`
    <${Text} id=${id} label=${label} value=${value} onInput=${onInput} list="${id}-names" wrong=${wrong}
      hint=${known ? `Received ${count(known.count)} times, the last ${ago(known.last_seen)}.` : value ? 'Never received so far.' : 'As applications send it, such as purchase.'} />
    <datalist id="${id}-names">${names.map((one) => html`<option key=${one.event} value=${one.event}></option>`)}</datalist>
  `;
};

/**
 * Makes or changes a metric. As a part of another form it is no form itself.
 * @param {{ environment: any, metric?: any, isPart?: boolean, saved: (metric: any) => void }} props
 */
export const MetricForm = ({ environment, metric = null, isPart = false, saved }) => {
  const [form, setForm] = useState(() => formOf(metric));
  const [state, setState] = useState({ isBusy: false, error: null });
  const names = useData(`environments/${environment.key}/events/names/?page_size=100`).data?.results ?? [];
  const set = (changes) => setForm((last) => ({ ...last, ...changes }));
  const isUsed = (metric?.experiments.length ?? 0) > 0;
  const wrong = (name) => Object.entries(state.error?.errors ?? {}).find(([path]) => path === name || path.startsWith(`${name}.`))?.[1][0];

  const save = async (event) => {
    event.preventDefault();
    setState({ isBusy: true, error: null });
    const path = `environments/${environment.key}/metrics/`;
    try {
      saved(
        metric
          ? await patch(`${path}${metric.id}/`, isUsed ? { name: form.name, description: form.description } : bodyOf(form, metric))
          : await post(path, bodyOf(form)),
      );
      setState({ isBusy: false, error: null });
    } catch (error) {
      setState({ isBusy: false, error });
    }
  };

  return html`
    <${isPart ? 'div' : 'form'} class="stack" onSubmit=${isPart ? null : save}
      onKeyDown=${isPart ? (event) => event.key === 'Enter' && /INPUT|SELECT/.test(event.target.tagName) && save(event) : null}>
      ${state.error && html`<${Failure} error=${state.error} />`}
      <${Text} id="metric-name" label="Name" value=${form.name} onInput=${(name) => set({ name })} wrong=${wrong('name')} />
      ${!isPart && html`<${Text} id="metric-description" label="Description" lines=${2} value=${form.description} onInput=${(description) => set({ description })} />`}
      <fieldset class="stack" disabled=${isUsed}>
        <legend class="hidden">Definition</legend>
        ${isUsed && html`<p class="muted">Experiments use it, so what it measures stays as it is.</p>`}
        <${Choice} id="aggregation" label="What is measured" value=${form.aggregation} onInput=${(aggregation) => set({ aggregation, property: aggregation === 'ratio' ? '' : form.property || 'value' })}
          options=${Object.entries(AGGREGATION)} />
        <${EventField} id="metric-event" label=${form.aggregation === 'funnel' ? 'First step' : 'Event'} value=${form.event} names=${names}
          onInput=${(event) => set({ event })} wrong=${wrong('definition.event') ?? wrong('definition.steps')} />
        ${(form.aggregation === 'ratio' || form.aggregation === 'funnel') &&
        html`<${EventField} id="metric-other" label=${form.aggregation === 'ratio' ? 'Divided by the number of' : 'Second step'} value=${form.other}
          names=${names} onInput=${(other) => set({ other })} wrong=${wrong('definition.denominator')} />`}
        ${WITH_PROPERTY.includes(form.aggregation) &&
        html`<${Text} id="property" label="Where the number is" value=${form.property} onInput=${(property) => set({ property })}
          hint="value, or metadata. and the name of a member" wrong=${wrong('definition.property')} />`}
        ${form.aggregation === 'retention' &&
        html`
          <div class="inline">
            <${Text} id="from" label="From hours after" type="number" min="0" value=${form.from} onInput=${(from) => set({ from })} />
            <${Text} id="to" label="Until hours after" type="number" min="0" value=${form.to} onInput=${(to) => set({ to })} />
          </div>
        `}
        ${form.aggregation !== 'retention' &&
        html`<${Text} id="window" label="Window in hours" type="number" min="0" value=${form.window} onInput=${(window) => set({ window })}
          hint="For how long after the exposure events count; all that come, without one." />`}
        <${Choice} id="direction" label="Direction" value=${form.direction} onInput=${(direction) => set({ direction })} options=${DIRECTIONS} />
      </fieldset>
      <button type=${isPart ? 'button' : 'submit'} class=${isPart ? '' : 'primary'} onClick=${isPart ? save : null} disabled=${state.isBusy}>
        ${isPart ? 'Make and attach' : 'Save'}
      </button>
    <//>
  `;
};

const SHOWN = ['event', 'property', 'other', 'window', 'from', 'to'];

// What the form does not show stays as it is.
const merged = (form, metric) => {
  const [old, own] = [metric.definition, definitionOf(form)];
  const steps = own.steps && old.steps ? [...own.steps.map((step, n) => ({ ...old.steps[n], ...step })), ...old.steps.slice(2)] : own.steps;
  const denominator = own.denominator ? { ...old.denominator, ...own.denominator } : undefined;
  return { ...old, ...own, ...(steps && { steps }), ...(denominator && { denominator }) };
};

const bodyOf = (form, metric = null) => {
  const isSame = metric !== null && metric.aggregation === form.aggregation;
  const isUntouched = isSame && SHOWN.every((name) => String(formOf(metric)[name]) === String(form[name]));
  return {
    name: form.name.trim(),
    ...((metric || form.description) && { description: form.description }),
    direction: form.direction,
    ...(!isSame && { aggregation: form.aggregation }),
    ...(!isUntouched && { definition: isSame ? merged(form, metric) : definitionOf(form) }),
  };
};
