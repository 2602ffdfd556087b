// Who is signed in, which environments there are, and what may be done in them.

import { createContext, useContext } from '../lib/preact.js';
import { all, get } from './api.js';

/** @typedef {{ key: string, name: string, id: number, project: { id: number, name: string }, role: string }} Environment */

const RANK = { viewer: 0, editor: 1, admin: 2 };

export const Me = createContext(/** @type {{ me: any, environments: Environment[], environment: Environment | null, reload: () => void }} */ ({}));

export const useMe = () => useContext(Me);

/** Whether the caller may do what needs this role in the environment that is shown. */
export const useMay = (role) => {
  const { environment } = useMe();
  return environment !== null && RANK[environment.role] >= RANK[role];
};

/** Everything of the instance for its admins, and for others what they were given. */
export const readMe = async (path, signal) => {
  const me = await get(path, signal);
  const projects = me.instance_role ? await all('projects/', signal) : me.projects;
  /** @type {Environment[]} */
  const environments = [];
  for (const project of projects) {
    for (const one of await all(`projects/${project.id}/environments/`, signal)) {
      environments.push({ ...one, project, role: me.instance_role ?? project.role });
    }
  }
  for (const one of me.environments) {
    if (environments.every((known) => known.key !== one.key)) {
      environments.push({ ...one, project: { id: one.project, name: '' }, role: one.role });
    }
  }
  return { me, environments };
};
