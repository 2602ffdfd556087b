// Who is signed in, which environments there are, and what may be done in them.

import { createContext, useContext } from '../lib/preact.js';
import { Refused, all, get } from './api.js';

/** @typedef {{ key: string, name: string, id: number, project: { id: number, name: string }, role: string }} Environment */

const RANK = { viewer: 0, editor: 1, admin: 2 };

export const Me = createContext(/** @type {{ me: any, environments: Environment[], environment: Environment | null, reload: () => void }} */ ({}));

export const useMe = () => useContext(Me);

/** Whether the caller may do what needs this role in the environment that is shown. */
export const useMay = (role) => {
  const { environment } = useMe();
  return environment !== null && RANK[environment.role] >= RANK[role];
};

const AT_ONCE = 8;

// The highest role counts.
const highest = (...roles) => roles.filter(Boolean).sort((one, other) => RANK[other] - RANK[one])[0];

// A project may be deleted while the list is read.
const unlessGone = (error) => {
  if (error instanceof Refused && (error.status === 404 || error.status === 403)) return [];
  throw error;
};

/** Everything of the instance for its admins, and for others what they were given. */
export const readMe = async (path, signal) => {
  const me = await get(path, signal);
  const projects = me.instance_role ? await all('projects/', signal) : me.projects;
  /** @type {Environment[]} */
  const environments = [];
  for (let n = 0; n < projects.length; n += AT_ONCE) {
    const some = projects.slice(n, n + AT_ONCE);
    const lists = await Promise.all(some.map((project) => all(`projects/${project.id}/environments/`, signal).catch(unlessGone)));
    some.forEach((project, at) => {
      const role = highest(me.instance_role, project.role, me.projects.find((own) => own.id === project.id)?.role);
      environments.push(...lists[at].map((one) => ({ ...one, project, role })));
    });
  }
  for (const one of me.environments) {
    const known = environments.find((other) => other.key === one.key);
    if (known) known.role = highest(known.role, one.role);
    else environments.push({ ...one, project: { id: one.project, name: '' }, role: one.role });
  }
  return { me, environments };
};
