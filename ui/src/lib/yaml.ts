/** Objects as YAML for people, and back. Loaded with the editor only. */

import { parseAllDocuments, stringify } from 'yaml'

import type { KubernetesObject } from '@/data/kubernetes/objects'

/** What the server keeps for itself is left out. */
export function toYaml(value: unknown): string {
  return stringify(withoutManagedFields(value), { lineWidth: 0, aliasDuplicateObjects: false })
}

/** The objects in a text, which may hold several documents; fails with a message that names the line. */
export function fromYaml(text: string): KubernetesObject[] {
  const objects: KubernetesObject[] = []
  for (const document of parseAllDocuments(text)) {
    const [error] = document.errors
    if (error) throw new Error(error.message)
    const value = document.toJS({ maxAliasCount: 100 }) as unknown
    if (value === null || value === undefined) continue
    if (!isObject(value)) throw new Error('An object needs apiVersion, kind and metadata.name.')
    objects.push(value)
  }
  return objects
}

/** Fields in the order people expect: the server's own are last. */
function withoutManagedFields(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return value
  const { managedFields: _, ...metadata } = (value as { metadata: Record<string, unknown> }).metadata
  return { ...value, metadata }
}

function isObject(value: unknown): value is KubernetesObject {
  if (typeof value !== 'object' || value === null) return false
  const { apiVersion, kind, metadata } = value as Partial<KubernetesObject>
  return typeof apiVersion === 'string' && typeof kind === 'string' && typeof metadata === 'object' && metadata !== null
}
