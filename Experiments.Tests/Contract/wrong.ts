// What the generated types must not let through. It is compiled and never run.
import { createExperiment, getExperiment, listExperiments, patchFeature } from './client/index.js';

const path = { environment_key: 'key' };
const experiment = { name: 'n', hypothesis: 'h', feature: 1 };

createExperiment({ path, body: experiment });
createExperiment({ path, body: { ...experiment, feature: { name: 'button' } } });
// @ts-expect-error A name and a feature are required.
createExperiment({ path, body: {} });
// @ts-expect-error There is no such type.
createExperiment({ path, body: { ...experiment, type: 'prodduct' } });
// @ts-expect-error There is no such member.
createExperiment({ path, body: { ...experiment, feature: { nmae: 'x' } } });
// @ts-expect-error An option has a key and a value.
patchFeature({ path: { ...path, id: 1 }, body: { multivariate_options: [{ key: 'green' }] } });
// @ts-expect-error There is no such status.
listExperiments({ path, query: { status: ['stauts'] } });
// @ts-expect-error There is no such parameter.
listExperiments({ path, query: { ordr: 'name' } });

export const read = async () => {
  const { data } = await getExperiment({ path: { ...path, id: 1 } });
  // @ts-expect-error It may have no holdout.
  return data!.holdout.name;
};
