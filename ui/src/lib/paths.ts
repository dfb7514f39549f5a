/** Every place in the UI, in one place: pages link only through these. */

import type { RouteLocationRaw } from 'vue-router'

/** Stands in a path where an object has no namespace. */
export const NO_NAMESPACE = '_'

/** Where the UI is on the server. */
export const ROOT = '/dashboard'

/** The address of a place that is given by its path, without asking the router: lists have hundreds of them. */
export function hrefOf(place: RouteLocationRaw): string | undefined {
  if (typeof place === 'string') return ROOT + place
  if (!('path' in place) || !place.path?.startsWith('/')) return undefined
  const query = new URLSearchParams(
    Object.entries(place.query ?? {}).map(([key, value]) => [key, String(value ?? '')]),
  ).toString()
  return ROOT + place.path + (query === '' ? '' : `?${query}`)
}

export const paths = {
  login: '/login',
  firstStart: '/first-start',
  /** Where command lines send people, ours and the peer's. */
  confirmLogin: '/auth/login',
  clusters: '/clusters',
  importCluster: '/clusters/import',
  users: '/users',
  roles: '/roles',
  access: '/access',
  features: '/features',
  keys: '/keys',
  profile: '/profile',
  audit: '/audit',
  settings: '/settings',
  cluster: (cluster: string): string => `/c/${cluster}`,
  join: (cluster: string): string => `/c/${cluster}/join`,
  nodes: (cluster: string): string => `/c/${cluster}/nodes`,
  projects: (cluster: string): string => `/c/${cluster}/projects`,
  members: (cluster: string): string => `/c/${cluster}/members`,
  workloads: (cluster: string): string => `/c/${cluster}/workloads`,
  deploy: (cluster: string, kind = ''): RouteLocationRaw => ({
    path: `/c/${cluster}/deploy`,
    query: kind === '' ? {} : { kind },
  }),
  create: (cluster: string, kind = ''): RouteLocationRaw => ({
    path: `/c/${cluster}/create`,
    query: kind === '' ? {} : { kind },
  }),
  form: (cluster: string, resource: string, type = ''): RouteLocationRaw => ({
    path: `/c/${cluster}/new/${resource}`,
    query: type === '' ? {} : { type },
  }),
  logs: (cluster: string): string => `/c/${cluster}/logs`,
  resources: (cluster: string): string => `/c/${cluster}/resources`,
  view: (cluster: string, view: string): string => `/c/${cluster}/v/${view}`,
  /** Nodes have a page of their own, where more can be done with them. */
  list: (cluster: string, resource: string): string =>
    resource === 'nodes' ? `/c/${cluster}/nodes` : `/c/${cluster}/r/${resource}`,
  object: (cluster: string, resource: string, namespace: string | undefined, name: string, tab = ''): RouteLocationRaw => ({
    path: `/c/${cluster}/r/${resource}/${namespace || NO_NAMESPACE}/${encodeURIComponent(name)}`,
    query: tab === '' ? {} : { tab },
  }),
}
