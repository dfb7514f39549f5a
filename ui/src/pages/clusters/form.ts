/** What people say of a cluster when they import or edit it. Pure. */

import type { Cluster } from '@/api/norman'
import { pairsOf } from '@/lib/pairs'

export interface ClusterForm {
  name: string
  description: string
  /** Lines of `name=value`. */
  labels: string
  environment: string
  image: string
}

export const EMPTY: ClusterForm = { name: '', description: '', labels: '', environment: '', image: '' }

/** Labels with these prefixes are the server's own. */
const FOREIGN = /^([a-z.-]*\.)?cattle\.io\//

/** The labels that people gave. */
export function ownLabels(labels: Record<string, string> | null | undefined): Record<string, string> {
  return Object.fromEntries(Object.entries(labels ?? {}).filter(([key]) => !FOREIGN.test(key)))
}

function lines(pairs: Record<string, string>): string {
  return Object.entries(pairs)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n')
}

export function formOf(cluster: Cluster): ClusterForm {
  const environment = (cluster.agentEnvVars ?? []).map(({ name, value = '' }) => [name, value] as const)
  return {
    name: cluster.name ?? '',
    description: cluster.description ?? '',
    labels: lines(ownLabels(cluster.labels)),
    environment: lines(Object.fromEntries(environment)),
    image: cluster.agentImageOverride ?? '',
  }
}

/**
 * What is sent. Of a cluster that is there, everything: what was emptied is taken away.
 *
 * @throws naming the line that is no pair.
 */
export function bodyOf(form: ClusterForm, cluster?: Cluster): Partial<Cluster> {
  const given = pairsOf(form.labels)
  const agentEnvVars = Object.entries(pairsOf(form.environment)).map(([name, value]) => ({ name, value }))
  const body = { name: form.name.trim(), description: form.description, agentEnvVars, agentImageOverride: form.image.trim() }
  if (cluster) {
    const foreign = Object.entries(cluster.labels ?? {}).filter(([key]) => FOREIGN.test(key))
    return { ...body, labels: { ...Object.fromEntries(foreign), ...given } }
  }
  const said = Object.entries({ ...body, labels: given }).filter(([, value]) => Object.keys(value).length > 0)
  return Object.fromEntries(said) as Partial<Cluster>
}
