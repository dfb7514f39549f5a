/** Every place in the UI, in one place: pages link only through these. */

import type { RouteLocationRaw } from 'vue-router'

/** Stands in a path where an object has no namespace. */
export const NO_NAMESPACE = '_'

export const paths = {
  login: '/login',
  firstStart: '/first-start',
  clusters: '/clusters',
  importCluster: '/clusters/import',
  users: '/users',
  roles: '/roles',
  access: '/access',
  keys: '/keys',
  audit: '/audit',
  settings: '/settings',
  cluster: (cluster: string): string => `/c/${cluster}`,
  join: (cluster: string): string => `/c/${cluster}/join`,
  nodes: (cluster: string): string => `/c/${cluster}/nodes`,
  projects: (cluster: string): string => `/c/${cluster}/projects`,
  members: (cluster: string): string => `/c/${cluster}/members`,
  workloads: (cluster: string): string => `/c/${cluster}/workloads`,
  deploy: (cluster: string): string => `/c/${cluster}/deploy`,
  create: (cluster: string, kind = ''): RouteLocationRaw => ({
    path: `/c/${cluster}/create`,
    query: kind === '' ? {} : { kind },
  }),
  form: (cluster: string, resource: string): string => `/c/${cluster}/new/${resource}`,
  resources: (cluster: string): string => `/c/${cluster}/resources`,
  list: (cluster: string, resource: string): string => `/c/${cluster}/r/${resource}`,
  object: (cluster: string, resource: string, namespace: string | undefined, name: string, tab = ''): RouteLocationRaw => ({
    path: `/c/${cluster}/r/${resource}/${namespace || NO_NAMESPACE}/${encodeURIComponent(name)}`,
    query: tab === '' ? {} : { tab },
  }),
}
